"""A channel without a processor: its destination, RETRY and partitions are the test's own."""

import asyncio
from collections.abc import Sequence
from random import Random

import msgspec
from prometheus_client import CollectorRegistry
from typing_extensions import override

from forebay.core import envelope
from forebay.core.naming import EndpointName
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import Destination, HttpTarget, Retry
from forebay.runtime.outgoing import PubAck
from forebay.runtime.store_errors import StoreFull
from forebay_processor.delivery.destination_settings import ChannelSettings, ChannelState
from forebay_processor.delivery.queue import Channel
from forebay_processor.delivery.work import Work
from forebay_processor.destinations.port import Attempt, DestinationPort, Result
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.shared.lease import Lease, lease_clock
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime
from support.clocks import HandClock
from support.partition_alone import owned_partition
from support.wait import eventually

__all__ = ["ITEM", "NAME", "ChannelAlone", "Door", "MemoryTable"]

NAME = EndpointName("demo", "shop")
ITEM = msgspec.json.encode(
    envelope.StoredItem(
        key="k", kind="messages", type="text", channel="1", time="", data=msgspec.Raw(b"{}")
    )
)


_RETRY = Retry(initial_delay_seconds=0.01)


class MemoryTable:
    """RETRY and DEAD as a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[bytes, dict[str, str], int]] = {}
        self.published: list[str] = []
        self.full: set[str] = set()
        """What has no room: the beginnings of subjects, such as `forebay.dead.`."""

        self.refusals: list[str] = []
        """The subjects of what was refused for want of room."""

        self._last = 0

    @property
    def refused(self) -> int:
        """How often something was refused for want of room."""
        return len(self.refusals)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row; raises StoreFull where it has no room."""
        if any(subject.startswith(full) for full in self.full):
            self.refusals.append(subject)
            message = "there is no room"
            raise StoreFull(message)
        self._last += 1
        self.rows[subject] = (payload, headers, self._last)
        self.published.append(subject)
        return PubAck(seq=self._last)

    async def read(self, _: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Read a row."""
        return self.rows.get(subject)

    async def claims(self, _: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return what is there of these subjects."""
        return {subject: self.rows[subject][2] for subject in subjects if subject in self.rows}

    async def digests(self, _: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of what is there of these."""
        return {
            sequence: headers.get(envelope.DIGEST, "")
            for _, headers, sequence in self.rows.values()
            if sequence in sequences
        }

    async def delete(self, _: str, sequence: int) -> None:
        """Delete a row."""
        self.rows = {name: row for name, row in self.rows.items() if row[2] != sequence}

    async def purge(self, _: str, subject: str, below: int) -> None:
        """Remove a subject's older rows."""
        if subject in self.rows and self.rows[subject][2] < below:
            del self.rows[subject]


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
    async def close(self) -> None:
        """Nothing to let go of."""


class ChannelAlone:
    """One channel, two partitions, and what came of their items."""

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
        metrics = ProcessorMetrics(CollectorRegistry(), pool="test")
        self.channel = Channel(NAME, "sink", metrics, Random(1), self.time)
        self._configure(Destination(name="sink", retry=_RETRY))
        self.done: list[str] = []
        self.works: list[Work] = []

    def _configure(self, config: Destination) -> None:
        settings = ChannelSettings(state=ChannelState.OPEN, config=config, port=self.door)
        self.channel.configure(settings)

    def partition(self, number: int, epoch: int = 7) -> OwnedPartition:
        """Return a partition that is owned, its rows at work."""
        return owned_partition(f"event.{number:02d}", self.lease, self.table, self.ages, epoch)

    def lose(self, number: int) -> None:
        """Let somebody else own a partition."""
        self.partitions[number].lose()
        self.channel.drop(self.partitions[number])

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
            self.channel.drop(partition)
            partition.lose()
            await partition.finish(0)

    def answer(self, result: Result) -> None:
        """Answer what is under way, and what comes, so."""
        self.door.answer.set_result(result)

    def answer_anew(self, result: Result) -> None:
        """Answer what comes from now on so."""
        self.door.answer = asyncio.get_running_loop().create_future()
        self.answer(result)

    def limit(self, max_in_flight: int) -> None:
        """Let the destination take so many at a time."""
        target = HttpTarget(url="http://sink", max_in_flight=max_in_flight)
        self._configure(Destination(name="sink", retry=_RETRY, http=target))

    def remove_destination(self) -> None:
        """Let the endpoint name the destination no more."""
        self.channel.configure(ChannelSettings(state=ChannelState.REMOVED))

    def pause(self) -> None:
        """Let the endpoint be paused."""
        self.channel.configure(ChannelSettings(state=ChannelState.PAUSED, port=self.door))

    def let_pass(self, seconds: float) -> None:
        """Let so much time pass at once, and whatever waited for it begin."""
        self.clock.gone_by += seconds
        self.channel.wake_rows()

    def offer(self, number: int, key: str, conversation: str = "c") -> None:
        """Offer an item of a partition to the channel."""
        subject = RetrySubject("0", number, Lane.LIVE, NAME, "sink", f"{conversation}{number}", key)
        headers = {envelope.RECEIVED_AT: "0"}
        done = self.done

        def finished() -> None:
            done.append(key)

        partition = self.partitions[number]
        stored_at = self.time.now()
        work = Work(partition, subject, len(key), ITEM, headers, finished, stored_at)
        self.works.append(work)
        self.channel.offer(work)
