"""Remembers which messages were finished here, for a while.

An ack is a message like any other: it can be lost with a connection, and a server that was killed
can forget the last ones it had. Then JetStream hands the message out again, and the process that
finished it knows better.
"""

from typing import Final

__all__ = ["Finished"]

REMEMBERED: Final = 100_000
"""Sequences: about 10 MB, and more than one process finishes within an ack wait."""


class Finished:
    """The sequences of a stream's messages that were finished last."""

    def __init__(self) -> None:
        self._sequences: dict[int, None] = {}

    def add(self, sequence: int) -> None:
        """Remember one."""
        self._sequences[sequence] = None
        if len(self._sequences) > REMEMBERED:
            del self._sequences[next(iter(self._sequences))]

    def __contains__(self, sequence: int) -> bool:
        """Say whether it was finished here."""
        return sequence in self._sequences
