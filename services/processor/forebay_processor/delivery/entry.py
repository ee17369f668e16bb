"""What a destination's queue works on: items on their first way, and entries that wait in RETRY.

`EntryState` says what an entry is at this moment; the table of its transitions, and what follows if
the process dies in each, is in docs/design/0020.

| state | next |
| --- | --- |
| STORING | STORED: confirmed · UNSTORED: no room · FINISHED: delivered or dead meanwhile |
| UNSTORED | STORING: tried to store again · IN_FLIGHT: tried from memory |
| STORED | READY: EVENTS acked |
| READY | IN_FLIGHT: an attempt, or giving up, begins |
| IN_FLIGHT | READY: failed · STORING: failed, and was UNSTORED · FINISHED: delivered or dead |
| FINISHED | (forgotten) when its row is deleted |
"""

import enum
import math
from collections.abc import Callable

from forebay.core.dead_letters import DeadReason
from forebay.core.subjects import DeadSubject, RetrySubject
from forebay_processor.shared.partition_view import Partition

__all__ = ["EntryState", "PendingDelivery", "RetryEntry"]


class EntryState(enum.Enum):
    """What an entry of RETRY is, as this process knows it."""

    STORING = enum.auto()
    """Its row is being written: EVENTS keeps the item."""

    UNSTORED = enum.auto()
    """RETRY has no room for its row: EVENTS keeps the item, and it may be tried from memory."""

    STORED = enum.auto()
    """Its row is there, and EVENTS is not acked: not to be tried, or it would be delivered from
    RETRY and once more when EVENTS hands it out again."""

    READY = enum.auto()
    """To be tried from its due time on."""

    IN_FLIGHT = enum.auto()
    """An attempt is under way, or it is being given up."""

    FINISHED = enum.auto()
    """Delivered or dead: only its row is left to be deleted."""


class PendingDelivery:
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
        """To be called when EVENTS has the ack: what is parked may be tried from then on."""

    def finish(self) -> None:
        """Say that it is delivered, dead or parked: as far as this goes, EVENTS may forget it."""
        self._on_done()


class RetryEntry:
    """One row of RETRY that this process has in memory.

    Its times are on the steady clock (`StreamTime`): they mean the same whatever any clock is set
    to while it waits.
    """

    __slots__ = (
        "asked",
        "attempts",
        "due",
        "failed_after",
        "failure",
        "headers",
        "is_counted",
        "is_linked",
        "is_reported",
        "letter",
        "order",
        "partition",
        "payload",
        "sequence",
        "since",
        "state",
        "subject",
        "weight",
        "work",
    )

    def __init__(
        self, partition: Partition, subject: RetrySubject, order: int, since: float
    ) -> None:
        self.partition = partition
        self.subject = subject
        self.order = order
        """The item's sequence in EVENTS."""

        self.since = since
        """When it was first tried, or could have been; `maxAge` counts from it."""

        self.attempts = 0
        self.failed_after: int | None = None
        """How many attempts at the destination had got through when it failed last; None where it
        did not fail in this process."""

        self.due = since
        """When to try."""

        self.asked = 0.0
        """Not before this, for the destination said so."""

        self.sequence = 0
        """Of the row in RETRY; 0 while that is not known."""

        self.weight = 0
        """Bytes that its row takes of RETRY; 0 while it is not known to have one."""

        self.state = EntryState.STORING
        self.is_linked = False
        """Whether its conversation has it among what is to be tried."""

        self.is_counted = False
        """Whether it takes part of its lane's window."""

        self.payload: bytes | None = None
        """None where it has to be read again before it is tried."""

        self.headers: dict[str, str] = {}
        self.work: PendingDelivery | None = None
        """The item itself, until EVENTS has the ack; None of what came from RETRY."""

        self.is_reported = False
        """Whether whoever handed the item out knows that EVENTS may forget it."""

        self.failure: tuple[DeadReason, str] | None = None
        """Why it is given up and what the destination said, while DEAD does not take it yet."""

        self.letter: tuple[DeadSubject, int] | None = None
        """The dead letter, with its sequence, that a replayed row came from."""

    @property
    def is_untouched(self) -> bool:
        """Whether nothing is known of it that its row does not say as well."""
        return self.state is EntryState.READY and not self.attempts and self.failure is None

    @property
    def size(self) -> int:
        """Bytes of payload in memory."""
        return len(self.payload) if self.payload is not None else 0

    def report_finished(self) -> None:
        """Let EVENTS forget the item, as far as this destination goes; once."""
        if self.work is not None and not self.is_reported:
            self.is_reported = True
            self.work.finish()
