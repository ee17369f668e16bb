"""How much of RETRY is known of one lane: one destination, one owned partition.

The cursor is a sequence: every row of the lane up to it is known in this process (in memory, or
noted at its conversation), or gone. The one rule that all else follows from: a row that is
confirmed above the cursor is read when the cursor gets there; one that is not has to be noted by
whoever stored it. So confirmations may come in any order, and late.

| state | next |
| --- | --- |
| UNKNOWN | CAUGHT_UP: RETRY holds nothing · BEHIND: it holds something |
| BEHIND | CAUGHT_UP: the leader has nothing above the cursor, and nothing was confirmed above it |
| CAUGHT_UP | BEHIND: a row is left to be read later, or somebody else wrote one |

Nothing of it is stored: if the process dies, the next owner asks RETRY.
"""

import enum

from forebay_processor.shared.partition_view import Partition

__all__ = ["BacklogState", "LaneCursor"]


class BacklogState(enum.Enum):
    """What is known of a lane's rows."""

    UNKNOWN = enum.auto()
    BEHIND = enum.auto()
    CAUGHT_UP = enum.auto()


class LaneCursor:
    """The rows of one lane of one partition at one destination."""

    __slots__ = (
        "count",
        "cursor",
        "is_dropped",
        "is_reading",
        "is_running_out",
        "last_stored",
        "loaded",
        "partition",
        "passed",
        "state",
        "subjects",
        "weight",
    )

    def __init__(self, partition: Partition, subjects: str) -> None:
        self.partition = partition
        self.subjects = subjects
        """The wildcard of its rows."""

        self.state = BacklogState.UNKNOWN
        self.cursor = 0
        self.last_stored = 0
        """The highest sequence that was confirmed to this process, or shown to it."""

        self.loaded = 0
        """Rows in memory that were not tried."""

        self.passed = 0
        """Rows that are only noted, of conversations that do not fail."""

        self.count = 0
        """Rows that there are, as far as they were counted."""

        self.weight = 0
        """Bytes that those take of RETRY, about."""

        self.is_dropped = False
        """Whether its partition is not worked here any more."""

        self.is_reading = False
        self.is_running_out = False
        """Whether the last row that was given up had not been tried: its neighbours are as old, so
        a page is read even where nothing may be tried."""

    @property
    def shard(self) -> str:
        """Which shard's RETRY it is of."""
        return self.subjects.split(".", 3)[2]

    @property
    def is_caught_up(self) -> bool:
        """Whether all its rows are known here."""
        return self.state is BacklogState.CAUGHT_UP

    def begin(self, first: int | None, floor: int) -> None:
        """Take the answer to what RETRY holds; only the first one counts.

        Args:
            first: The sequence of the lane's first row; None where there is none.
            floor: A sequence that RETRY had when it was asked, or before.
        """
        if self.state is not BacklogState.UNKNOWN:
            return
        if first is not None:
            self.state = BacklogState.BEHIND
            self.cursor = max(self.cursor, first - 1)
        elif self.last_stored > floor:
            self.state = BacklogState.BEHIND
            self.cursor = floor
        else:
            self.state = BacklogState.CAUGHT_UP
            self.cursor = max(self.cursor, floor)

    def stored(self, sequence: int, *, has_room: bool) -> bool:
        """Take a confirmed row; say whether it is to be known here, or the reader comes to it."""
        self.last_stored = max(self.last_stored, sequence)
        if sequence <= self.cursor:
            return True
        if self.state is BacklogState.CAUGHT_UP and has_room:
            self.cursor = sequence
            return True
        if self.state is BacklogState.CAUGHT_UP:
            self.state = BacklogState.BEHIND
        return False

    def shown(self, sequence: int) -> None:
        """Take notice of a row that somebody else wrote: it is read in its turn."""
        self.last_stored = max(self.last_stored, sequence)
        if sequence > self.cursor and self.state is BacklogState.CAUGHT_UP:
            self.state = BacklogState.BEHIND

    def passes(self, sequence: int) -> None:
        """Move on: the row is known now, or gone."""
        self.cursor = max(self.cursor, sequence)

    def ends(self, asked_from: int, known: int) -> bool:
        """Take it that the leader had nothing above a cursor; say whether all is known now.

        Args:
            asked_from: The cursor when it was asked.
            known: `last_stored` when it was asked: a row up to there that the leader does not have
                was deleted by hand. One that was confirmed since may be there.
        """
        if (
            self.state is BacklogState.BEHIND
            and self.cursor == asked_from
            and self.last_stored == known
        ):
            self.cursor = max(self.cursor, known)
            self.state = BacklogState.CAUGHT_UP
            return True
        return False

    def step_back(self, sequence: int) -> None:
        """Forget a row that was read, and all behind it: they are read again."""
        self.last_stored = max(self.last_stored, sequence)
        self.cursor = min(self.cursor, sequence - 1)
        if self.state is BacklogState.CAUGHT_UP:
            self.state = BacklogState.BEHIND
