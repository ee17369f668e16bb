"""What of RAW or EVENTS waits, and for whom: rows that were read once, and dropped when processed.

How much waits in a lane the server says (`LanePosition`); whose it is stands in the rows. What is
read at a poll is bounded, and so is what is kept: where not all rows are known, a lane's number is
shared out as those that are. Where more rows are known than wait, some are processed above
the floor, and nobody says which: the first one is not.

Nothing here asks anybody. If the process dies, all of it is found out again.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from forebay.core.endpoint_name import EndpointName
from forebay_operator.models.stored_rows import LanePosition, RowPosition, StreamPosition, Waiting

__all__ = ["KEPT_MOST", "READ_MOST", "LaneRows", "RowRange", "Shares"]

READ_MOST: Final = 10_000
"""Rows of one stream that are read at a poll: 35 ms of nats-server and 100 ms of ours."""

KEPT_MOST: Final = 50_000
"""Rows of one stream that are kept: 10 MB."""


class RowRange(NamedTuple):
    """Rows that are to be read."""

    start: int
    end: int
    """The last one."""


class Shares:
    """Sums up what waits, by endpoint."""

    def __init__(self) -> None:
        self._items: dict[EndpointName, float] = {}
        self._oldest: dict[EndpointName, float] = {}

    def add(self, rows: Sequence[RowPosition], waiting: int) -> None:
        """Share out how many wait as the rows are that are known of them, oldest first."""
        if not rows or waiting <= 0:
            return
        counts = Counter(row.endpoint for row in rows)
        first = rows[0].endpoint
        if len(rows) > waiting:
            counts[first] -= 1
            self._count(first, 1.0, rows[0].stored_at)
            factor = (waiting - 1) / (len(rows) - 1)
        else:
            factor = waiting / len(rows)
        for row in rows:
            # Once for each endpoint, by its oldest.
            if count := counts.pop(row.endpoint, 0):
                self._count(row.endpoint, count * factor, row.stored_at)
            if not counts:
                break

    def _count(self, endpoint: EndpointName, items: float, stored_at: float) -> None:
        if items <= 0:
            return
        self._items[endpoint] = self._items.get(endpoint, 0.0) + items
        self._oldest[endpoint] = min(self._oldest.get(endpoint, stored_at), stored_at)

    def add_items(self, endpoint: EndpointName, items: int, stored_at: float) -> None:
        """Add what is known of one endpoint."""
        self._count(endpoint, float(items), stored_at)

    def waiting(self) -> Iterator[tuple[EndpointName, Waiting]]:
        """Return those that have something, in whole items."""
        for endpoint, items in self._items.items():
            if whole := round(items):
                oldest = datetime.fromtimestamp(int(self._oldest[endpoint]), UTC)
                yield endpoint, Waiting(whole, oldest)


class LaneRows:
    """The rows of one stream that are not processed, by lane."""

    def __init__(
        self, *, reads_all: bool, read_most: int = READ_MOST, kept_most: int = KEPT_MOST
    ) -> None:
        """Begin with nothing read.

        Args:
            reads_all: Whether rows are of interest that are processed already, too.
            read_most: How many are read at a poll.
            kept_most: How many are kept.
        """
        self._reads_all = reads_all
        self._read_most = read_most
        self._kept_most = kept_most
        self._rows: dict[str, deque[RowPosition]] = {}
        self._behind: dict[str, LanePosition] = {}
        self._floors: dict[str, int] = {}
        self._read_to = 0
        self._is_new = True
        self.has_skipped = False
        """Whether the last plan left rows out."""

    def plan(self, place: StreamPosition) -> list[RowRange]:
        """Return what is to be read, by how far the lanes are now; `take` has to follow."""
        if place.last < self._read_to or self._went_back(place.lanes):
            # The stream was made anew, or a consumer begins again.
            self._rows.clear()
            self._is_new = True
        self._floors = {each.lane: each.floor for each in place.lanes}
        self._behind = {each.lane: each for each in place.lanes if each.waiting}
        self._drop_processed()
        start = max(self._start(place), place.first)
        self.has_skipped = self._is_new and self._reads_all and start > place.first
        if start > place.last:
            return []
        if place.last - start < self._read_most:
            return [RowRange(start, place.last)]
        # The oldest say since when something waits, the latest what comes.
        self.has_skipped = True
        half = self._read_most // 2
        return [RowRange(start, start + half - 1), RowRange(place.last - half + 1, place.last)]

    def take(self, rows: Iterable[RowPosition], place: StreamPosition) -> None:
        """Take what was read by a plan; after it, the rows up to the stream's last are known."""
        kept = sum(map(len, self._rows.values()))
        for row in rows:
            lane = self._behind.get(row.lane)
            if lane is not None and row.sequence > lane.floor and kept < self._kept_most:
                self._rows.setdefault(row.lane, deque()).append(row)
                kept += 1
        self._read_to = place.last
        self._is_new = False

    def add_to(self, shares: Shares) -> None:
        """Add what waits."""
        for lane, place in self._behind.items():
            shares.add(self._rows.get(lane, ()), place.waiting)

    def _went_back(self, lanes: Iterable[LanePosition]) -> bool:
        return any(each.floor < self._floors.get(each.lane, 0) for each in lanes)

    def _start(self, place: StreamPosition) -> int:
        lowest = min((each.floor for each in self._behind.values()), default=place.last)
        if self._is_new:
            recent = place.last - self._read_most // 2
            return 1 + (min(lowest, recent) if self._reads_all else lowest)
        return 1 + (self._read_to if self._reads_all else max(self._read_to, lowest))

    def _drop_processed(self) -> None:
        for lane, rows in list(self._rows.items()):
            place = self._behind.get(lane)
            if place is None:
                del self._rows[lane]
                continue
            while rows and rows[0].sequence <= place.floor:
                rows.popleft()
