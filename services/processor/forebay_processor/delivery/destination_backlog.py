"""The lanes of one destination that may have rows in RETRY, and what of them may be in memory.

`MemoryBounds` is one for the process: what all destinations share. If the process dies, all of it
is found out again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import RetrySubject
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.entry import RetryEntry
from forebay_processor.delivery.lane_cursor import LaneCursor
from forebay_processor.delivery.shares import DestinationShare
from forebay_processor.shared.partition_view import Partition

__all__ = ["Backlogs", "MemoryBounds"]

DELETED_REMEMBERED: Final = 16_384
"""Rows deleted last, which a replica that is behind may still show."""


class MemoryBounds:
    """What waits and is in memory, over all destinations of the process."""

    def __init__(self) -> None:
        self.payload_bytes = 0
        """Of what was read ahead."""

        self.blocked = 0
        """Conversations that wait because one of their entries failed."""

        self.max_payload_bytes = 64 * 1024 * 1024
        """Above it each lane has one entry in memory."""

        self.max_blocked = 150_000
        """1.8 kB each (docs/design/0020)."""

        self.max_blocked_of_one = 60_000
        """Of one destination: two that fail must not keep all others from being read."""

        self.always_blocked = 1_000
        """Who has fewer is read on, however many others have."""

        self.window = 256
        """Rows of one lane that are in memory and were not tried: one page."""

        self.of_conversation = 32
        """Rows of one conversation that are in memory."""

        self.max_passed = 2_048
        """Rows of conversations that do not fail which are only noted: further ones wait to be
        read, or one busy conversation would make the reader run through all that there is."""

        self._deleted: OrderedDict[tuple[str, int], None] = OrderedDict()

    def deleted(self, shard: str, sequence: int) -> None:
        """Remember a row that was deleted."""
        self._deleted[shard, sequence] = None
        if len(self._deleted) > DELETED_REMEMBERED:
            self._deleted.popitem(last=False)

    def is_deleted(self, shard: str, sequence: int) -> bool:
        """Say whether a row was deleted a while ago."""
        return (shard, sequence) in self._deleted


class Backlogs:
    """The lanes of one destination, by partition."""

    def __init__(
        self,
        endpoint: EndpointName,
        name: str,
        bounds: MemoryBounds,
        share: DestinationShare,
        on_replayed: Callable[[], None],
    ) -> None:
        self.share = share
        self._endpoint = endpoint
        self._name = name
        self._on_replayed = on_replayed
        self.bounds = bounds
        self.blocked = 0
        """Conversations of this destination that wait because an entry failed."""

        self.blocked_rows = 0
        """How many rows those have, as far as they were read: each waits for a failed one, or is
        one. A number for each conversation in memory, so it costs the same however many rows."""

        self.total = 0
        """How many rows there are, as far as they were counted."""

        self._lanes: dict[tuple[Partition, str], LaneCursor] = {}

    def __iter__(self) -> Iterator[LaneCursor]:
        """Go through all lanes."""
        return iter(list(self._lanes.values()))

    @property
    def stands_still(self) -> bool:
        """Whether so many conversations wait that nothing further is read."""
        bounds = self.bounds
        return self.blocked >= bounds.max_blocked_of_one or (
            bounds.blocked >= bounds.max_blocked and self.blocked >= bounds.always_blocked
        )

    def of(self, partition: Partition, shard: str, lane: str) -> LaneCursor:
        """Return the lane of a partition."""
        backlog = self._lanes.get((partition, lane))
        if backlog is None:
            namespace, name = self._endpoint
            subjects = (
                f"forebay.retry.{shard}.{partition.number:02d}.{lane}."
                f"{namespace}.{name}.{self._name}.>"
            )
            backlog = self._lanes[partition, lane] = LaneCursor(partition, subjects)
            if partition.is_vacant:
                backlog.begin(None, partition.floor)
        return backlog

    def of_subject(self, partition: Partition, subject: RetrySubject) -> LaneCursor:
        """Return the lane of a row."""
        return self.of(partition, subject.shard, subject.lane)

    def drop(self, partition: Partition) -> None:
        """Forget the lanes of a partition."""
        for key, backlog in list(self._lanes.items()):
            if key[0] is partition:
                backlog.is_dropped = True
                self.count(backlog, -backlog.count)
                self._weigh(backlog, -backlog.weight)
                del self._lanes[key]

    def room(self, backlog: LaneCursor, *, is_open: bool) -> int:
        """Return how many rows of a lane may be read now.

        Args:
            backlog: The lane.
            is_open: Whether rows may be worked as fast as it goes; else one is enough, for probes
                and to know when its age is over.
        """
        if self.stands_still or backlog.passed >= self.bounds.max_passed:
            return 0
        is_full = self.bounds.payload_bytes >= self.bounds.max_payload_bytes
        limit = self.bounds.window if (is_open and not is_full) or backlog.is_running_out else 1
        left = limit - backlog.loaded
        # Half a page at least, or there would be a request for each row.
        return left if left * 2 >= limit else 0

    def has_room(self, backlog: LaneCursor) -> bool:
        """Say whether one more row may be in memory that was not tried."""
        return (
            backlog.loaded < self.bounds.window
            and self.bounds.payload_bytes < self.bounds.max_payload_bytes
        )

    def count(self, backlog: LaneCursor, rows: int) -> None:
        """Count rows that came, or went."""
        backlog.count += rows
        self.total += rows

    def found(self, partition: Partition, subject: RetrySubject, sequence: int, size: int) -> None:
        """Count a row that was there when the partition was taken, unless it was deleted since.

        `size` is how many bytes it takes there.
        """
        if not self.bounds.is_deleted(subject.shard, sequence):
            backlog = self.of_subject(partition, subject)
            self.count(backlog, 1)
            self._weigh(backlog, size)

    def stored(self, backlog: LaneCursor, entry: RetryEntry) -> None:
        """Take it that an entry, which is counted, has a row now."""
        self._weigh(backlog, entry.weight)

    def _weigh(self, backlog: LaneCursor, size: int) -> None:
        backlog.weight += size
        self.share.weigh(backlog.shard, size)

    def replayed(self, backlog: LaneCursor, sequence: int, size: int) -> None:
        """Count a replayed row, of so many bytes, that came since the partition was taken, once.

        Who looks for replayed rows and who reads the lane may meet it in either order: what is read
        can be delivered and deleted before the next poll. Both go up by sequence.
        """
        if sequence > max(backlog.last_stored, backlog.partition.floor):
            backlog.last_stored = sequence
            self.count(backlog, 1)
            self._weigh(backlog, size)
            self._on_replayed()

    def gone(self, backlog: LaneCursor, entry: RetryEntry) -> None:
        """Count a row no more that was deleted, where it was counted."""
        partition, sequence = backlog.partition, entry.sequence
        if sequence and (sequence > partition.floor or sequence <= partition.counted_to):
            self.count(backlog, -1)
            self._weigh(backlog, -entry.weight)

    # -- what is in memory

    def take(self, backlog: LaneCursor, entry: RetryEntry) -> None:
        """Count an entry as one of its lane's window."""
        if not entry.is_counted:
            entry.is_counted = True
            backlog.loaded += 1

    def leave(self, backlog: LaneCursor, entry: RetryEntry) -> None:
        """Count an entry no more: it was tried, or is forgotten."""
        if entry.is_counted:
            entry.is_counted = False
            backlog.loaded -= 1
        self.drop_payload(entry)

    def keep_payload(self, entry: RetryEntry, payload: bytes, headers: dict[str, str]) -> None:
        """Have what is to be delivered in memory."""
        self.drop_payload(entry)
        entry.payload, entry.headers = payload, headers
        self.bounds.payload_bytes += entry.size

    def drop_payload(self, entry: RetryEntry) -> None:
        """Have it in memory no more; it is read again before it is tried."""
        self.bounds.payload_bytes -= entry.size
        entry.payload = None
        entry.headers = {}

    def block(self, backlog: LaneCursor, conversation: ConversationQueue) -> None:
        """Count a conversation as one that waits."""
        if not conversation.is_blocked:
            conversation.is_blocked = True
            self.blocked += 1
            self.bounds.blocked += 1
        self.recount(conversation)
        self.unpass(backlog, conversation, conversation.passed)

    def unblock(self, conversation: ConversationQueue) -> None:
        """Count it no more."""
        if conversation.is_blocked:
            conversation.is_blocked = False
            self.blocked -= 1
            self.bounds.blocked -= 1
            self.recount(conversation)

    def recount(self, conversation: ConversationQueue) -> None:
        """Count its rows as they are now; called after each change of which it has."""
        rows = conversation.rows if conversation.is_blocked else 0
        self.blocked_rows += rows - conversation.counted
        conversation.counted = rows

    def note(self, backlog: LaneCursor, conversation: ConversationQueue, sequence: int) -> None:
        """Note that a conversation has a row that is not in memory."""
        conversation.backlog = backlog
        if conversation.note(sequence) and not conversation.is_blocked:
            conversation.passed += 1
            backlog.passed += 1
        self.recount(conversation)

    def unpass(self, backlog: LaneCursor, conversation: ConversationQueue, rows: int) -> None:
        """Count so many noted rows as passed over no more."""
        rows = min(rows, conversation.passed)
        conversation.passed -= rows
        backlog.passed -= rows
