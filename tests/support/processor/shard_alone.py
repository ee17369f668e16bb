"""A shard without a processor: its table of leases, streams and destination are the test's own."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import cast

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.core import envelope
from forebay.core.subjects import EventSubject, Lane, RetrySubject
from forebay.core.tables import Destination, LogTarget, ProcessorEndpoint, ProcessorTable
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.consumers import ConsumerState, StreamView
from forebay.runtime.jetstream.errors import SequenceMismatch
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.jetstream.pull_status import PullRefusal
from forebay.runtime.jetstream.pulled_message import PulledMessage, reply_tokens
from forebay.runtime.jetstream.puller import TakenOver
from forebay_processor.adapters.connection import Session
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition_factory import PartitionFactory
from forebay_processor.ownership.shard import ShardRunner
from forebay_processor.settings import ProcessorSettings
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.lease_table import LeaseTable, Member
from forebay_processor.shared.partition_view import StoredRow
from forebay_processor.shared.stream_time import StreamTime
from support.processor.memory_table import MemoryTable
from support.processor.queue_alone import ITEM, NAME, Door
from support.timing.clocks import HandClock
from support.timing.wait import eventually

__all__ = ["MemoryLeases", "MemorySession", "ShardAlone"]

_CONVERSATION = "c"
_DESTINATION = "sink"
_PARTITION = 0


class MemoryLeases:
    """The table of leases, which others write, too."""

    def __init__(self) -> None:
        self.table = LeaseTable()
        self._sequence = 0
        self._hint: Callable[[LeaseTable], None] = lambda _: None

    async def read(self) -> tuple[LeaseTable, int]:
        """Return the table and its sequence."""
        return self.table, self._sequence

    async def write(self, table: LeaseTable, sequence: int) -> int:
        """Replace the table that has this sequence; raises SequenceMismatch."""
        if sequence != self._sequence:
            message = "somebody else was quicker"
            raise SequenceMismatch(message)
        self.table = table
        self._sequence += 1
        return self._sequence

    async def follow(self, on_table: Callable[[LeaseTable], None]) -> None:
        """Call with every table that somebody else writes."""
        self._hint = on_table

    async def close(self) -> None:
        """Follow no more."""
        self._hint = lambda _: None

    def give_to_another(self, partition_id: str) -> None:
        """Let another processor have a partition, whose owner it takes for dead."""
        other = Member(listener_id="elsewhere", heartbeat=1)
        before = self.table.assignment(partition_id)
        after = msgspec.structs.replace(before, owner="other", epoch=before.epoch + 1)
        self.table = LeaseTable(
            members={**self.table.members, "other": other},
            partitions={**self.table.partitions, partition_id: after},
        )
        self._sequence += 1
        self._hint(self.table)


class _Streams(MemoryTable):
    """What a processor asks of streams: there is nothing in them but RETRY's rows."""

    def __init__(self, time: StreamTime) -> None:
        super().__init__()
        self.left: dict[str, int] = {}
        """How many messages an owner before us left unacked, by consumer."""

        self._time = time

    async def take_over(self, _: str, consumer: str) -> TakenOver:
        """Have all handed out again that is not acked."""
        return TakenOver(self.left.get(consumer, 0), 0)

    async def server_time(self, _: str) -> float:
        """Return what time it is there."""
        return self._time.now()

    async def stream_info(self, _: str) -> SimpleNamespace:
        """Return what is known of a stream, as if each held RETRY's rows."""
        state = SimpleNamespace(messages=len(self.rows), last_seq=self.last)
        config = SimpleNamespace(max_age=None, discard_new_per_subject=True)
        return SimpleNamespace(config=config, state=state)

    async def header_pages(
        self, _: str, subjects: str, after: int, limit: int
    ) -> AsyncIterator[list[StoredRow]]:
        """Yield RETRY's rows."""
        while page := await self.next_rows(_, subjects, after, limit):
            yield page
            after = page[-1].sequence

    async def replayed(self, *_: object) -> list[StoredMessage]:
        """Return no rows: nobody replays."""
        return []

    async def view(self, _: str) -> StreamView:
        """Return what distinguishes a stream from others."""
        return StreamView(created=0, last_sequence=0)

    async def consumers(self, _: str) -> dict[str, ConsumerState]:
        """Return none: each has to be asked for."""
        return {}

    async def is_there(self, _: str, __: str) -> bool:
        """Say that a consumer is there."""
        return True


class _Pull:
    """Hands out what the test puts in."""

    has_missed = False
    refusal: PullRefusal | None = None
    pending = 0

    def __init__(self, consumer: str, batches: asyncio.Queue[list[PulledMessage]]) -> None:
        self.consumer = consumer
        self.next_batch = batches.get

    def begin_after(self, taken: TakenOver) -> None:
        """Know what comes again."""


class MemorySession:
    """A connection that is never lost."""

    def __init__(self, streams: _Streams) -> None:
        self.streams = streams
        self.table_of_leases = MemoryLeases()
        self.lost = asyncio.Event()
        self.batches: defaultdict[str, asyncio.Queue[list[PulledMessage]]] = defaultdict(
            asyncio.Queue
        )
        """What is handed out, by consumer."""

    def leases(self, _: str) -> MemoryLeases:
        """Return the table of leases."""
        return self.table_of_leases

    async def open_inbox(self, _: object) -> "MemorySession":
        """Return what pullers are made by: there is one for all."""
        return self

    async def close_inbox(self, _: object) -> None:
        """Take no more messages."""

    def puller(self, _stream: str, consumer: str, _batch: int, _allowed: object) -> _Pull:
        """Return what hands out a consumer's messages."""
        return _Pull(consumer, self.batches[consumer])


class _Client:
    """Takes acks."""

    def __init__(self) -> None:
        self.acked: list[int] = []

    async def publish(self, reply: str, word: bytes) -> None:
        """Take an answer to a message."""
        assert word == b"+ACK"
        self.acked.append(int(reply.split(".")[5]))

    async def request(self, *_: object, **__: object) -> None:
        """Say that all acks are there."""


class ShardAlone:
    """One shard, all of whose partitions are ours until the test says otherwise."""

    def __init__(self) -> None:
        time = StreamTime(HandClock())
        metrics = ProcessorMetrics(pool="test")
        endpoints = Endpoints()
        channels = DestinationQueues(endpoints, cast("Destinations", self), metrics, time)
        self.door = Door()
        self.streams = _Streams(time)
        self.session = MemorySession(self.streams)
        self.leases = self.session.table_of_leases
        self._stored_at = int(time.now() * 1e9)
        self._client = _Client()
        self._factory = PartitionFactory(
            ProcessorSettings(),
            cast("Publisher", None),
            endpoints,
            channels,
            self.streams,
            metrics,
            lambda: None,
        )
        self.shard = ShardRunner("0", "me", "here", self._factory)
        own = ProcessorEndpoint(
            namespace=NAME.namespace,
            name=NAME.name,
            provider="meta",
            destinations=(Destination(name=_DESTINATION, log=LogTarget()),),
        )
        endpoints.replace({"table.json": ProcessorTable(generation="1", endpoints=(own,))})

    @property
    def acked(self) -> list[int]:
        """The sequences of the items that were acked in EVENTS."""
        return self._client.acked

    @property
    def owned(self) -> set[str]:
        """What is owned at this moment, such as `event.00`."""
        return {each.partition_id for each in self.shard.partitions}

    def of(self, *_: object) -> Door:
        """Return the one destination, as `Destinations` does."""
        return self.door

    def forget(self, *_: object) -> None:
        """Let go of nothing, as it is not kept."""

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Own and work all partitions from the beginning of the block on."""
        tasks = [
            asyncio.create_task(self.shard.work(cast("Session", self.session))),
            asyncio.create_task(self._factory.acker.run()),
        ]
        try:
            await eventually(lambda: self.shard.is_ready, saying="the shard to be worked")
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._factory.close()

    def hand_out(self, sequence: int, key: str, delivered: int = 1) -> None:
        """Have an item handed out for the n-th time; all are of partition 0 and one conversation.

        Args:
            sequence: Its place in EVENTS.
            key: What distinguishes it from others.
            delivered: How often it was handed out, this time included.
        """
        numbers = f"{delivered}.{sequence}.{sequence}.{self._stored_at}.0"
        reply = f"$JS.ACK.FOREBAY_EVENTS_0.deliver-live-00.{numbers}"
        subject = str(EventSubject("0", _PARTITION, Lane.LIVE, NAME, "messages", key))
        headers = {envelope.RECEIVED_AT: "1", envelope.CONVERSATION: _CONVERSATION}
        client = cast("Client", self._client)
        message = PulledMessage(
            client, Msg(client, subject, reply, ITEM, headers), reply_tokens(reply) or []
        )
        self.session.batches[message.consumer].put_nowait([message])

    async def park(self, sequence: int, key: str) -> None:
        """Let RETRY have the row of an item that an owner before us parked."""
        row = RetrySubject("0", _PARTITION, Lane.LIVE, NAME, _DESTINATION, _CONVERSATION, key)
        headers = {envelope.RECEIVED_AT: "1", envelope.ORDER: str(sequence)}
        await self.streams.publish(str(row), ITEM, headers)
