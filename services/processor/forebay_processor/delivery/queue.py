"""Delivery to one destination: first attempts, and what of them has to wait.

One `DestinationQueue` stands for one destination of one endpoint. Its items are ordered by
conversation and lane (`ConversationQueue`); of each one attempt is under way at a time, unless the
endpoint's ordering is `None`: then every item is a conversation of its own.

The first attempt never waits for long. An item that comes while an earlier one of its conversation
is under way, or while all places for attempts are taken, is held in memory for a moment: what a
quick destination works off at once is not worth two writes an item. It is parked in RETRY
(`parking`) when that takes longer, when the attempt before it fails, when the destination is slow
or too many are held, at its limit of rate, when its breaker is open, when the endpoint is paused,
behind what is parked already, and while RETRY holds rows of its lane that were not read yet. So
what a slow or dead destination takes from others is a bounded number of items in memory, and a
fraction of a second in which that shows. What waits in RETRY is tried by `retry_queue`.

What happens if the process dies, for each item and destination:

- before the attempt: its EVENTS message is unacked, it is delivered after the restart;
- during or after it, before EVENTS is acked: it may arrive twice, with the same `webhook-id`;
- parked, before EVENTS is acked: it comes again and is refused by RETRY; it is parked once;
- during or after an attempt from RETRY, before its row is deleted: it is delivered again;
- given up: the dead letter is stored first, then the row is deleted; it may be stored twice, as the
  same message of the same subject.
"""

import asyncio
import functools
from random import Random
from typing import Final

from forebay.core.dead_letters import DeadReason
from forebay.core.subjects import RetrySubject
from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.delivery.attempt import Attempts
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.backlog_reader import BacklogReader
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.conversations import Conversations
from forebay_processor.delivery.destination_backlog import Backlogs, MemoryBounds
from forebay_processor.delivery.destination_limits import DestinationLimits
from forebay_processor.delivery.destination_settings import DestinationSettings
from forebay_processor.delivery.destination_speed import CHECK_SECONDS, LINE_SECONDS, Pace
from forebay_processor.delivery.entry import PendingDelivery
from forebay_processor.delivery.incidents import DestinationIncidents
from forebay_processor.delivery.lane_cursor import BacklogState
from forebay_processor.delivery.parking import Parking
from forebay_processor.delivery.retry_queue import RetryQueue
from forebay_processor.delivery.retry_table import RetryTable
from forebay_processor.delivery.row_storing import RowStore
from forebay_processor.delivery.rows_in_memory import Window
from forebay_processor.delivery.shares import DestinationShare, StreamShares
from forebay_processor.destinations.port import Delivered, Failed, Rejected
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["DestinationQueue"]

CHAIN_ITEMS: Final = 32
"""How many items are held of one conversation."""

LINE_ITEMS: Final = 2048
"""How many items are held in one queue: 2 to 4 MB as they usually are, 32 MB at most."""

ITEM_BYTES: Final = 16 * 1024
"""What one item may be to count as one; a whole webhook of 3 MB counts as many."""

CROWDED_ITEMS: Final = LINE_ITEMS // 2
"""With more the dispatchers are asked to wait, as long as the destination is quick."""


class DestinationQueue:
    """One destination of one endpoint."""

    def __init__(  # its collaborators, each one thing
        self,
        incidents: DestinationIncidents,
        metrics: ProcessorMetrics,
        random: Random,
        time: StreamTime,
        bounds: MemoryBounds,
        shares: StreamShares,
    ) -> None:
        self.endpoint, self.name = endpoint, name = incidents.key
        share = DestinationShare(shares, endpoint.namespace)
        self._call_later = asyncio.get_running_loop().call_later
        change, tracer = self._on_breaker, metrics.tracer
        self._limits = limits = DestinationLimits(incidents, random, time, change, tracer)
        self.breaker, self.batches, self._limiter = limits.breaker, limits.batches, limits.attempts
        self._attempts = made = Attempts(endpoint, name, metrics, limits, time)
        table = RetryTable(endpoint, name, made, metrics, random, time, bounds, share)
        self._table, self.expires_at = table, table.expires_at
        self._settings, self._conversations = DestinationSettings(), Conversations()
        replayed = functools.partial(metrics.replayed, endpoint, name)
        self._backlogs = Backlogs(endpoint, name, bounds, share, replayed)
        self._reader = BacklogReader(
            self._backlogs,
            self._conversations,
            self._table,
            time,
            lambda: self._limits.may_work,
            self._wake,
            (str(endpoint), name),
        )
        self._window = Window(self._backlogs, self._conversations, self._reader, time, self._wake)
        parked = functools.partial(metrics.parked, endpoint, name)
        rows, index = RowStore(self._table, metrics, time), metrics.index
        self._parking = Parking(
            self._window, self._table, rows, limits, time, self._wake, parked, index
        )
        self._retry = RetryQueue(
            self._window, self._parking, self._table, self._limits, time, self._wake, self._end
        )
        self.retry_now, self.close_breaker = self._retry.retry_now, limits.close_breaker
        self._pace = Pace(self._judged)
        self._holding: dict[str, ConversationQueue] = {}
        """Conversations that hold items, or did at the last check."""

        self._check_timer: asyncio.TimerHandle | None = None
        self._held = 0
        """How many items all conversations hold in memory, large ones counted by their size."""

        self._room = asyncio.Event()
        self._room.set()

    @property
    def parked(self) -> int:
        """How many items wait in RETRY, as far as they were counted."""
        return self._backlogs.total

    @property
    def backlogs(self) -> Backlogs:
        """What is known of RETRY, for reading."""
        return self._backlogs

    @property
    def conversations(self) -> Conversations:
        """What of RETRY is in memory, for reading."""
        return self._conversations

    @property
    def is_crowded(self) -> bool:
        """Whether it is better to wait for `room` before the next item is offered."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until it is not crowded: a moment, for who is slow is not waited for."""
        await self._room.wait()

    def knows(self, partition: Partition, shard: str, lane: str) -> bool:
        """Say whether it is known what RETRY holds of a lane."""
        return self._backlogs.of(partition, shard, lane).state is not BacklogState.UNKNOWN

    async def learn(self, partition: Partition, shard: str, lane: str) -> None:
        """Ask what RETRY holds of a lane; waits while NATS does not answer."""
        await self._reader.learn(self._backlogs.of(partition, shard, lane))

    def read_lane(self, partition: Partition, shard: str, lane: str) -> None:
        """Read what RETRY holds of a lane, as there is room for it."""
        self._reader.refill(self._backlogs.of(partition, shard, lane))

    def shown(self, partition: Partition, subject: RetrySubject, sequence: int, size: int) -> None:
        """Take notice of a row, of so many bytes, that somebody else wrote to RETRY meanwhile."""
        backlog = self._backlogs.of_subject(partition, subject)
        self._backlogs.replayed(backlog, sequence, size)
        backlog.shown(sequence)
        self._reader.refill(backlog)

    def configure(self, settings: DestinationSettings) -> None:
        """Take new settings; what is under way goes on."""
        could_work = self._limits.may_work
        is_reordered = settings.is_ordered != self._settings.is_ordered
        self._settings = self._attempts.settings = settings
        if settings.config is not None:
            self._table.retry = settings.config.retry
        self._limits.configure(settings)
        if is_reordered:
            self._reorder(is_ordered=settings.is_ordered)
        if could_work and not self._limits.may_work:
            self._window.close()
        for key, _ in self._conversations:
            self._wake(key)
        self._reader.refill_all()

    def share(self, members: int) -> None:
        """Take no more of the destination's limits than is fair among so many processors."""
        self._limits.share(members)

    def _on_breaker(self, *, is_open: bool) -> None:
        if is_open:
            self._window.destination_is_back(self.breaker.failed_with_others)
        else:
            self._window.close()

    def wake_rows(self) -> None:
        """Begin to work what waits in RETRY of partitions that have started."""
        for key, conversation in self._conversations:
            if conversation.has_rows or conversation.storing:
                self._wake(key)
        self._reader.refill_all()

    def drop(self, partition: Partition) -> None:
        """Forget all that waits of a partition: somebody else will have it.

        What is under way ends by itself, and nothing is written for it any more.
        """
        for _, conversation in self._conversations:
            held = [work for work in conversation.held if work.partition is not partition]
            if len(held) < len(conversation.held):
                self._count_held(sum(map(_weight, held)) - sum(map(_weight, conversation.held)))
                conversation.held = held
        self._window.drop(partition)
        self._limits.batches.flush(partition)

    # -- first attempts

    def offer(self, work: PendingDelivery) -> None:
        """Take an item that comes for the first time; it says itself when EVENTS may forget it."""
        known = self._conversations.entries.get(work.subject.row_key)
        if known is not None and known.sequence:
            # It comes again because its ack was lost: it is parked already.
            work.finish()
            return
        key = self._conversations.key(work.subject)
        conversation = self._conversations.of(key)
        backlog = self._backlogs.of_subject(work.partition, work.subject)
        if (
            conversation.has_rows
            or conversation.storing
            or not backlog.is_caught_up
            or not self._limits.is_open
        ):
            self._park_held(key, conversation)
            self._parking.park(key, conversation, work)
            self._wake(key)
        elif conversation.is_busy or conversation.held:
            self._hold(key, conversation, work)
        elif self._limiter.try_take():
            self._pace.is_slow = False
            self._begin(key, conversation, work)
        elif self._limiter.is_held_off:
            self._parking.park(key, conversation, work)
        elif self._pace.is_slow:
            self._parking.park(key, conversation, work)
            self._pace.watch()
        else:
            self._hold(key, conversation, work)

    def _judged(self) -> bool:
        self._count_held(0)
        return self._held > 0

    def _begin(self, key: str, conversation: ConversationQueue, work: PendingDelivery) -> None:
        """Start an attempt; the place is taken."""
        conversation.is_busy = True
        conversation.current = work
        conversation.since = self._pace.now()
        conversation.ended_before = self._pace.ended
        work.partition.spawn(self._try_first(key, conversation, work))

    def _hold(self, key: str, conversation: ConversationQueue, work: PendingDelivery) -> None:
        now = self._pace.now()
        if (
            len(conversation.held) >= CHAIN_ITEMS
            or self._held >= LINE_ITEMS
            or (conversation.is_busy and self._takes_long(conversation, now))
        ):
            self._park_held(key, conversation)
            self._parking.park(key, conversation, work)
            return
        if not conversation.is_busy and not conversation.held:
            conversation.since = now
        conversation.held.append(work)
        self._count_held(_weight(work))
        self._holding[key] = conversation
        if self._check_timer is None:
            self._check_timer = self._call_later(CHECK_SECONDS, self._check)
        if not conversation.is_busy:
            self._retry.queue(key, conversation)
            self._pace.watch()

    def _takes_long(self, conversation: ConversationQueue, now: float) -> bool:
        seconds = now - conversation.since
        return self._pace.takes_long(conversation.ended_before, seconds)

    def _check(self) -> None:
        """Park what was held for long enough."""
        self._pace.note_check(self._check_timer)
        now = self._pace.now()
        for key, conversation in list(self._holding.items()):
            if not conversation.held:
                del self._holding[key]
            elif conversation.is_busy:
                if self._takes_long(conversation, now):
                    self._park_held(key, conversation)
            elif now - conversation.since >= LINE_SECONDS:
                if self._pace.is_slow:
                    self._park_held(key, conversation)
                    self._wake(key)
                else:
                    # Many are before it, and it will not be long.
                    conversation.since = now
        self._check_timer = self._call_later(CHECK_SECONDS, self._check) if self._holding else None

    def _park_held(self, key: str, conversation: ConversationQueue) -> None:
        while conversation.held:
            work = conversation.held.pop(0)
            self._count_held(-_weight(work))
            self._parking.park(key, conversation, work)

    def _count_held(self, change: int) -> None:
        self._held += change
        if self._held >= CROWDED_ITEMS and not self._pace.is_slow:
            self._room.clear()
        else:
            self._room.set()

    async def _try_first(
        self, key: str, conversation: ConversationQueue, work: PendingDelivery
    ) -> None:
        """Try an item for the first time. Holds one place."""
        try:
            if not await work.partition.held():
                return
            make = self._attempts.make
            result = await make(work.partition, work.subject, work.payload, work.headers, 1)
            match result:
                case Delivered():
                    self._parking.settle_current(conversation, work)
                case _ if work.partition.is_lost:
                    return
                case Rejected(error=error):
                    await self._dead_letter_first(key, conversation, work, error)
                case Failed():
                    self._parking.park_failed(key, conversation, work, result)
                    self._park_held(key, conversation)
        finally:
            conversation.current = conversation.current_entry = None
            self._end(key, conversation, self._limiter)

    async def _dead_letter_first(
        self, key: str, conversation: ConversationQueue, work: PendingDelivery, error: str
    ) -> None:
        failure = (DeadReason.REJECTED, error)
        try:
            await self._table.dead_letter(
                work.partition, work.subject, work.payload, work.headers, 1, failure
            )
        except StoreError as trouble:
            if work.partition.is_lost:
                return
            # DEAD has no room: it waits in RETRY, and so does its conversation.
            self._table.trouble("dead_letter", trouble)
            self._parking.park_failed(key, conversation, work, Failed(error), failure)
            self._park_held(key, conversation)
        else:
            self._parking.settle_current(conversation, work)

    def _end(self, key: str, conversation: ConversationQueue, limiter: AttemptLimiter) -> None:
        """Release what an attempt held, and see what is next."""
        conversation.is_busy = False
        self._pace.ended += 1
        conversation.since = self._pace.now()
        limiter.give_back()
        self._wake(key)

    def _wake(self, key: str) -> None:
        """See what is next in a conversation, and whether it can be tried now, later or not at all.

        Called after all that could change the answer: an attempt ended, a row became ready, a timer
        or a place came, settings changed. Where the answer is "now", there is a place; where it is
        "later", a timer or a place in the limiter's line is left behind.
        """
        conversation = self._conversations.find(key)
        if conversation is None or conversation.is_busy:
            return
        if conversation.is_idle:
            self._window.release(conversation)
            self._conversations.remove(key)
            return
        if conversation.held and (not self._limits.is_open or self._limiter.is_held_off):
            self._park_held(key, conversation)
        if conversation.has_rows or conversation.storing:
            self._retry.wake(key, conversation)
        elif self._limiter.try_take():
            work = conversation.held.pop(0)
            self._begin(key, conversation, work)
            self._count_held(-_weight(work))
        else:
            self._retry.queue(key, conversation)

    def _reorder(self, *, is_ordered: bool) -> None:
        for key, conversation in self._conversations:
            if not conversation.is_busy:
                self._park_held(key, conversation)
        self._window.reorder(is_ordered=is_ordered)


def _weight(work: PendingDelivery) -> int:
    return 1 + len(work.payload) // ITEM_BYTES
