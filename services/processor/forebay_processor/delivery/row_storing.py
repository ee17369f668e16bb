"""Rows of RETRY, stored: written until they are there, or given up where they find no room.

A row finds no room where RETRY is full, or where its destination has its share of it (`shares`). It
is written again for some seconds, and may be tried from memory meanwhile; then it is a dead letter,
`NoRoom`. So what one destination may have unacked in EVENTS, where it would be in the way of all
others of its partition, is what comes for it in those seconds.

If the process dies: EVENTS hands out again what is not acked. What was stored is refused by RETRY
then; what was given up is given up again, as the same message of DEAD.
"""

import enum
from collections.abc import Callable
from typing import Final

from forebay.core import envelope
from forebay.core.dead_letters import DeadReason
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.errors import ClaimedBefore, StoreError, StoreFull, StoreUnavailable
from forebay_processor.delivery.dead_letters import kept
from forebay_processor.delivery.delivery_traces import record_publish
from forebay_processor.delivery.destination_settings import DestinationState
from forebay_processor.delivery.entry import EntryState, PendingDelivery, RetryEntry
from forebay_processor.delivery.retry_row_reader import epoch_of
from forebay_processor.delivery.retry_table import RetryTable
from forebay_processor.delivery.shares import BeyondShare, row_bytes
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["NO_ROOM_SECONDS", "RowStore", "Stored"]

MEBIBYTE: Final = 1024 * 1024

STORE_PAUSE_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before RETRY is written again after a failure."""

NO_ROOM_SECONDS: Final = 10.0
"""For room to come, since an item began to wait. Longer than a destination that drains needs to
make some; short enough that 500 items a second of one lane and partition, more than a processor
works, are not more than EVENTS hands out unacked (5,000), which would stop all others there."""

WRITES_AT_ONCE: Final = 5
"""How often a row is written at once that was refused for one which is gone when it is read."""


class Stored(enum.Enum):
    """The outcome of storing a row."""

    NEW = enum.auto()
    KNOWN = enum.auto()
    """It was there: the item came from EVENTS before."""

    NEVER = enum.auto()
    """It is not needed any more: delivered, dead, or of a deleted endpoint."""

    TRIED = enum.auto()
    """RETRY had no room, and it is being tried from memory."""

    LEFT = enum.auto()
    """The partition is given back or lost: EVENTS keeps the item for the next owner."""


class RowStore:
    """Stores rows of one destination of one endpoint."""

    def __init__(self, table: RetryTable, metrics: ProcessorMetrics, time: StreamTime) -> None:
        """Prepare.

        Args:
            table: What else is done with rows of this destination.
            metrics: Where traces are.
            time: What time it is for items.
        """
        self._table = table
        self._share = table.share
        self._metrics = metrics
        self._time = time

    async def store(
        self,
        entry: RetryEntry,
        work: PendingDelivery,
        on_no_room: Callable[[], None],
        is_under_way: Callable[[], bool],
    ) -> Stored:
        """Write a row, and again until it is stored: EVENTS keeps the item until then.

        Between two writes it is `UNSTORED`, where RETRY surely does not hold it: then it may be
        tried from memory. Otherwise a full RETRY could wait forever, for what it holds may stand
        behind what it has no room for. What finds no room for `NO_ROOM_SECONDS`, or until EVENTS is
        about to forget it, becomes a dead letter.

        Args:
            entry: The row.
            work: Its item.
            on_no_room: Called when it may be tried from memory.
            is_under_way: Says whether its first attempt is: then it is not given up.
        """
        pause, longest = STORE_PAUSE_SECONDS
        is_surely_out, is_asked = True, False
        outcome = Stored.NEVER
        while self._table.state is not DestinationState.DELETED:
            if entry.state is EntryState.FINISHED and is_surely_out:
                break
            try:
                outcome = await self._store_once(entry, work, is_surely_out, is_asked)
            except StoreError as error:
                # RETRY is full, the destination has its share of it, or NATS is away.
                if entry.partition.is_lost:
                    return Stored.LEFT
                self._note(error)
                # Where no answer came the row may be there, and would be delivered once more.
                is_surely_out = is_surely_out and isinstance(error, StoreFull)
                is_asked = is_asked or isinstance(error, BeyondShare)
                may_end = is_surely_out and not is_under_way()
                if await self._is_given_up(entry, work, has_no_row=may_end):
                    break
                if is_surely_out and entry.state is EntryState.STORING:
                    entry.state = EntryState.UNSTORED
                    on_no_room()
                is_going_on = await entry.partition.pause(pause)
                if entry.state is EntryState.IN_FLIGHT:
                    return Stored.TRIED
                if not is_going_on:
                    return Stored.LEFT
                if entry.state is EntryState.UNSTORED:
                    entry.state = EntryState.STORING
                pause = min(pause * 2, longest)
                continue
            break
        # Only of a row that was stored while the partition was certainly ours does the next owner
        # know: it asks RETRY after our lease. EVENTS may forget the item of no other.
        return outcome if await entry.partition.held() else Stored.LEFT

    async def _store_once(
        self,
        entry: RetryEntry,
        work: PendingDelivery,
        is_surely_out: bool,  # noqa: FBT001  # what is known of the row
        is_asked: bool,  # noqa: FBT001  # the same
    ) -> Stored:
        """Write a row where its destination may have one more; raises StoreError.

        Where it may not, an earlier owner may have stored the item, whose ack was lost. That is
        asked for once. Where it may be there from this process, it is written: RETRY knows.
        """
        shard, size = entry.subject.shard, row_bytes(len(work.payload))
        if not is_surely_out or self._share.admits_row(shard, size):
            # On its way it counts as well: 500 large ones can be.
            self._share.row_begins(shard, size)
            try:
                return await self._write(entry, work)
            finally:
                self._share.weigh(shard, -size)
        if not is_asked and await self._is_there(entry):
            return Stored.KNOWN
        message = "the destination has its share of RETRY"
        raise BeyondShare(message)

    def _note(self, error: StoreError) -> None:
        if isinstance(error, BeyondShare):
            self._table.incidents.beyond_share(self._share.rows / MEBIBYTE)
        else:
            self._table.trouble("park", error)

    async def _write(self, entry: RetryEntry, work: PendingDelivery) -> Stored:
        """Write a row once; raises StoreError."""
        headers = self._row_headers(entry, work.headers)
        tracer = self._metrics.tracer
        began = 0.0 if tracer is None else tracer.now()
        for _ in range(WRITES_AT_ONCE):
            try:
                ack = await entry.partition.publish(str(entry.subject), work.payload, headers)
            except ClaimedBefore:
                if await self._is_there(entry):
                    return Stored.KNOWN
                continue
            entry.sequence, entry.weight = ack.seq, row_bytes(len(work.payload))
            if tracer is not None:
                record_publish(
                    tracer,
                    StreamKind.RETRY,
                    entry.subject,
                    headers,
                    began,
                    has_failed=entry.attempts > 0,
                )
            return Stored.NEW
        message = "a row of RETRY comes and goes"
        raise StoreUnavailable(message)

    @staticmethod
    async def _is_there(entry: RetryEntry) -> bool:
        """Say whether RETRY holds a row of the item; raises StoreError.

        One that is there may be void: an owner whose partition it was not any more stored it. It
        would be deleted by whoever comes across it, so it does not count.
        """
        partition = entry.partition
        stream = stream_name(StreamKind.RETRY, entry.subject.shard)
        there = await partition.first_row(stream, str(entry.subject), 0)
        if there is None:
            return False
        if partition.is_void(epoch_of(there), there.sequence):
            await partition.delete(stream, there.sequence)
            return False
        entry.sequence, entry.weight = there.sequence, row_bytes(len(there.payload))
        return True

    async def _is_given_up(
        self, entry: RetryEntry, work: PendingDelivery, *, has_no_row: bool
    ) -> bool:
        """Make a dead letter of what has waited for room long enough; say whether it is one."""
        if self._time.now() >= entry.partition.ages.item_ends(work.stored_at):
            failure = (DeadReason.EXPIRED, "RETRY has no room")
        elif has_no_row and self._time.steady() - entry.since >= NO_ROOM_SECONDS:
            failure = entry.failure or (DeadReason.NO_ROOM, "RETRY has no room")
        else:
            return False
        try:
            await self._table.dead_letter(
                entry.partition, entry.subject, work.payload, work.headers, entry.attempts, failure
            )
        except StoreError as error:
            self._table.trouble("dead_letter", error)
            return False
        return True

    def _row_headers(self, entry: RetryEntry, headers: dict[str, str]) -> dict[str, str]:
        return {
            **kept(headers),
            envelope.CONVERSATION: entry.subject.conversation,
            envelope.ORDER: str(entry.order),
            envelope.ATTEMPTS: str(entry.attempts),
            envelope.EPOCH: str(entry.partition.epoch),
            envelope.DUE_AT: self._millis(entry.due),
            envelope.FIRST_TRIED_AT: self._millis(entry.since),
        }

    def _millis(self, moment: float) -> str:
        return str(int(self._time.to_streams(moment) * 1000))
