"""A destination's queue without a processor: the destination, RETRY, partitions are the test's."""

import asyncio
from random import Random

import msgspec
from typing_extensions import override

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import REPLAY, Lane, RetrySubject
from forebay.core.tables import Batch, Destination, HttpTarget, LogTarget, Retry
from forebay_processor.delivery.destination_backlog import MemoryBounds
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.entry import PendingDelivery
from forebay_processor.delivery.incidents import Incidents
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.shares import StreamShares, row_bytes
from forebay_processor.destinations.port import Attempt, DestinationPort, Result
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.shared.lease import Lease, lease_clock
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime
from support.processor.memory_table import MemoryTable
from support.processor.partition_alone import owned_partition
from support.timing.clocks import HandClock
from support.timing.wait import eventually

__all__ = ["ITEM", "NAME", "Door", "QueueAlone"]

NAME = EndpointName("demo", "shop")
ITEM = msgspec.json.encode(
    envelope.StoredItem(
        key="k", kind="messages", type="text", channel="1", time="", data=msgspec.Raw(b"{}")
    )
)


LANES = (Lane.LIVE, Lane.STATUS, Lane.BULK)

_RETRY = Retry(initial_delay_seconds=0.01)


class Door(DestinationPort):
    """A destination that answers when it is told to."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.hanging: set[str] = set()
        """Keys that get no answer where all others do."""

    @override
    async def deliver(self, attempt: Attempt) -> Result:
        self.tried.append(attempt.token)
        if attempt.token in self.hanging:
            await asyncio.Event().wait()
        return await asyncio.shield(self.answer)

    @override
    def close(self) -> None:
        """Nothing to let go of."""


class QueueAlone:
    """One queue, two partitions, and what came of their items."""

    def __init__(self, clock: HandClock | None = None) -> None:
        self.table = MemoryTable()
        self.door = Door()
        self.lease = Lease()
        self.lease.renew(lease_clock())
        self.ages = RetentionAges()
        """Of the streams: for ever, until the test says otherwise."""

        self.partitions = [self.partition(0), self.partition(1)]
        self.clock = clock or HandClock()
        self.time = StreamTime(self.clock)
        self.metrics = ProcessorMetrics(pool="test")
        self.bounds = MemoryBounds()
        self.shares = StreamShares()
        """Of streams without a limit, until the test says otherwise."""

        self.incidents = Incidents(self.time.steady)
        own = self.incidents.of(NAME, "sink")
        self.queue = DestinationQueue(
            own, self.metrics, Random(1), self.time, self.bounds, self.shares
        )
        self._configure(Destination(name="sink", retry=_RETRY, log=LogTarget()))
        self.done: list[str] = []
        self.works: list[PendingDelivery] = []

    def _configure(self, config: Destination) -> None:
        settings = DestinationSettings(state=DestinationState.OPEN, config=config, port=self.door)
        self.queue.configure(settings)

    def partition(self, number: int, epoch: int = 7) -> OwnedPartition:
        """Return a partition that is owned, its rows at work."""
        return owned_partition(
            f"event.{number:02d}",
            self.lease,
            self.table,
            self.ages,
            epoch,
            floor=self.table.last,
            is_vacant=not self.table.rows,
            queues=self,
        )

    def drop(self, partition: OwnedPartition) -> None:
        """Forget all that waits of a partition, as all queues do."""
        self.queue.drop(partition)

    def take_anew(self, number: int) -> None:
        """Own a partition as if this process had just taken it, rows and all."""
        self.lose(number)
        self.partitions[number] = partition = self.partition(number)
        for lane in (*LANES, REPLAY):
            self.queue.read_lane(partition, "0", lane)

    def show(self, number: int, subject: RetrySubject, sequence: int) -> None:
        """Let the queue take notice of a row that somebody else wrote."""
        size = row_bytes(len(ITEM))
        self.queue.shown(self.partitions[number], subject, sequence, size)

    def find(self, number: int, subject: RetrySubject, sequence: int) -> None:
        """Let it find a row of the time before the partition was taken."""
        size = row_bytes(len(ITEM))
        self.queue.backlogs.found(self.partitions[number], subject, sequence, size)

    def lose(self, number: int) -> None:
        """Let somebody else own a partition."""
        self.partitions[number].lose()
        self.queue.drop(self.partitions[number])

    async def tried(self, *keys: str) -> None:
        """Wait until these were tried, in this order, and nothing else."""
        await eventually(lambda: self.door.tried == list(keys), saying=f"attempts of {keys}")

    async def settled(self) -> None:
        """Let everything run that can run without the outside."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Let both partitions be somebody else's, and end what hangs."""
        for partition in self.partitions:
            self.queue.drop(partition)
            partition.lose()
            await partition.finish(0)

    def answer(self, result: Result) -> None:
        """Answer what is under way, and what comes, so."""
        self.door.answer.set_result(result)

    def answer_anew(self, result: Result) -> None:
        """Answer what comes from now on so."""
        self.door.answer = asyncio.get_running_loop().create_future()
        self.answer(result)

    def limit(self, max_in_flight: int, *, rate: float = 0.0, batch: Batch | None = None) -> None:
        """Let the destination take so many requests at a time, and so many a second."""
        target = HttpTarget(
            url="http://sink", max_in_flight=max_in_flight, rate_per_second=rate, batch=batch
        )
        self._configure(Destination(name="sink", retry=_RETRY, http=target))

    def remove_destination(self) -> None:
        """Let the endpoint name the destination no more."""
        self.queue.configure(DestinationSettings(state=DestinationState.REMOVED))

    def pause(self) -> None:
        """Let the endpoint be paused."""
        self.queue.configure(DestinationSettings(state=DestinationState.PAUSED, port=self.door))

    def let_pass(self, seconds: float) -> None:
        """Let so much time pass at once, and whatever waited for it begin."""
        self.clock.gone_by += seconds
        self.queue.wake_rows()

    def offer(
        self,
        number: int,
        key: str,
        conversation: str = "c",
        *,
        payload: bytes = ITEM,
        lane: Lane = Lane.LIVE,
    ) -> None:
        """Offer an item of a partition to the queue."""
        subject = RetrySubject("0", number, lane, NAME, "sink", f"{conversation}{number}", key)
        headers = {envelope.RECEIVED_AT: "0"}
        done = self.done

        def finished() -> None:
            done.append(key)

        partition = self.partitions[number]
        stored_at = self.time.now()
        work = PendingDelivery(partition, subject, len(key), payload, headers, finished, stored_at)
        self.works.append(work)
        self.queue.offer(work)
