"""What records of the index say together: which are meant, and one row for each item.

An item has a record for its store and one for each thing that happened at a destination. `ItemRows`
puts together those that it is given, for `forebay events ls`; `IndexFilter` judges one record at a
time, for that and for `forebay events tail`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from forebay.core.index_records import IndexOutcome, IndexRecord, ItemHandled, ItemStored

__all__ = ["HELD_ROWS", "IndexFilter", "ItemRow", "ItemRows", "MessageItems"]

HELD_ROWS: Final = 20_000
"""Rows in memory, of 2.5 kB each. Beyond them the oldest half is given out, and what happens to one
of these later on is a row of its own."""

HELD_ITEMS: Final = 10_000
"""Items that are about one message: a usual one has five."""


class IndexFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which items are meant; what is None says nothing."""

    endpoint: str | None = None
    """`namespace/name`."""

    namespaces: frozenset[str] | None = None
    """Of endpoints of these only."""

    channel: str | None = None
    kind: str | None = None
    conversation: str | None = None
    """Its token."""

    token: str | None = None
    """The beginning of a `webhook-id`."""

    destination: str | None = None
    outcome: IndexOutcome | None = None
    """What happened to the item last, at one of its destinations; to a record: what it says."""

    since: int = 0
    """Milliseconds since the epoch: what happened then or later."""

    until: int | None = None
    """What happened before."""

    def matches(self, record: IndexRecord) -> bool:
        """Say whether a record is of an item that may be meant, and of the time that is.

        Its outcome is not judged: what happened last is not known from one record.
        """
        return (
            self.since <= record.at
            and (self.until is None or record.at < self.until)
            and (self.endpoint is None or record.endpoint == self.endpoint)
            and (self.kind is None or record.kind == self.kind)
            and (self.channel is None or record.channel == self.channel)
            and (self.conversation is None or record.conversation == self.conversation)
            and (self.token is None or record.token.startswith(self.token))
            and (self.namespaces is None or record.endpoint.partition("/")[0] in self.namespaces)
        )

    def is_of_destination(self, record: IndexRecord) -> bool:
        """Say whether a record is of the destination that is meant; what is of none is of each."""
        return (
            self.destination is None
            or not isinstance(record, ItemHandled)
            or record.destination == self.destination
        )

    def shows(self, record: IndexRecord) -> bool:
        """Say whether a record is meant, taken by itself."""
        if isinstance(record, ItemStored) and self.destination is not None:
            return False
        return (
            self.matches(record)
            and self.is_of_destination(record)
            and (self.outcome is None or record.outcome is self.outcome)
        )

    def takes(self, row: "ItemRow") -> bool:
        """Say whether a row whose records match is meant."""
        if self.destination is not None and self.destination not in row.last:
            return False
        return self.outcome is None or self.outcome in row.outcomes


class ItemRow:
    """One item, as far as the records go that were read."""

    __slots__ = ("any", "at", "last", "repeats", "shard", "stored")

    def __init__(self, shard: str, record: IndexRecord) -> None:
        """Begin a row with a first record of an item."""
        self.shard = shard
        self.any = record
        """A record of it: all say which item it is."""

        self.at = record.at
        """When the first of these things happened; milliseconds since the epoch."""

        self.stored: ItemStored | None = None
        """When it was cut out of a webhook for the first time; None where that is not among them,
        but a repeat may be."""

        self.repeats = 0
        self.last: dict[str, ItemHandled] = {}
        """What happened last, by destination; the empty one stands for none."""

    def add(self, record: IndexRecord) -> None:
        """Take a record of the item; one that is there twice changes nothing but a repeat's."""
        self.at = min(self.at, record.at)
        if isinstance(record, ItemHandled):
            known = self.last.get(record.destination)
            if known is None or known.at <= record.at:
                self.last[record.destination] = record
        elif record.outcome is IndexOutcome.REPEAT:
            self.repeats += 1
        elif self.stored is None or record.at < self.stored.at:
            self.stored = record

    @property
    def outcomes(self) -> set[IndexOutcome]:
        """What it has come to: one at each destination; before that, what its store says."""
        found = {each.outcome for each in self.last.values()}
        if self.repeats:
            found.add(IndexOutcome.REPEAT)
        if self.stored is not None and (
            not self.last or self.stored.outcome is IndexOutcome.VARIANT
        ):
            found.add(self.stored.outcome)
        return found


class ItemRows:
    """Puts records together, one row an item, and holds `HELD_ROWS` of them at most."""

    def __init__(
        self, shard: str, wanted: IndexFilter, most: int | None = None, *, is_by_time: bool = True
    ) -> None:
        """Prepare.

        Args:
            shard: Where the records are from.
            wanted: Which items.
            most: How many rows will be shown; None for all.
            is_by_time: Whether those that are taken out together are in the order of their times;
                else of their first records, which no record that comes later changes.
        """
        self._is_by_time = is_by_time
        self._shard = shard
        self._wanted = wanted
        # One more, to know that there are more. What is judged by its end has to be held until it.
        is_judged_late = wanted.outcome is not None or wanted.destination is not None
        self._most = HELD_ROWS if most is None or is_judged_late else min(most + 1, HELD_ROWS)
        self._begins_more = most is None or is_judged_late or most >= HELD_ROWS
        self._rows: dict[tuple[str, str], ItemRow] = {}

    def add(self, record: IndexRecord) -> None:
        """Take a record, where it is meant."""
        item = (record.endpoint, record.token)
        row = self._rows.get(item)
        # First what is quick: of a million records a list of a hundred rows takes few.
        if row is None and len(self._rows) >= self._most and not self._begins_more:
            return
        if not self._wanted.matches(record) or not self._wanted.is_of_destination(record):
            return
        if row is None:
            row = self._rows[item] = ItemRow(self._shard, record)
        row.add(record)

    @property
    def is_full(self) -> bool:
        """Whether rows have to be taken out before more is read."""
        return self._begins_more and len(self._rows) >= HELD_ROWS

    def take_oldest(self) -> list[ItemRow]:
        """Take the half out that began first."""
        half = [self._rows.pop(item) for item in list(self._rows)[: max(1, len(self._rows) // 2)]]
        return list(self._meant(half))

    def take_all(self) -> list[ItemRow]:
        """Take all out."""
        rows = list(self._rows.values())
        self._rows.clear()
        return list(self._meant(rows))

    def _meant(self, rows: list[ItemRow]) -> Iterator[ItemRow]:
        ordered = sorted(rows, key=_began) if self._is_by_time else rows
        return (row for row in ordered if self._wanted.takes(row))


class MessageItems:
    """Which items are about one message, as far as the records of their stores were read."""

    def __init__(self, digest: str) -> None:
        """Prepare, with the message's digest (`message_digest`)."""
        self._digest = digest
        self._items: set[tuple[str, str]] = set()

    def know(self, record: IndexRecord) -> None:
        """Take a record's item for one about the message."""
        if len(self._items) < HELD_ITEMS:
            self._items.add((record.endpoint, record.token))

    def about_it(self, records: Sequence[IndexRecord]) -> list[IndexRecord]:
        """Return the records of those items, and remember items whose store is among them."""
        for record in records:
            if isinstance(record, ItemStored) and record.message == self._digest:
                self.know(record)
        return [each for each in records if (each.endpoint, each.token) in self._items]


def _began(row: ItemRow) -> int:
    return row.at
