"""Who may have how much of RETRY and of DEAD, so that no destination takes what others need.

A stream refuses what it has no room for, whoever it is of: one destination that is down would fill
RETRY, and then nothing of its shard could be put aside. So, of RETRY,

- a destination may have nine tenths of what all others leave of it, and all destinations of a
  namespace together nineteen twentieths;
- the last twentieth is for destinations that have little, half of it for namespaces that do.

And the last fifth of DEAD is for destinations that have little in both streams; what is given up
for want of room in RETRY never gets it.

What becomes of the rest is the business of `row_storing`, `retry_table` and the splitter. All
figures are of what this process stored, read or counted, and of the streams' sizes, which are asked
for each second or more often (docs/design/0043 says how far off that may be). If the process dies,
the next owner of its partitions counts anew.
"""

from collections import Counter
from typing import Final

from forebay.core.dead_letters import DeadReason
from forebay.runtime.jetstream.errors import StoreFull

__all__ = [
    "BeyondShare",
    "DestinationShare",
    "ShardShares",
    "StreamFill",
    "StreamShares",
    "row_bytes",
]

OF_DESTINATION: Final = 0.9
"""Of what all other destinations leave of RETRY."""

OF_NAMESPACE: Final = 0.95
"""Of what all other namespaces leave."""

KEPT: Final = 0.05
"""Of RETRY, for destinations that have little: 64 MiB as the chart has it, 55,000 items."""

KEPT_FOR_NAMESPACES: Final = 0.025
"""Of RETRY and of that, for namespaces that have little."""

LITTLE: Final = 0.005
"""Of RETRY: what a destination may have of what is kept. 5,500 items as the chart has it."""

LITTLE_OF_NAMESPACE: Final = 0.01
"""Of RETRY: what all destinations of a namespace may have of what is kept for namespaces."""

KEPT_OF_DEAD: Final = 0.2
"""Of DEAD, for letters of destinations that have little."""

LITTLE_OF_DEAD: Final = 0.01
"""Of DEAD: letters of a destination that may be written there, since this process began."""

HELD_FROM: Final = 0.7
"""Of DEAD: above it webhooks of an endpoint one of whose destinations has its share of RETRY are
not split any more. What was split by then still finds room, up to `KEPT_OF_DEAD`."""

HELD_AT: Final = 0.98
"""Of its share of RETRY: what is left is smaller than a large row may be."""

ROW_OVERHEAD: Final = 512
"""Bytes of a row or letter beside its payload: subject, headers, and what NATS adds."""


def row_bytes(payload: int) -> int:
    """Return about how many bytes a row of RETRY takes of the stream."""
    return payload + ROW_OVERHEAD


class BeyondShare(StoreFull):
    """There may be room, but not for more of this destination."""


class StreamFill:
    """How full a stream is: as it was when it was asked last, and what was stored since."""

    __slots__ = ("_bytes", "_stored", "_stored_before", "limit")

    def __init__(self) -> None:
        self.limit = 0
        """Its `max_bytes`; 0 where that is not known, or there is none."""

        self._bytes = 0
        self._stored = 0
        self._stored_before = 0

    @property
    def used(self) -> int:
        """Bytes, at most: what was deleted since the last poll counts until the next one."""
        return self._bytes + self._stored - self._stored_before

    def stored(self, size: int) -> None:
        """Count what this process stored."""
        self._stored += size

    def begin_poll(self) -> int:
        """Begin to ask for its size; returns what `end_poll` has to be given."""
        return self._stored

    def end_poll(self, begun: int, used: int, limit: int) -> None:
        """Take the answer: what was stored since it was asked for may not be in it."""
        self._bytes, self._stored_before, self.limit = used, begun, max(limit, 0)

    def has_room(self, size: int, kept: float) -> bool:
        """Say whether so many bytes leave a part of it free; of one without limit, always."""
        return not self.limit or self.used + size <= self.limit * (1 - kept)


class ShardShares:
    """RETRY and DEAD of one shard."""

    def __init__(self) -> None:
        self.retry, self.dead = StreamFill(), StreamFill()
        self.members = 1
        """Processors of the shard."""

        self._here = 0
        self._of_namespaces: Counter[str] = Counter()

    def weigh(self, namespace: str, size: int) -> None:
        """Count rows of this process' partitions that came, or (negative) went, in bytes."""
        self._here += size
        self._of_namespaces[namespace] += size
        if self._of_namespaces[namespace] <= 0:
            del self._of_namespaces[namespace]

    def admits_row(self, namespace: str, has: int, size: int) -> bool:
        """Say whether RETRY may have one more row of a destination.

        Args:
            namespace: The destination's.
            has: Bytes of its rows in this process' partitions.
            size: Bytes of the row.
        """
        retry, all_have = self.retry, self._of_namespaces.get(namespace, 0)
        if not retry.limit:
            return True
        if self.is_little(has + size) and (
            self._is_within(all_have + size, LITTLE_OF_NAMESPACE)
            or retry.has_room(size, KEPT_FOR_NAMESPACES)
        ):
            return True
        return all(
            self._everywhere(own) + size <= self._most(own, share)
            for own, share in ((has, OF_DESTINATION), (all_have, OF_NAMESPACE))
        )

    def admits_letter(self, reason: DeadReason, rows: int, letters: int, size: int) -> bool:
        """Say whether DEAD may have one more letter of a destination.

        Args:
            reason: The letter's.
            rows: Bytes of the destination's rows in this process' partitions.
            letters: Bytes of the letters that this process wrote of it.
            size: Bytes of the letter.
        """
        if self.dead.has_room(size, KEPT_OF_DEAD):
            return True
        has_little = (letters + size) * self.members <= self.dead.limit * LITTLE_OF_DEAD
        return reason is not DeadReason.NO_ROOM and has_little and self.is_little(rows)

    def is_little(self, has: int) -> bool:
        """Say whether a destination that has so many bytes here may use what is kept of RETRY."""
        return not self.retry.limit or self._is_within(has, LITTLE)

    def used_of_share(self, namespace: str, has: int) -> float:
        """Return how much of what it may have a destination has: 1 where it gets no more."""
        limit, all_have = self.retry.limit, self._of_namespaces.get(namespace, 0)
        if not limit or not has:
            return 0.0
        return max(
            self._everywhere(own) / max(self._most(own, share), limit * little)
            for own, share, little in (
                (has, OF_DESTINATION, LITTLE),
                (all_have, OF_NAMESPACE, LITTLE_OF_NAMESPACE),
            )
        )

    @property
    def is_holding(self) -> bool:
        """Whether DEAD is so full that no more is to come for who has its share of RETRY."""
        return not self.dead.has_room(0, 1 - HELD_FROM)

    def _is_within(self, has: int, share: float) -> bool:
        return has * self.members <= self.retry.limit * share

    def _everywhere(self, has: int) -> float:
        """Return what somebody has of the whole stream, who has so much of what is here.

        Right where this process has all partitions, and where nobody else has anything in the
        stream; else as far as its partitions are like the others.
        """
        return has * self.retry.used / max(self._here, 1)

    def _most(self, has: int, share: float) -> float:
        """Return what somebody may have of it, beside what all others have."""
        others = self.retry.used - self._everywhere(has)
        return share * (self.retry.limit * (1 - KEPT) - others)


class StreamShares:
    """All shards of a process."""

    def __init__(self) -> None:
        self._members = 1
        self._shards: dict[str, ShardShares] = {}

    def of(self, shard: str) -> ShardShares:
        """Return a shard's."""
        there = self._shards.get(shard)
        if there is None:
            there = self._shards[shard] = ShardShares()
            there.members = self._members
        return there

    def share(self, members: int) -> None:
        """Take it that so many processors work the same streams, this one included."""
        self._members = members
        for each in self._shards.values():
            each.members = members

    @property
    def is_holding(self) -> bool:
        """Whether a shard's DEAD is so full that endpoints may be held."""
        return any(each.is_holding for each in self._shards.values())


class DestinationShare:
    """What one destination has, and whether it may have more.

    In each shard by itself: an endpoint that moves to another has rows in both for a while.
    """

    def __init__(self, shares: StreamShares, namespace: str) -> None:
        self._shares = shares
        self._namespace = namespace
        self._rows: Counter[str] = Counter()
        """Bytes of its rows in this process' partitions, as far as they were counted, and of those
        that are on their way, by shard."""

        self._letters: Counter[str] = Counter()
        """Bytes of the letters that this process wrote of it, by shard."""

    @property
    def rows(self) -> int:
        """Bytes of its rows in this process' partitions."""
        return self._rows.total()

    def weigh(self, shard: str, size: int) -> None:
        """Count rows that came, or (negative) went, in bytes."""
        self._rows[shard] += size
        self._shares.of(shard).weigh(self._namespace, size)

    def admits_row(self, shard: str, size: int) -> bool:
        """Say whether RETRY may have one more row of it, of so many bytes."""
        return self._shares.of(shard).admits_row(self._namespace, self._rows[shard], size)

    def row_begins(self, shard: str, size: int) -> None:
        """Count a row that is being stored; `weigh` takes it off when the answer is there."""
        self._shares.of(shard).retry.stored(size)
        self.weigh(shard, size)

    def admits_letter(self, shard: str, reason: DeadReason, size: int) -> bool:
        """Say whether DEAD may have one more letter of it, of so many bytes."""
        has, wrote = self._rows[shard], self._letters[shard]
        return self._shares.of(shard).admits_letter(reason, has, wrote, size)

    def letter_begins(self, shard: str, size: int) -> None:
        """Count a letter that is being stored: 500 can be."""
        self._shares.of(shard).dead.stored(size)

    def letter_stored(self, shard: str, size: int) -> None:
        """Take it that it was stored."""
        self._letters[shard] += size

    @property
    def used(self) -> float:
        """How much of what it may have of RETRY it has: 1 where it gets no more."""
        return max((self._used(each) for each in self._rows), default=0.0)

    @property
    def is_held(self) -> bool:
        """Whether neither RETRY nor DEAD is to get more of it from RAW."""
        return any(
            self._shares.of(each).is_holding and self._used(each) >= HELD_AT for each in self._rows
        )

    def _used(self, shard: str) -> float:
        return self._shares.of(shard).used_of_share(self._namespace, self._rows[shard])
