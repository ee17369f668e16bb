"""Remembers which messages were finished: here, for a while, and by whoever owned them before.

An ack is a message like any other: it can be lost with a connection, and a server that was killed
can forget the last ones it had. Then JetStream hands the message out again, and the process that
finished it knows better. A consumer that was deleted and made again, or came back with a backup,
hands out again all that its stream holds; then what it had acked before is known by its floor
(docs/design/0017).
"""

from typing import Final

from forebay.core.consumer_ack_floors import AckFloor
from forebay.runtime.jetstream.pulled_message import PulledMessage

__all__ = ["RecentlyAcked"]

REMEMBERED: Final = 100_000
"""Messages: about 15 MB, and more than one process finishes within an ack wait."""


class RecentlyAcked:
    """The messages of one stream that were finished last."""

    def __init__(self) -> None:
        self._stored_at: dict[int, int] = {}
        self._floors: dict[str, AckFloor] = {}

    def add(self, message: PulledMessage) -> None:
        """Remember one."""
        self._stored_at[message.sequence] = message.stored_at
        if len(self._stored_at) > REMEMBERED:
            del self._stored_at[next(iter(self._stored_at))]

    def __contains__(self, message: PulledMessage) -> bool:
        """Say whether it was finished here.

        A stream that was made anew counts from 1 again, so the time of its storing has to fit, too.
        """
        if self._stored_at.get(message.sequence) == message.stored_at:
            return True
        floor = self._floors.get(message.consumer)
        return floor is not None and floor.covers(message.sequence, message.stored_at)

    def floor(self, consumer: str) -> AckFloor | None:
        """Return up to where a consumer had acked everything; None where that is not known."""
        return self._floors.get(consumer)

    def raise_floor(self, consumer: str, floor: AckFloor) -> AckFloor:
        """Note how far a consumer is; return the floor that counts.

        The highest counts, and of equal ones the first: nothing that was stored after it is meant.
        """
        known = self._floors.get(consumer)
        if known is None or known.sequence < floor.sequence:
            known = self._floors[consumer] = floor
        return known

    def forget_floor(self, consumer: str) -> None:
        """Forget a floor that is of another stream of the same name."""
        self._floors.pop(consumer, None)
