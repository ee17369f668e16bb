"""One destination's queue over EVENTS, RETRY and a destination that are a model of them.

`Model` plays the world: EVENTS hands out what is not acked, in order; RETRY and DEAD are in memory;
the destination takes, fails, hangs, and notes what came. A process can die at every await that
leaves it, before or after what it awaited was done, and another one takes over.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, cast

from typing_extensions import override

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import REPLAY, Lane, RetrySubject
from forebay.core.tables import Batch, Destination, HttpTarget, Retry
from forebay.runtime.supervise import end_tasks
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.destination_backlog import MemoryBounds
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.entry import EntryState, PendingDelivery
from forebay_processor.delivery.incidents import Incidents
from forebay_processor.delivery.lane_cursor import BacklogState
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.retry_row_reader import epoch_of
from forebay_processor.delivery.row_storing import NO_ROOM_SECONDS
from forebay_processor.delivery.shares import StreamShares, row_bytes
from forebay_processor.destinations.port import (
    Attempt,
    BatchPort,
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.shared.lease import Lease, lease_clock
from forebay_processor.shared.lease_table import Assignment
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime
from support.processor.memory_table import MemoryTable
from support.processor.queue_alone import ITEM, NAME
from support.timing.turned_loop import TurnedClock, TurnedLoop

__all__ = ["LANES", "MAX_AGE", "PLACES", "Item", "Model"]

LANES = (Lane.LIVE, Lane.STATUS, Lane.BULK)

PLACES = 3
MAX_AGE = 600.0
RETRY = Retry(initial_delay_seconds=1.0, max_delay_seconds=30.0, max_age_seconds=MAX_AGE)
ANSWER_SECONDS = 0.02
HANG_SECONDS = 5.0
WAY_SECONDS = 30.0
"""What an item may be in the way for besides the time in which room may come: for attempts that
hang, for the pauses between two tries of a store, and for what is stored before it."""

LATE_SECONDS = 10.0
"""What expiry may be late: a row's pause after a store that refused, and a probe's way."""


class Item:
    """One item of EVENTS."""

    def __init__(self, sequence: int, lane: Lane, conversation: str) -> None:
        self.sequence = sequence
        self.key = f"{sequence:04}"
        self.lane = lane
        self.conversation = conversation
        self.is_acked = False


class _Port(BatchPort):
    """The destination, as one process has it."""

    def __init__(self, model: "Model", process: "_Process") -> None:
        self._model = model
        self._process = process

    @override
    async def deliver(self, attempt: Attempt) -> Result:
        return await self._model.receive(attempt.token, self._process)

    @override
    def encode(self, attempt: Attempt) -> bytes:
        return b"{}"

    @override
    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],
        items: Sequence[bytes],
        traceparent: str = "",
    ) -> Result:
        return await self._model.receive_batch(tokens, self._process)

    @override
    def close(self) -> None:
        """Nothing to let go of."""


class _Process:
    """One processor: its queue and its partition."""

    def __init__(self, model: "Model", lease: Lease, epoch: int) -> None:
        self.shares = StreamShares()
        self.bounds = MemoryBounds()
        self.bounds.window = 6
        self.bounds.of_conversation = 3
        self.bounds.max_passed = 8
        metrics = ProcessorMetrics(pool="test")
        time = StreamTime(TurnedClock(model.loop))
        own = Incidents(time.steady).of(NAME, "sink")
        self.queue = DestinationQueue(own, metrics, Random(3), time, self.bounds, self.shares)
        self.partition = OwnedPartition(
            "0",
            "event.00",
            epoch,
            lease,
            model.table,
            RetentionAges(),
            cast("DestinationQueues", self.queue),
            metrics,
        )
        breaker = self.queue.breaker
        changed = breaker.on_change

        def on_change() -> None:
            if breaker.is_closed:
                model.destination_is_back()
            changed()

        breaker.on_change = on_change
        self.port = _Port(model, self)
        self.handed_out: dict[int, float] = {}
        """When each item of EVENTS was handed to it."""

        self.in_flight: Counter[str] = Counter()
        self.acks: asyncio.Queue[tuple[Item, PendingDelivery]] = asyncio.Queue()
        self.is_dead = False
        """Whether it was killed: nothing comes of it any more."""

        self.acking: asyncio.Task[None] | None = None
        self.delivering: asyncio.Task[None] | None = None
        self.polling: asyncio.Task[None] | None = None

    def ends(self) -> set[asyncio.Task[None]]:
        """Return what has to be ended when it dies."""
        tasks = (self.acking, self.delivering, self.polling)
        return {each for each in tasks if each is not None}


class Model:
    """The world around one queue."""

    def __init__(self, batch: Batch | None = None) -> None:
        """Begin with nothing; `batch` for a destination that takes several items in a request."""
        self._batch = batch
        self._most = PLACES * (1 if batch is None else batch.max_items)
        """Items that may be under way."""

        self.loop = TurnedLoop()
        self.clock = TurnedClock(self.loop)
        self.table = MemoryTable(self.clock.wall)
        self.table.before = self._before
        self.table.after = self._after
        self.items: list[Item] = []
        self.failing: set[str] = set()
        """Conversations whose items fail."""

        self.rejected: set[str] = set()
        """Keys that are never taken."""

        self.is_down = False
        self.is_hanging = False
        self.is_paused = False
        self.is_ordered = True
        self.is_order_kept = True
        """Whether the ordering was `Conversation` all the time."""

        self.wish = 0.0
        """How long the destination asks to be left alone when it fails."""

        self.arrivals: list[tuple[str, bool]] = []
        """Keys in the order in which they arrived, and whether they were taken."""

        self.replayed: list[str] = []
        self.faults: list[str] = []
        """What must not have happened, in words."""

        self.may_come_again: set[str] = set()
        """Keys that were on their way when a process died."""

        self.disturbed = False
        """Whether something kept items from expiring in time."""

        self._dead_took_at = 0.0
        """When DEAD had no room last."""

        self.retry_bytes = 0
        """What RETRY may hold; 0 for no bound."""

        self._was_ordered = True
        self._pauses: dict[str, float] = {}
        self._wishes: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._dead_at: dict[str, float] = {}
        self._come = asyncio.Event()
        self._kill_in = math.inf
        self._is_dead = False
        self._epoch = 0
        self._floor = 0
        self._died = asyncio.Event()
        self.process = self.loop.turn(self._start())

    # -- what a test does

    def arrive(self, lane: Lane, conversation: str, count: int = 1) -> None:
        """Let items come; nothing runs yet."""
        for _ in range(count):
            self.items.append(Item(len(self.items) + 1, lane, conversation))
        self._come.set()

    def replay(self, number: int) -> None:
        """Let a person send an item again."""
        item = self.items[number % len(self.items)]
        subject = self._subject(item, REPLAY)
        if str(subject) in self.table.rows:
            return
        sequence = self.table.put(str(subject), ITEM, {envelope.RECEIVED_AT: "0"})
        self.replayed.append(item.key)
        process = self.process
        self.loop.turn(self._later(lambda: self._shown(process, subject, sequence)))

    @staticmethod
    def _shown(process: _Process, subject: RetrySubject, sequence: int) -> None:
        process.queue.shown(process.partition, subject, sequence, row_bytes(len(ITEM)))

    @staticmethod
    async def _later(call: Callable[[], None]) -> None:
        call()

    def configure(self) -> None:
        """Let the tables say what is so now."""
        self.loop.turn(self._later(self._configure))

    def pass_time(self, seconds: float) -> None:
        """Let time pass; a process that dies meanwhile is followed by another one."""
        self.loop.turn(self._pass_time(seconds))
        self.check_bounds()

    def kill_in(self, steps: int) -> None:
        """Let the process die at the n-th await from now that leaves it."""
        self._kill_in = steps

    def bound(self, rows: int) -> None:
        """Let RETRY hold so many rows, of which one destination may have nine tenths; 0 for all."""
        self.disturbed = True
        self.retry_bytes = rows * row_bytes(len(ITEM))
        self._poll_sizes()

    def hand_over(self) -> None:
        """Let the partition be given back in order, and taken by another process."""
        self.loop.turn(self._hand_over())

    def settle(self) -> None:
        """Let the world be well again, and all be worked off."""
        self._kill_in = math.inf
        self.is_down = self.is_hanging = self.is_paused = False
        self.failing.clear()
        self.table.full.clear()
        self.retry_bytes = 0
        self.wish = 0.0
        self.configure()
        for _ in range(40):
            self.pass_time(60.0)
            if not self._left():
                break

    def _left(self) -> bool:
        rows = [each for each in self.table.rows if each.startswith("forebay.retry.")]
        return bool(rows) or not all(each.is_acked for each in self.items)

    # -- the process

    def _poll_sizes(self) -> None:
        fill = self.process.shares.of("0").retry
        used = sum(row_bytes(len(ITEM)) for _ in self._rows())
        fill.end_poll(fill.begin_poll(), used, self.retry_bytes)

    async def _poll(self, process: _Process) -> None:
        while not process.is_dead:
            self._poll_sizes()
            await asyncio.sleep(1.0)

    async def _start(self) -> _Process:
        self._epoch += 1
        self._is_dead = False
        self._died = asyncio.Event()
        lease = Lease()
        lease.renew(lease_clock() + 1e9)
        floor = self.table.last
        rows = self._rows()
        process = self.process = _Process(self, lease, self._epoch)
        partition = process.partition
        before = Assignment(loaded=self._epoch - 1, floor=self._floor)
        partition.found(before, floor, is_vacant=not rows)
        self._floor = floor
        self._configure()
        process.acking = asyncio.create_task(self._ack(process))
        process.delivering = asyncio.create_task(self._work(process))
        process.polling = asyncio.create_task(self._poll(process))
        return process

    def _rows(self) -> list[str]:
        return [each for each in self.table.rows if each.startswith("forebay.retry.")]

    def _configure(self) -> None:
        # While it is paused, `maxAge` does not count.
        self.disturbed = self.disturbed or self.is_paused
        if not self.process.queue.breaker.is_closed:
            # Whoever is resumed is tried at once.
            self._pauses.clear()
        if self.is_ordered != self._was_ordered:
            # What failed is tried once, early: it is read again.
            self._was_ordered = self.is_ordered
            self.is_order_kept = False
            self._pauses.clear()
            self._wishes.clear()
        target = HttpTarget(url="http://sink", max_in_flight=PLACES, batch=self._batch)
        state = DestinationState.PAUSED if self.is_paused else DestinationState.OPEN
        self.process.queue.configure(
            DestinationSettings(
                state=state,
                config=Destination(name="sink", retry=RETRY, http=target),
                port=self.process.port,
                is_ordered=self.is_ordered,
                is_monotonic=False,
            )
        )

    async def _work(self, process: _Process) -> None:
        """Have what was left handed out, and then work RETRY and what comes."""
        partition, floor = process.partition, process.partition.floor
        await self._hand_out(process)
        partition.start()
        process.queue.wake_rows()
        for lane in (*LANES, REPLAY):
            process.queue.read_lane(partition, "0", lane)
        for subject, (_, _, sequence) in list(self.table.rows.items()):
            if subject.startswith("forebay.retry.") and sequence <= floor:
                size = row_bytes(len(ITEM))
                found = RetrySubject.parse(subject)
                process.queue.backlogs.found(partition, found, sequence, size)
        partition.count_to(floor)
        while True:
            await self._hand_out(process)
            self._come.clear()
            await self._come.wait()

    async def _hand_out(self, process: _Process) -> None:
        for item in self.items:
            if self._is_dead or item.is_acked or item.sequence in process.handed_out:
                continue
            process.handed_out[item.sequence] = self.clock.monotonic()
            if not process.queue.knows(process.partition, "0", item.lane):
                await process.queue.learn(process.partition, "0", item.lane)
            self._offer(process, item)

    def _offer(self, process: _Process, item: Item) -> None:
        def done() -> None:
            process.acks.put_nowait((item, work))

        self._since.setdefault(item.key, self.clock.monotonic())
        subject = self._subject(item, item.lane)
        headers = {envelope.RECEIVED_AT: "0"}
        work = PendingDelivery(
            process.partition, subject, item.sequence, ITEM, headers, done, self.clock.wall()
        )
        process.queue.offer(work)

    def _subject(self, item: Item, lane: Lane | Literal["replay"]) -> RetrySubject:
        return RetrySubject("0", 0, lane, NAME, "sink", item.conversation, item.key)

    async def _ack(self, process: _Process) -> None:
        while True:
            item, work = await process.acks.get()
            await self._before("ack")
            if item.is_acked:
                self.faults.append(f"{item.key} was acked twice")
            item.is_acked = True
            await self._after("ack")
            if work.after_ack is not None:
                work.after_ack()

    async def _pass_time(self, seconds: float) -> None:
        ends = self.loop.time() + seconds
        while (left := ends - self.loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._died.wait()
            except TimeoutError:
                return
            await self._take_over()

    async def _take_over(self) -> None:
        """Let the next process begin where one died."""
        process = self.process
        process.is_dead = True
        self._pauses.clear()
        self._wishes.clear()
        self.disturbed = True
        self._may_come_again(process)
        process.partition.lose()
        process.queue.drop(process.partition)
        await end_tasks(process.ends())
        await process.partition.finish(0)
        await self._start()

    def _may_come_again(self, process: _Process) -> None:
        """Note what was on its way when the process died: taken, and not acked."""
        taken = {key for key, is_taken in self.arrivals if is_taken}
        rows = {each.split(".")[-1] for each in self._rows()}
        unacked = {each.key for each in self.items if not each.is_acked}
        again = (taken & (rows | unacked)) - self.may_come_again
        # What was replayed has a row of its own.
        if len(again - set(self.replayed)) > self._most:
            self.faults.append(f"{len(again)} items may come again: {sorted(again)}")
        self.may_come_again |= again | set(process.in_flight)

    async def _hand_over(self) -> None:
        process = self.process
        if self._is_dead:
            await self._take_over()
            return
        await end_tasks({_there(process.delivering)})
        await process.partition.drain(30.0)
        # For what is left to be acked.
        await asyncio.sleep(1.0)
        if self._is_dead:
            await self._take_over()
            return
        process.partition.lose()
        await end_tasks(process.ends())
        self._pauses.clear()
        self._wishes.clear()
        self.disturbed = True
        await self._start()

    # -- what leaves the process

    async def _before(self, operation: str) -> None:
        await self._step()
        await asyncio.sleep(0.001)
        await self._step()
        if operation == "publish":
            self._read_dead()

    async def _after(self, _: str) -> None:
        self._read_dead()
        await self._step()

    async def _step(self) -> None:
        self._kill_in -= 1
        if self._kill_in <= 0:
            self._kill_in = math.inf
            self._is_dead = True
            self._died.set()
        if self._is_dead:
            await asyncio.get_running_loop().create_future()

    def destination_is_back(self) -> None:
        """Take it that what failed is tried before its own pause is over."""
        self._pauses.clear()

    def _read_dead(self) -> None:
        for subject in self.table.rows:
            key = subject.rpartition(".")[2]
            if subject.startswith("forebay.dead.") and key not in self._dead_at:
                self._dead_at[key] = self.clock.monotonic()

    async def receive_batch(self, keys: Sequence[str], process: _Process) -> Result:
        """Be a destination that takes all of several items, or none of them."""
        answers = [self._answer(key) for key in keys]
        if self.is_down or all(isinstance(each, Delivered) for each in answers):
            pairs = zip(keys, answers, strict=True)
            await asyncio.gather(*(self.receive(key, process, each) for key, each in pairs))
            return answers[0]
        await self._step()
        await asyncio.sleep(HANG_SECONDS if self.is_hanging else ANSWER_SECONDS)
        await self._alive(process)
        await self._step()
        return Failed("status 500")

    @staticmethod
    async def _alive(process: _Process) -> None:
        """Go no further where a process was killed: what it had under way is not acked."""
        if process.is_dead:
            await asyncio.get_running_loop().create_future()

    async def receive(self, key: str, process: _Process, answer: Result | None = None) -> Result:
        """Be the destination; `answer` where it is decided what is said."""
        await self._alive(process)
        await self._step()
        early = max(self._pauses.get(key, 0.0), self._wishes.get(key, 0.0))
        early -= self.clock.monotonic()
        if self.clock.monotonic() - self._since[key] > MAX_AGE - 1:
            # The last attempt is when its age ends, whatever the destination asked for.
            early = 0.0
        if early > 1e-6 and key not in self.replayed:
            self.faults.append(f"{key} was tried {early} s too early")
        if sum(process.in_flight.values()) >= self._most:
            self.faults.append("more are under way than there are places")
        process.in_flight[key] += 1
        try:
            result = answer or self._answer(key)
            await asyncio.sleep(HANG_SECONDS if self.is_hanging else ANSWER_SECONDS)
            await self._alive(process)
            if self._is_dead:
                await self._step()
            self.arrivals.append((key, isinstance(result, Delivered)))
            await self._step()
        finally:
            if not self._is_dead:
                process.in_flight -= Counter([key])
        if isinstance(result, Failed):
            self._pauses[key] = self.clock.monotonic() + RETRY.initial_delay_seconds / 2
            self._wishes[key] = self.clock.monotonic() + result.retry_after
        elif not process.queue.breaker.is_closed:
            # It is back: what failed is tried before its own pause is over.
            self._pauses.clear()
        return result

    def _answer(self, key: str) -> Result:
        item = self.items[int(key) - 1]
        if self.is_down:
            return Failed("no connection", trouble=Trouble.DESTINATION)
        if key in self.rejected:
            return Rejected("status 422")
        if item.conversation in self.failing:
            return Failed("status 500", retry_after=self.wish)
        return Delivered()

    # -- what has to be so

    def check_bounds(self) -> None:
        """Raise AssertionError where more is in memory than may be."""
        if self._is_dead:
            return
        bounds, queue = self.process.bounds, self.process.queue
        for backlog in queue.backlogs:
            assert 0 <= backlog.loaded <= bounds.window + 5 * bounds.of_conversation
            assert backlog.passed >= 0
        linked = [each for each in queue.conversations.entries.values() if each.is_linked]
        waiting = [each for each in linked if each.state is not EntryState.FINISHED]
        heads = 3 * 5 + len(self.replayed)
        lanes = len(LANES) + 1
        assert len(waiting) <= heads + lanes * (bounds.window + 5 * bounds.of_conversation)
        sizes = sum(each.size for each in queue.conversations.entries.values())
        assert bounds.payload_bytes == sizes
        self._check_count()
        self._check_blocked()
        self._check_known()
        self._check_way()
        assert not self.faults, self.faults

    def _check_count(self) -> None:
        """Raise AssertionError where what is counted is not what is there."""
        partition, queue = self.process.partition, self.process.queue
        is_counted = partition.is_started and partition.counted_to >= partition.floor
        moving = {EntryState.STORING, EntryState.UNSTORED, EntryState.IN_FLIGHT}
        moving |= {EntryState.FINISHED}
        if is_counted and not any(
            each.state in moving for each in queue.conversations.entries.values()
        ):
            rows = len(self._rows())
            assert queue.parked == rows
            assert queue.backlogs.share.rows == rows * row_bytes(len(ITEM))

    def _check_blocked(self) -> None:
        """Raise AssertionError where it is not known how many rows wait behind failed ones."""
        queue, behind = self.process.queue, 0
        for key, conversation in queue.conversations:
            if conversation.is_blocked:
                behind += conversation.rows
            if self.is_order_kept and conversation.has_unread:
                assert conversation.noted == self._noted(key, conversation), key
        assert queue.backlogs.blocked_rows == behind

    def _noted(self, key: str, conversation: ConversationQueue) -> int:
        """Return how many rows of a conversation lie where it has noted some."""
        partition, (lane, _, own) = self.process.partition, key.partition(".")
        entries = self.process.queue.conversations.entries
        count = 0
        for row in self.table.held(f"forebay.retry.0.00.{lane}.>"):
            subject = RetrySubject.parse(row.subject)
            entry = entries.get(subject.row_key)
            is_here = entry is not None and entry.is_linked
            is_of = own in {subject.conversation, subject.key}
            is_between = conversation.read < row.sequence <= conversation.last
            is_void = partition.is_void(epoch_of(row), row.sequence)
            count += is_of and is_between and not is_here and not is_void
        return count

    def _check_known(self) -> None:
        """Raise AssertionError where a row below the cursor is known to nobody."""
        queue = self.process.queue
        for backlog in queue.backlogs:
            for row in self.table.held(backlog.subjects):
                is_read = backlog.state is not BacklogState.UNKNOWN
                if is_read and row.sequence <= backlog.cursor:
                    subject = RetrySubject.parse(row.subject)
                    assert queue.conversations.knows(subject, row.sequence), (
                        f"{row.subject} is forgotten"
                    )

    def _check_way(self) -> None:
        """Raise AssertionError where EVENTS has to keep an item for long, whatever has no room."""
        if any("forebay.dead.".startswith(each) for each in self.table.full):
            self._dead_took_at = self.clock.monotonic()
        for item in self.items:
            handed_at = self.process.handed_out.get(item.sequence)
            if item.is_acked or handed_at is None:
                continue
            since = max(handed_at, self._dead_took_at)
            waited = self.clock.monotonic() - since
            assert waited <= NO_ROOM_SECONDS + WAY_SECONDS, f"{item.key} was in the way {waited} s"

    def check_end(self) -> None:
        """Raise AssertionError where something is lost, repeated, out of order, or left over."""
        assert not self.faults, self.faults
        assert not self._left()
        taken = Counter(key for key, is_taken in self.arrivals if is_taken)
        dead = {each.rpartition(".")[2] for each in self.table.rows}
        replays = Counter(self.replayed)
        for item in self.items:
            again = 1 + replays[item.key] + 100 * (item.key in self.may_come_again)
            assert taken[item.key] or item.key in dead, f"{item.key} is lost"
            assert taken[item.key] <= again, f"{item.key} came {taken[item.key]} times"
        self._check_order(set(taken))
        self._check_ages()
        self._check_memory()

    def _check_order(self, taken: set[str]) -> None:
        if not self.is_order_kept:
            return
        last: dict[tuple[Lane, str], int] = {}
        seen: set[str] = set()
        for key, is_taken in self.arrivals:
            item = self.items[int(key) - 1]
            if not is_taken or key in seen or key in self.replayed:
                continue
            seen.add(key)
            where = item.lane, item.conversation
            assert item.sequence > last.get(where, 0), f"{key} came after a later one"
            last[where] = item.sequence
        assert seen <= taken

    def _check_ages(self) -> None:
        for key, died in self._dead_at.items():
            subject = next(each for each in self.table.rows if each.endswith(f".{key}"))
            if self.table.rows[subject][1][envelope.REASON] != "Expired" or key in self.replayed:
                continue
            age = died - self._since[key]
            assert age >= MAX_AGE - 1, f"{key} expired after {age} s"
            if not self.disturbed:
                assert age <= MAX_AGE + LATE_SECONDS, f"{key} expired after {age} s"

    def _check_memory(self) -> None:
        self.pass_time(1.0)
        bounds, queue = self.process.bounds, self.process.queue
        assert (bounds.payload_bytes, bounds.blocked) == (0, 0)
        assert not queue.conversations.entries
        assert queue.parked == 0
        assert all(each.loaded == each.passed == each.count == 0 for each in queue.backlogs)

    def close(self) -> None:
        """End the process."""
        self.loop.turn(self._close())
        self.loop.close()

    async def _close(self) -> None:
        self.process.partition.lose()
        await end_tasks(self.process.ends())
        await self.process.partition.finish(0)


def _there(task: asyncio.Task[None] | None) -> asyncio.Task[None]:
    assert task is not None
    return task
