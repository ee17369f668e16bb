"""What channels work on: items on their first way, rows that wait in RETRY, and chains of both."""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from forebay.core.letters import DeadReason
from forebay.core.subjects import DeadSubject, RetrySubject
from forebay_processor.shared.partition import Partition

__all__ = ["Chain", "Parked", "Work"]


class Work:
    """One item on its first way to one destination."""

    __slots__ = (
        "_on_done",
        "after_ack",
        "headers",
        "order",
        "partition",
        "payload",
        "stored_at",
        "subject",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # all that an item is made of
        self,
        partition: Partition,
        subject: RetrySubject,
        order: int,
        payload: bytes,
        headers: dict[str, str],
        on_done: Callable[[], None],
        stored_at: float = math.inf,
    ) -> None:
        self._on_done = on_done
        self.partition = partition
        self.subject = subject
        """Its row in RETRY, if it comes to that."""

        self.order = order
        """The item's sequence in EVENTS."""

        self.stored_at = stored_at
        """When EVENTS stored it, seconds since the epoch."""

        self.payload = payload
        self.headers = headers
        self.after_ack: Callable[[], None] | None = None
        """To be called when EVENTS was told: what is parked may be tried from then on, or an item
        could be delivered from RETRY and once more when its EVENTS message comes again."""

    def finish(self) -> None:
        """Say that it is delivered, dead or parked: as far as this goes, EVENTS may forget it."""
        self._on_done()


class Parked:
    """One row of RETRY, without its payload.

    Its times are on the steady clock (`StreamTime`): they mean the same whatever any clock is set
    to while it waits.
    """

    __slots__ = (
        "asked",
        "attempts",
        "due",
        "is_finished",
        "is_ready",
        "letter",
        "order",
        "partition",
        "sequence",
        "since",
        "spare",
        "subject",
        "verdict",
    )

    def __init__(
        self, partition: Partition, subject: RetrySubject, order: int, since: float
    ) -> None:
        self.partition = partition
        self.subject = subject
        self.order = order
        """The item's sequence in EVENTS: the order of its chain."""

        self.since = since
        """When it was first tried, or could have been; `maxAge` counts from it."""

        self.attempts = 0
        self.due = since
        """When to try."""

        self.asked = 0.0
        """Not before this, for the destination said so."""

        self.sequence = 0
        """Of the row in RETRY; 0 while it is being stored."""

        self.is_ready = False
        """Whether it may be tried: stored, and EVENTS acked."""

        self.spare: Work | None = None
        """The item itself, while RETRY has no room for its row: EVENTS keeps it, so it may be tried
        from memory. None while its row is being written, or is there, or may be."""

        self.is_finished = False
        """Whether it is delivered or dead, and only its row is left to be deleted."""

        self.verdict: tuple[DeadReason, str] | None = None
        """Why it is given up and what the destination said, while DEAD does not take it yet."""

        self.letter: tuple[DeadSubject, int] | None = None
        """The dead letter, with its sequence, that a replayed row came from."""


class Chain:
    """What is under way and what waits of one conversation in one lane.

    `held` and `parked` are both filled only while an attempt is under way: whoever parks one item
    parks all that are held behind it first.
    """

    __slots__ = ("_timer", "ended_before", "held", "is_busy", "is_queued", "parked", "since")

    def __init__(self) -> None:
        self.is_busy = False
        """Whether an attempt is under way."""

        self.since = 0.0
        """When that attempt began, or the first held item began to wait (the loop's time)."""

        self.ended_before = 0
        """How many attempts of the channel had ended when that one began."""

        self.held: deque[Work] = deque()
        """First arrivals that wait in memory, in order."""

        self.parked: deque[Parked] = deque()
        """Rows in order; the first is the next."""

        self.is_queued = False
        """Whether it waits for a slot."""

        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing of it."""
        return not (self.is_busy or self.held or self.parked)

    def insert(self, row: Parked) -> None:
        """Put a row where its order says: nearly always at the end."""
        position = len(self.parked)
        while position and self.parked[position - 1].order > row.order:
            position -= 1
        self.parked.insert(position, row)

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """Replace the chain's one timer: when its first row may be tried."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
