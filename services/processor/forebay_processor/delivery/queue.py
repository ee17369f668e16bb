"""Delivery to one destination: first attempts, what waits in RETRY, order, dead letters.

One `Channel` stands for one destination of one endpoint. Its items are ordered by conversation and
lane (`Chain`); of each chain one attempt is under way at a time, unless the endpoint's ordering is
`None`: then every item is a chain of its own.

The first attempt never waits for long. An item that comes while an earlier one of its chain is
under way, or while all places for attempts are taken, is held in memory for a moment: what a quick
destination works off at once is not worth two writes an item. It is parked in RETRY when that takes
longer, when the attempt before it fails, when the destination is slow or too many are held, at its
limit of rate, when its breaker is open, when the endpoint is paused, or behind what is parked
already. So what a slow or dead destination takes
from others is a bounded number of items in memory, and a fraction of a second in which that shows.

What happens if the process dies, for each item and destination:

- before the attempt: its EVENTS message is unacked, it is delivered after the restart;
- during the attempt: the same; it may arrive twice, with the same `webhook-id`;
- after the attempt, before EVENTS is acked: the same;
- parked, before EVENTS is acked: it comes again and is found in RETRY; it is parked once;
- during or after an attempt from RETRY, before its row is deleted: it is delivered again;
- given up: the dead letter is stored first, then the row is deleted; it may be stored twice, as the
  same message of the same subject.
"""

import asyncio
import functools
import math
from collections import deque
from random import Random
from typing import Final

from forebay.core.letters import DeadReason
from forebay.core.naming import EndpointName
from forebay.core.subjects import REPLAY, Lane, RetrySubject
from forebay.runtime.store_errors import StoreError
from forebay_processor.delivery.attempt import Attempts
from forebay_processor.delivery.destination_settings import ChannelSettings, ChannelState
from forebay_processor.delivery.gate import GONE_SLOTS, Gate
from forebay_processor.delivery.limits import Slots
from forebay_processor.delivery.retry_table import Rows
from forebay_processor.delivery.work import Chain, Parked, Work
from forebay_processor.destinations.port import Delivered, Failed, Rejected
from forebay_processor.destinations.retry_after import RETRY_AFTER_LIMIT
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Channel"]

HOLD_SECONDS: Final = 0.25
"""How long an attempt may take before what is held behind it is parked: a healthy destination
answers within it, and parking costs two writes."""

LINE_SECONDS: Final = 1.0
"""How long an item waits for a place of a slow destination before it is parked, and how long an
attempt may take where the destination works off much at the same time: there it is this process or
the destination's that does not get the CPU, and parking would take more of that."""

LOOK_SECONDS: Final = 0.05
"""Between two looks at what is held: one look at all costs less than a timer for each. A look, or a
judgement of the pace, that comes later than that tells of this process and not of the destination:
it did not run, and so it saw no answer. That time counts for nobody; but of two judgements in a row
the second one counts, for a process whose processor is throttled is late at each."""

PACE_SECONDS: Final = 0.25
QUICK_ENDED: Final = 64
"""So many attempts have to end within that time, or the destination counts as slow: 256 a second.
A quicker one is better waited for: 3,800 deliveries a second went through memory, 1,080 through
RETRY (one process; 2 cores shared with nats-server and the destination)."""

CHAIN_ITEMS: Final = 32
"""How many items are held in one chain."""

LINE_ITEMS: Final = 2048
"""How many items are held in one channel: 2 to 4 MB as they usually are, 32 MB at most."""

ITEM_BYTES: Final = 16 * 1024
"""What one item may be to count as one; a whole webhook of 3 MB counts as many."""

CROWDED_ITEMS: Final = LINE_ITEMS // 2
"""With more the deliverers are asked to wait, as long as the destination is quick."""

ROW_PAUSE_SECONDS: Final = 3.0
"""Before a row is tried again when it could not be read, written or deleted."""


REST_SECONDS: Final = 3600.0
"""Between two looks at a row that nobody may try: the shard's window may be changed meanwhile."""

_RANKS: Final[dict[str, int]] = {Lane.LIVE: 0, Lane.STATUS: 1, Lane.BULK: 2, REPLAY: 2}


class Channel:
    """One destination of one endpoint."""

    def __init__(
        self,
        endpoint: EndpointName,
        name: str,
        metrics: ProcessorMetrics,
        random: Random,
        time: StreamTime,
    ) -> None:
        self.endpoint = endpoint
        self.name = name
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._call_later = loop.call_later
        self._metrics = metrics
        self._time = time
        self._gate = Gate(endpoint, name, metrics, random, time, self._destination_is_back)
        self.breaker = self._gate.breaker
        self._slots = self._gate.slots
        self._attempts = Attempts(endpoint, name, metrics, self.breaker, time)
        self._row_works = Rows(endpoint, name, self._attempts, metrics, random, time)
        self._settings = ChannelSettings()
        self._graves = Slots(GONE_SLOTS)
        """Places for giving up what cannot be tried before its age is over."""

        self._chains: dict[str, Chain] = {}
        self._rows: dict[str, Parked] = {}
        """What is in some chain's `parked`, by what tells rows apart."""

        self._holding: dict[str, Chain] = {}
        """Chains that hold items, or did at the last look."""

        self._look_timer: asyncio.TimerHandle | None = None
        self._stood_still = 0.0
        """Seconds in which this process did not run while items were held."""

        self._held = 0
        """How many items all chains hold in memory, large ones counted by their size."""

        self._is_slow = False
        """Whether the destination works off little, though all its places are taken."""

        self._ended = 0
        """Attempts that have ended, and at the last look at the pace."""

        self._ended_before = 0
        self._pace_timer: asyncio.TimerHandle | None = None
        self._was_late = False
        """Whether the last judgement of the pace said nothing."""

        self._room = asyncio.Event()
        self._room.set()

    @property
    def parked(self) -> int:
        """How many items wait in RETRY."""
        return len(self._rows)

    @property
    def is_crowded(self) -> bool:
        """Whether it is better to wait for `room` before the next item is offered."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until it is not crowded: a moment, for who is slow is not waited for."""
        await self._room.wait()

    def configure(self, settings: ChannelSettings) -> None:
        """Take new settings; what is under way goes on."""
        is_reordered = settings.is_ordered != self._settings.is_ordered
        self._settings = self._attempts.settings = settings
        if settings.config is not None:
            self._row_works.retry = settings.config.retry
        self._gate.configure(settings)
        if is_reordered:
            self._reorder()
        for key in list(self._chains):
            self._wake(key)

    def share(self, members: int) -> None:
        """Take no more of the destination's limits than is fair among so many processors."""
        self._gate.share(members)

    def _destination_is_back(self) -> None:
        """Try what failed while nothing got through before its own pause is over."""
        now = self._time.steady()
        for key, chain in list(self._chains.items()):
            if chain.parked and chain.parked[0].due > now:
                row = chain.parked[0]
                row.due = min(row.due, max(now, row.asked))
                self._wake(key)

    def wake_rows(self) -> None:
        """Begin to work what waits in RETRY of partitions that have started."""
        for key, chain in list(self._chains.items()):
            if chain.parked:
                self._wake(key)

    def drop(self, partition: Partition) -> None:
        """Forget all that waits of a partition: somebody else will have it.

        What is under way ends by itself, and nothing is written for it any more.
        """
        for key, chain in list(self._chains.items()):
            held = [work for work in chain.held if work.partition is not partition]
            rows = [row for row in chain.parked if row.partition is not partition]
            if len(held) == len(chain.held) and len(rows) == len(chain.parked):
                continue
            self._count_held(sum(map(_weight, held)) - sum(map(_weight, chain.held)))
            for row in chain.parked:
                if row.partition is partition:
                    del self._rows[row.subject.row_key]
            chain.held, chain.parked = deque(held), deque(rows)
            self._wake(key)
        self._metrics.waiting(self.endpoint, self.name, len(self._rows))

    # -- first attempts

    def offer(self, work: Work) -> None:
        """Take an item that comes for the first time; it says itself when EVENTS may forget it."""
        if work.subject.row_key in self._rows:
            # It comes again because its ack was lost: it is parked already.
            work.finish()
            return
        key = self._chain_key(work.subject)
        chain = self._chain(key)
        if chain.parked or not self._gate.is_open:
            self._park_held(chain)
            self._park(chain, work)
            self._wake(key)
        elif chain.is_busy or chain.held:
            self._hold(key, chain, work)
        elif self._slots.try_take():
            self._is_slow = False
            self._begin(key, chain, work)
        elif self._slots.is_held_off:
            self._park(chain, work)
        elif self._is_slow:
            self._park(chain, work)
            self._watch_pace()
        else:
            self._hold(key, chain, work)

    def _watch_pace(self) -> None:
        """See in a moment whether the destination is quick: only asked while all slots are taken.

        Time alone does not tell: while this process itself is busy everything takes long.
        """
        if self._pace_timer is None:
            self._ended_before = self._ended
            self._pace_timer = self._call_later(PACE_SECONDS, self._judge_pace)

    def _judge_pace(self) -> None:
        self._was_late = not self._was_late and self._late(self._pace_timer) > 0
        if not self._was_late:
            self._is_slow = self._ended - self._ended_before < QUICK_ENDED
        self._pace_timer = None
        self._count_held(0)
        if self._held:
            self._watch_pace()

    def _begin(self, key: str, chain: Chain, work: Work) -> None:
        """Start an attempt; the slot is taken."""
        chain.is_busy = True
        chain.since = self._now()
        chain.ended_before = self._ended
        work.partition.spawn(self._try_first(key, chain, work))

    def _hold(self, key: str, chain: Chain, work: Work) -> None:
        now = self._now()
        if (
            len(chain.held) >= CHAIN_ITEMS
            or self._held >= LINE_ITEMS
            or (chain.is_busy and self._takes_long(chain, now - chain.since))
        ):
            self._park_held(chain)
            self._park(chain, work)
            return
        if not chain.is_busy and not chain.held:
            chain.since = now
        chain.held.append(work)
        self._count_held(_weight(work))
        self._holding[key] = chain
        if self._look_timer is None:
            self._look_timer = self._call_later(LOOK_SECONDS, self._look)
        if not chain.is_busy:
            self._queue(key, chain)
            self._watch_pace()

    def _takes_long(self, chain: Chain, seconds: float) -> bool:
        """Whether an attempt that began so long ago takes longer than what is behind it waits."""
        if seconds < HOLD_SECONDS:
            return False
        quick = QUICK_ENDED * seconds / PACE_SECONDS
        return seconds >= LINE_SECONDS or self._ended - chain.ended_before < quick

    def _now(self) -> float:
        """Return seconds on a clock that stands still while this process does."""
        return self._clock() - self._stood_still

    def _late(self, timer: asyncio.TimerHandle | None) -> float:
        """Return by how many seconds a timer came late because the process did not run, else 0."""
        late = 0.0 if timer is None else self._clock() - timer.when()
        return late if late > LOOK_SECONDS else 0.0

    def _look(self) -> None:
        """Park what was held for long enough."""
        self._stood_still += self._late(self._look_timer)
        now = self._now()
        for key, chain in list(self._holding.items()):
            seconds = now - chain.since
            if not chain.held:
                del self._holding[key]
            elif chain.is_busy:
                if self._takes_long(chain, seconds):
                    self._park_held(chain)
            elif seconds >= LINE_SECONDS:
                if self._is_slow:
                    self._park_held(chain)
                    self._wake(key)
                else:
                    # Many are before it, and it will not be long.
                    chain.since = now
        self._look_timer = self._call_later(LOOK_SECONDS, self._look) if self._holding else None

    def _park_held(self, chain: Chain) -> None:
        while chain.held:
            work = chain.held.popleft()
            self._count_held(-_weight(work))
            self._park(chain, work)

    def _count_held(self, change: int) -> None:
        self._held += change
        if self._held >= CROWDED_ITEMS and not self._is_slow:
            self._room.clear()
        else:
            self._room.set()

    async def _try_first(self, key: str, chain: Chain, work: Work) -> None:
        """Try an item for the first time. Holds one slot."""
        try:
            if not await work.partition.held():
                return
            result = await self._attempts.make(work.subject, work.payload, work.headers, 1)
            match result:
                case Delivered():
                    work.finish()
                case _ if work.partition.is_lost:
                    return
                case Rejected(error=error):
                    await self._bury_first(chain, work, error)
                case Failed():
                    self._park(chain, work, after=result)
                    self._park_held(chain)
        finally:
            self._end(key, chain, self._slots)

    async def _bury_first(self, chain: Chain, work: Work, error: str) -> None:
        verdict = (DeadReason.REJECTED, error)
        try:
            await self._row_works.bury(
                work.partition, work.subject, work.payload, work.headers, 1, verdict
            )
        except StoreError as failure:
            if work.partition.is_lost:
                return
            # DEAD has no room: it waits in RETRY, and so does its conversation.
            self._row_works.trouble("bury_failed", failure)
            row = self._park(chain, work, after=Failed(error))
            row.verdict = verdict
            self._park_held(chain)
        else:
            work.finish()

    def _end(self, key: str, chain: Chain, slots: Slots) -> None:
        """Let go of what an attempt held, and see what is next."""
        chain.is_busy = False
        self._ended += 1
        chain.since = self._now()
        slots.give_back()
        self._wake(key)

    # -- waiting

    def _park(self, chain: Chain, work: Work, after: Failed | None = None) -> Parked:
        """Put an item into RETRY: at once into its chain, so that nothing overtakes it."""
        now = self._time.steady()
        row = Parked(work.partition, work.subject, work.order, now)
        if after is not None:
            row.attempts = 1
            row.due = self._row_works.next_try(row, after)
        self._insert(chain, row)
        self._metrics.parked(self.endpoint, self.name)
        work.partition.spawn(self._store_row(row, work))
        return row

    async def _store_row(self, row: Parked, work: Work) -> None:
        if await self._row_works.store(row, work, functools.partial(self._refused, row)):
            work.after_ack = functools.partial(self._release, row)
            work.finish()

    def _refused(self, row: Parked) -> None:
        self._wake(self._chain_key(row.subject))

    def _release(self, row: Parked) -> None:
        row.is_ready = True
        self._wake(self._chain_key(row.subject))

    def restore(self, row: Parked) -> None:
        """Take a row that was found in RETRY when its partition was taken."""
        if row.subject.row_key in self._rows:
            return
        # Written down by a clock that may have been set since: no pause is longer than pauses are.
        longest = max(self._row_works.retry.max_delay_seconds, RETRY_AFTER_LIMIT)
        row.due = min(row.due, self._time.steady() + longest)
        row.is_ready = True
        self._insert(self._chain(self._chain_key(row.subject)), row)

    def adopt(self, row: Parked) -> None:
        """Take a row that somebody else wrote to RETRY while this process works; once."""
        self.restore(row)
        self._wake(self._chain_key(row.subject))

    def _insert(self, chain: Chain, row: Parked) -> None:
        chain.insert(row)
        self._rows[row.subject.row_key] = row
        self._metrics.waiting(self.endpoint, self.name, len(self._rows))

    def _forget(self, chain: Chain, row: Parked) -> None:
        if self._rows.get(row.subject.row_key) is not row:
            return  # dropped with its partition
        chain.parked.remove(row)
        del self._rows[row.subject.row_key]
        self._metrics.waiting(self.endpoint, self.name, len(self._rows))

    def _wake(self, key: str) -> None:
        """See what is next in a chain, and whether it can be tried now, later or not at all.

        Called after all that could change the answer: an attempt ended, a row became ready, a timer
        or a slot came, settings changed. Where the answer is "now", there is a slot; where it is
        "later", a timer or a place in the slots' queue is left behind.
        """
        chain = self._chains.get(key)
        if chain is None or chain.is_busy:
            return
        if chain.is_idle:
            chain.set_timer(None)
            del self._chains[key]
            return
        if chain.held and (not self._gate.is_open or self._slots.is_held_off):
            self._park_held(chain)
        if chain.parked:
            self._wake_row(key, chain, chain.parked[0])
        elif self._slots.try_take():
            work = chain.held.popleft()
            self._begin(key, chain, work)
            self._count_held(-_weight(work))
        else:
            self._queue(key, chain)

    def _wake_row(self, key: str, chain: Chain, row: Parked) -> None:
        now, wait, expires = self._time.steady(), 0.0, math.inf
        if not row.partition.is_started or not (row.is_ready or row.spare is not None):
            return
        match self._settings.state:
            case ChannelState.UNKNOWN | ChannelState.PAUSED if not row.is_finished:
                if row.is_ready:
                    self._wake_at_rest(key, chain, row)
                return
            case ChannelState.OPEN:
                wait = row.due - now
                expires = self._row_works.expires_at(row)
            case _:
                pass
        if wait > 0:
            chain.set_timer(self._call_later(wait, self._timer_ended, key, chain))
        elif self._slots.try_take():
            self._begin_row(key, chain, row, self._slots)
        elif now < expires:
            self._queue(key, chain)
            if expires < math.inf:
                chain.set_timer(self._call_later(expires - now, self._timer_ended, key, chain))
        else:
            self._give_up(key, chain, row)

    def _wake_at_rest(self, key: str, chain: Chain, row: Parked) -> None:
        """See to a row that nobody may try now: it waits, until its age is over."""
        left = self._row_works.expires_at(row) - self._time.steady()
        if left <= 0:
            self._give_up(key, chain, row)
        elif left < math.inf:
            rest = min(left, REST_SECONDS)
            chain.set_timer(self._call_later(rest, self._timer_ended, key, chain))

    def _give_up(self, key: str, chain: Chain, row: Parked) -> None:
        if self._graves.try_take():
            self._begin_row(key, chain, row, self._graves)
        else:
            self._graves.call_when_free(functools.partial(self._wake, key))

    def _begin_row(self, key: str, chain: Chain, row: Parked, slots: Slots) -> None:
        chain.set_timer(None)
        chain.is_busy = True
        spare, row.spare = row.spare, None
        row.partition.spawn(self._work_row(key, chain, row, slots, spare))

    def _queue(self, key: str, chain: Chain) -> None:
        if not chain.is_queued:
            chain.is_queued = True
            rank = _RANKS[key.partition(".")[0]]
            self._slots.call_when_free(functools.partial(self._slot_free, key, chain), rank)

    def _slot_free(self, key: str, chain: Chain) -> None:
        chain.is_queued = False
        self._wake(key)

    def _timer_ended(self, key: str, chain: Chain) -> None:
        chain.set_timer(None)
        self._wake(key)

    def _reorder(self) -> None:
        """Put what waits into the chains of the new ordering; what is under way stays."""
        waiting = [(key, chain) for key, chain in self._chains.items() if not chain.is_busy]
        for key, chain in waiting:
            self._park_held(chain)
            chain.set_timer(None)
            del self._chains[key]
        for _, chain in waiting:
            for row in chain.parked:
                key = self._chain_key(row.subject)
                self._chain(key).insert(row)

    async def _work_row(
        self, key: str, chain: Chain, row: Parked, slots: Slots, spare: Work | None
    ) -> None:
        """Try the first row of a chain, or give it up. Holds one slot.

        Args:
            key: The chain's.
            chain: Whose first row it is.
            row: What to try.
            slots: Where to give the slot back.
            spare: The item, where RETRY has no room for its row.
        """
        give_up = None
        if slots is self._graves:
            give_up = self._why_untried()
        try:
            if spare is not None:
                is_over = await self._row_works.work_spare(row, spare, give_up)
            else:
                is_over = await self._row_works.work(row, give_up)
            if is_over:
                self._forget(chain, row)
                if spare is not None:
                    spare.finish()
                    spare = None
        except StoreError as error:
            if row.partition.is_lost:
                return
            self._row_works.trouble("row_failed", error)
            row.due = self._time.steady() + ROW_PAUSE_SECONDS
            if self._settings.state is not ChannelState.OPEN:
                # A row of a removed destination has no due time to wait for.
                await row.partition.pause(ROW_PAUSE_SECONDS)
        else:
            self._row_works.no_trouble()
        finally:
            if spare is not None and not row.partition.is_lost:
                row.partition.spawn(self._store_row(row, spare))
            self._end(key, chain, slots)

    def _why_untried(self) -> str:
        match self._settings.state:
            case ChannelState.PAUSED:
                return "not tried: paused"
            case ChannelState.UNKNOWN:
                return "not tried: no table names the endpoint"
            case _:
                return self.breaker.reason or "not tried: at its limits"

    def _chain(self, key: str) -> Chain:
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chains[key] = Chain()
        return chain

    def _chain_key(self, subject: RetrySubject) -> str:
        # What was replayed is in nobody's way.
        is_ordered = self._settings.is_ordered and not subject.is_replay
        own = subject.conversation if is_ordered else subject.key
        return f"{subject.lane}.{own}"


def _weight(work: Work) -> int:
    return 1 + len(work.payload) // ITEM_BYTES
