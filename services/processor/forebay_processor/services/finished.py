"""Remembers which messages were finished here, for a while.

An ack is a message like any other: it can be lost with a connection, and a server that was killed
can forget the last ones it had. Then JetStream hands the message out again, and the process that
finished it knows better.
"""

from typing import Final

from forebay.runtime.pull import PulledMessage

__all__ = ["Finished"]

REMEMBERED: Final = 100_000
"""Messages: about 15 MB, and more than one process finishes within an ack wait."""


class Finished:
    """The messages of one stream that were finished last."""

    def __init__(self) -> None:
        self._stored_at: dict[int, int] = {}

    def add(self, message: PulledMessage) -> None:
        """Remember one."""
        self._stored_at[message.sequence] = message.stored_at
        if len(self._stored_at) > REMEMBERED:
            del self._stored_at[next(iter(self._stored_at))]

    def __contains__(self, message: PulledMessage) -> bool:
        """Say whether it was finished here.

        A stream that was made anew counts from 1 again, so the time of its storing has to fit, too.
        """
        return self._stored_at.get(message.sequence) == message.stored_at
