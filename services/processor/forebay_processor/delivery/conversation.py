"""What is under way and what waits of one conversation in one lane, at one destination.

Three places, in the order of the conversation: `entries`, rows that are in memory; rows that are
only noted by the sequence of the last one, and are read when it is their turn; `storing`, items
that are on their way into RETRY. `held` are first arrivals that wait in memory, where none of those
three holds anything that is to be tried before them.

Nothing of it is stored: if the process dies, the next owner reads RETRY.
"""

import asyncio

from forebay_processor.delivery.entry import EntryState, PendingDelivery, RetryEntry
from forebay_processor.delivery.lane_cursor import LaneCursor

__all__ = ["ConversationQueue"]


class ConversationQueue:
    """One conversation in one lane; an item alone where nothing is in order."""

    __slots__ = (
        "_timer",
        "backlog",
        "being_stored",
        "counted",
        "current",
        "current_entry",
        "ended_before",
        "entries",
        "held",
        "is_blocked",
        "is_busy",
        "is_queued",
        "is_reading",
        "is_storing",
        "last",
        "noted",
        "passed",
        "read",
        "since",
        "storing",
    )

    def __init__(self) -> None:
        self.is_busy = False
        """Whether an attempt is under way."""

        self.current: PendingDelivery | None = None
        """What is tried for the first time, from memory."""

        self.current_entry: RetryEntry | None = None
        """The entry that was made of it meanwhile, for something had to be stored behind it."""

        self.since = 0.0
        """When that attempt began, or the first held item began to wait (the loop's time)."""

        self.ended_before = 0
        """How many attempts of the destination had ended when that one began."""

        # Lists, which are short: three empty deques are 2 kB, and there may be 150,000 of these.
        self.held: list[PendingDelivery] = []
        """First arrivals that wait in memory, in order."""

        self.entries: list[RetryEntry] = []
        """Rows in order; the first is the next."""

        self.storing: list[RetryEntry] = []
        """What is to be stored, one after the other."""

        self.is_storing = False
        """Whether somebody stores it."""

        self.being_stored: RetryEntry | None = None
        """What is being written at this moment."""

        self.is_reading = False
        """Whether its rows are being read."""

        self.is_blocked = False
        """Whether it failed, and later rows are only noted."""

        self.is_queued = False
        """Whether it waits for a place."""

        self.read = 0
        """The sequence up to which its rows are in `entries`, or gone."""

        self.last = 0
        """The sequence up to which it has rows, as far as this was noted."""

        self.noted = 0
        """How many rows are noted that are not in memory."""

        self.counted = 0
        """How many of its rows its destination counts as waiting behind a failed one."""

        self.passed = 0
        """How many of the noted rows its lane counts as passed over."""

        self.backlog: LaneCursor | None = None
        """The lane of its rows, once there are any."""

        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing of it."""
        return not (self.is_busy or self.held or self.entries or self.storing or self.has_unread)

    @property
    def has_failed(self) -> bool:
        """Whether what is to be tried next failed before, in this process."""
        return bool(self.entries) and self.entries[0].failed_after is not None

    @property
    def may_store(self) -> bool:
        """Whether there is something to be stored; not while it is being tried from memory."""
        return bool(self.storing) and self.storing[0].state is not EntryState.IN_FLIGHT

    @property
    def has_unread(self) -> bool:
        """Whether rows are noted that are not in memory."""
        return self.last > self.read

    @property
    def has_rows(self) -> bool:
        """Whether rows of it are known."""
        return bool(self.entries) or self.has_unread

    @property
    def rows(self) -> int:
        """How many rows of it are known, those that are on their way included."""
        return len(self.entries) + len(self.storing) + self._noted

    @property
    def _noted(self) -> int:
        return self.noted if self.has_unread else 0

    def takes(self, limit: int) -> bool:
        """Say whether the next row may be one of so many in memory: else it is noted."""
        return not self.is_blocked and not self.has_unread and len(self.entries) < limit

    def append(self, entry: RetryEntry) -> None:
        """Have a row in memory, behind all others."""
        entry.is_linked = True
        self.entries.append(entry)
        self.read = max(self.read, entry.sequence)

    def note(self, sequence: int) -> bool:
        """Note that there is a row that is in nobody's hands; returns False where that was known.

        After a change of the ordering one may lie below those that are in memory.
        """
        is_new = sequence > self.last
        self.noted = self._noted + is_new
        self.last = max(self.last, sequence)
        self.read = min(self.read, sequence - 1)
        return is_new

    def pop(self, entry: RetryEntry) -> None:
        """Have a row in memory no more."""
        entry.is_linked = False
        self.entries.remove(entry)

    def unlink_behind(self, kept: int) -> list[RetryEntry]:
        """Have no more than the first rows in memory; the others are noted, and returned."""
        dropped = []
        while len(self.entries) > kept:
            entry = self.entries.pop()
            entry.is_linked = False
            dropped.append(entry)
        if dropped:
            self.noted = self._noted + len(dropped)
            self.last = max(self.last, dropped[0].sequence)
            self.read = min(self.read, dropped[-1].sequence - 1)
        return dropped

    def read_up_to(self, sequence: int) -> None:
        """Take it that a noted row was read: it is in memory now, or gone."""
        self.noted = max(self.noted - 1, 0)
        self.read = max(self.read, sequence)

    def forget_noted(self) -> None:
        """Know of no row any more but those in memory."""
        self.read = self.last = self.noted = 0

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """Replace the one timer: when its first row may be tried."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
