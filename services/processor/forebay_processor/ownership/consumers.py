"""The consumers of one owned partition: what pulls from them, over one session after the other.

A consumer that is missing when the partition is taken over is made again behind what it had acked,
as the table of leases or this process knows it. If the process dies before that, the next owner
does the same; after it, what comes again and is known to be finished is acked.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.subjects import Lane
from forebay.runtime.jetstream.errors import ConsumerMissing, StoreUnavailable
from forebay.runtime.jetstream.pull_inbox import PullInbox
from forebay.runtime.jetstream.pull_status import PullRefusal
from forebay.runtime.jetstream.puller import Puller, TakenOver
from forebay.runtime.supervise import all_of, end_tasks, to_the_end
from forebay_processor.adapters.connection import Session
from forebay_processor.delivery.dispatcher import Dispatcher
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.replay_watch import Replays
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.recently_acked import RecentlyAcked
from forebay_processor.splitting.splitter import Splitter

__all__ = ["ConsumerRunner", "PartitionConsumers"]

CONFIRM_SECONDS: Final = 2.0
"""For the server to say that it has the acks: where it is away, a hand-over goes on."""


class ConsumerRunner(NamedTuple):
    """What works one consumer; it outlives sessions."""

    stream: str
    consumer: str
    batch: int
    lane: Lane
    handler: Splitter | Dispatcher
    recently_acked: RecentlyAcked
    """What of its stream is finished, whatever the consumer hands out."""


class PartitionConsumers:
    """The consumers of one partition: attached to a session, or waiting for the next one."""

    def __init__(
        self, shard: str, partition: Partition, queues: DestinationQueues, metrics: ProcessorMetrics
    ) -> None:
        self.runners: list[ConsumerRunner] = []
        """One for each lane; whoever sets the partition up fills it."""

        self.restored: list[str] = []
        """What was restored since the last report."""

        self.is_refused = False
        """Whether a request for messages failed since the last check."""

        self.is_begun = False
        """Whether they are worked, or about to be, over the session of now."""

        self._shard = shard
        self._partition = partition
        self._queues = queues
        self._metrics = metrics
        self._broken: set[str] = set()
        """Consumers that are gone, or are not as ours are, until they are restored."""

        self._taken: list[TakenOver] = []
        """What each consumer was like when it was taken over."""

        self._session: Session | None = None
        self._inbox: PullInbox | None = None
        self._pullers: list[Puller] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def session(self) -> Session | None:
        """What they are attached to."""
        return self._session

    @property
    def dispatchers(self) -> list[Dispatcher]:
        """What delivers the lanes; none for RAW."""
        return [each.handler for each in self.runners if isinstance(each.handler, Dispatcher)]

    @property
    def is_attached(self) -> bool:
        """Whether it pulls."""
        return self._inbox is not None

    @property
    def has_missed(self) -> bool:
        """Whether somebody else was handed what is ours: it has to be taken over anew."""
        return any(puller.has_missed for puller in self._pullers)

    @property
    def is_broken(self) -> bool:
        """Whether a consumer has to be restored: it has to be taken over anew."""
        return bool(self._broken)

    def refusals(self) -> dict[str, PullRefusal]:
        """Return why requests for messages fail at this moment, by consumer."""
        return {each.consumer: each.refusal for each in self._pullers if each.refusal is not None}

    def compare(self, consumer: str, handed_out: int) -> None:
        """Take notice of the number of the last message that a consumer handed out to anybody."""
        for puller in self._pullers:
            if puller.consumer == consumer:
                puller.compare(handed_out)

    def put_right(self, consumer: str) -> None:
        """Have a consumer restored when they are taken over anew."""
        self._broken.add(consumer)

    def learn(self, floors: Mapping[str, AckFloor]) -> None:
        """Take notice of how far the consumers were, by lane, whoever worked them."""
        for runner in self.runners:
            floor = floors.get(runner.lane)
            if floor is not None:
                runner.recently_acked.raise_floor(runner.consumer, floor)

    async def take_over(self, session: Session) -> None:
        """Have all handed out again that is not acked; raises StoreError."""
        self._taken = await all_of(self._take_over_one(session, each) for each in self.runners)
        for runner, taken in zip(self.runners, self._taken, strict=True):
            if isinstance(runner.handler, Dispatcher):
                runner.handler.expect(taken.left)

    async def begin(self, session: Session) -> None:
        """Pull from all its consumers; raises StoreUnavailable."""
        inbox = await session.open_inbox(self._pull_refused)
        if self._partition.is_closing:
            await session.close_inbox(inbox)
            return
        self._session, self._inbox = session, inbox
        for runner, taken in zip(self.runners, self._taken, strict=True):
            puller = inbox.puller(
                runner.stream, runner.consumer, runner.batch, lambda: self._partition.remaining
            )
            puller.begin_after(taken)
            self._pullers.append(puller)
            running = runner.handler.run(puller)
            self._tasks.add(asyncio.create_task(running, name=runner.consumer))
        if self.dispatchers:
            replays = Replays(session.streams, self._shard, self._partition, self._queues)
            self._tasks.add(asyncio.create_task(replays.run(), name="replays"))

    def _pull_refused(self, stream: str, _: str, reason: PullRefusal) -> None:
        self.is_refused = True
        self._metrics.pull_refused(stream, reason)

    def check(self) -> None:
        """Raise what went wrong in a runner."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def detach(self) -> None:
        """Pull no more, until it is begun anew; what is in hand goes on.

        Done to its end: a session that ends is cancelled again and again until it has ended.
        """
        await to_the_end(self._detach())

    async def _detach(self) -> None:
        tasks, self._tasks = self._tasks, set()
        session, inbox = self._session, self._inbox
        self._session = self._inbox = None
        self._pullers.clear()
        if session is not None and inbox is not None:
            await session.close_inbox(inbox)
        await end_tasks(tasks)
        self.is_begun = False

    async def detach_for_good(self) -> None:
        """Pull no more, and expect nothing more."""
        await self.detach()
        for dispatcher in self.dispatchers:
            # Nothing more comes here: who waits for it, for others too, need not.
            dispatcher.expect(0)

    async def confirm_acks(self) -> None:
        """Wait until the server has the acks of its items."""
        await asyncio.gather(*(each.confirm_acks(CONFIRM_SECONDS) for each in self.dispatchers))

    async def give_back(self, session: Session) -> None:
        """Have handed out again what came to us when it was not ours any more.

        A process that is stopped after it asked for messages and before the request left asks when
        it goes on. What the server hands out then is unknown to the new owner, who would get it
        when its ack wait ends, half a minute later. What the new owner has comes to it once more,
        which it sees.
        """
        again = (session.streams.take_over(each.stream, each.consumer) for each in self.runners)
        with contextlib.suppress(StoreUnavailable):
            await asyncio.gather(*again)

    async def _take_over_one(self, session: Session, runner: ConsumerRunner) -> TakenOver:
        if runner.consumer not in self._broken:
            with contextlib.suppress(ConsumerMissing):
                return await session.streams.take_over(runner.stream, runner.consumer)
        floor = runner.recently_acked.floor(runner.consumer)
        done = await session.streams.restore(self._shard, runner.stream, runner.consumer, floor)
        self._broken.discard(runner.consumer)
        if done:
            self._metrics.consumer_restored(runner.stream)
            self.restored.append(f"{runner.consumer}: {done}")
        return await session.streams.take_over(runner.stream, runner.consumer)
