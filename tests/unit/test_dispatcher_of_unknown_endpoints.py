"""Items of an endpoint that no table names wait, and are never forgotten without a letter."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from forebay.core import envelope
from forebay.core.subjects import EventSubject, Lane, dead_subject
from forebay.core.tables import Destination, LogTarget, ProcessorEndpoint, ProcessorTable
from forebay.runtime.jetstream.pulled_message import PulledMessage, reply_tokens
from forebay.runtime.jetstream.puller import Puller
from forebay_processor.delivery.dispatcher import Acker, Dispatcher
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.destinations.port import Delivered
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.lease import Lease, lease_clock
from forebay_processor.shared.recently_acked import RecentlyAcked
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime
from support.processor.memory_table import MemoryTable
from support.processor.partition_alone import owned_partition
from support.processor.queue_alone import ITEM, NAME, Door
from support.processor.split_alone import Acks, Pull
from support.timing.clocks import HandClock
from support.timing.wait import eventually

WINDOW = 8000.0
GIVEN_UP = 7000.0
"""An eighth of the window before its end."""

LETTER = dead_subject("0", NAME, "-", "key")


class DelivererAlone:
    """One dispatcher whose EVENTS, RETRY, DEAD and destination are the test's own."""

    def __init__(self) -> None:
        self.table, self.acks, self.door = MemoryTable(), Acks(), Door()
        self.clock = HandClock()
        self.time = StreamTime(self.clock)
        lease = Lease()
        lease.renew(lease_clock())
        partition = owned_partition("event.00", lease, self.table, RetentionAges(events=WINDOW))
        metrics = ProcessorMetrics(pool="test")
        self.endpoints = Endpoints()
        channels = DestinationQueues(self.endpoints, cast("Destinations", self), metrics, self.time)
        self._acker, self._pull = Acker(), Pull()
        self._dispatcher = Dispatcher(
            partition, self.endpoints, channels, self._acker, RecentlyAcked(), metrics
        )
        self._stored_at = int(self.time.now() * 1e9)

    def of(self, *_: object) -> Door:
        """Return the one destination, as `Destinations` does."""
        return self.door

    def forget(self, *_: object) -> None:
        """Let go of nothing, as it is not kept."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let it run within the block."""
        tasks = [
            asyncio.create_task(self._dispatcher.run(cast("Puller", self._pull))),
            asyncio.create_task(self._acker.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def hand_out(self, sequence: int = 1, key: str = "key") -> None:
        """Have an item handed out; the same sequence is the same item."""
        client = cast("Client", self.acks)
        numbers = f"1.{sequence}.{sequence}.{self._stored_at}.0"
        reply = f"$JS.ACK.FOREBAY_EVENTS_0.deliver-live-00.{numbers}"
        subject = str(EventSubject("0", 0, Lane.LIVE, NAME, "messages", key))
        headers = {envelope.RECEIVED_AT: "1", envelope.CONVERSATION: "c"}
        message = Msg(client, subject, reply, ITEM, headers)
        self._pull.put([PulledMessage(client, message, reply_tokens(reply) or [])])

    def know(self) -> None:
        """Let a table name the endpoint."""
        own = ProcessorEndpoint(
            namespace=NAME.namespace,
            name=NAME.name,
            provider="meta",
            destinations=(Destination(name="sink", log=LogTarget()),),
        )
        self.endpoints.replace({"table.json": ProcessorTable(generation="1", endpoints=(own,))})

    def delete(self) -> None:
        """Let a table list the endpoint as deleted."""
        table = ProcessorTable(generation="2", endpoints=(), deleted=(str(NAME),))
        self.endpoints.replace({"table.json": table})


@pytest.fixture
async def alone() -> DelivererAlone:
    return DelivererAlone()


async def test_an_item_waits_for_its_table(alone: DelivererAlone) -> None:
    async with alone.running():
        alone.hand_out()
        await eventually(lambda: alone.acks.sent_back == [1], saying="it to be sent back")
        alone.know()
        alone.door.answer.set_result(Delivered())
        alone.hand_out()
        await eventually(lambda: alone.acks.acked == [1], saying="it to be delivered")
    assert alone.door.tried == ["key"]


async def test_what_comes_behind_an_item_that_waits_does_not_overtake_it(
    alone: DelivererAlone,
) -> None:
    async with alone.running():
        alone.hand_out(1, "first")
        await eventually(lambda: alone.acks.sent_back == [1], saying="it to be sent back")
        alone.know()
        alone.door.answer.set_result(Delivered())
        alone.hand_out(2, "second")
        await eventually(lambda: alone.acks.sent_back == [1, 2], saying="the next one to follow")
        alone.hand_out(1, "first")
        alone.hand_out(2, "second")
        await eventually(lambda: alone.acks.acked == [1, 2], saying="both to be delivered")
    assert alone.door.tried == ["first", "second"]


async def test_what_is_of_a_deleted_endpoint_is_dropped(alone: DelivererAlone) -> None:
    alone.delete()
    async with alone.running():
        alone.hand_out()
        await eventually(lambda: alone.acks.acked == [1], saying="it to be acked")
    assert (alone.door.tried, alone.table.rows) == ([], {})


async def test_what_events_is_about_to_forget_becomes_a_letter(alone: DelivererAlone) -> None:
    async with alone.running():
        alone.clock.gone_by = GIVEN_UP - 100
        alone.hand_out()
        await eventually(lambda: alone.acks.sent_back == [1], saying="it to be sent back")
        assert alone.table.rows == {}
        alone.clock.gone_by = GIVEN_UP + 100
        alone.hand_out()
        await eventually(lambda: alone.acks.acked == [1], saying="it to be acked")
    assert list(alone.table.rows) == [LETTER]
    assert alone.table.rows[LETTER][1][envelope.ERROR] == "no table names the endpoint"


async def test_what_dead_has_no_room_for_is_not_acked(alone: DelivererAlone) -> None:
    alone.table.full = {"forebay.dead."}
    alone.clock.gone_by = GIVEN_UP + 100
    async with alone.running():
        alone.hand_out()
        await eventually(lambda: alone.acks.sent_back == [1], saying="it to be sent back")
        assert alone.table.refusals == [LETTER]
        assert alone.acks.acked == []
        alone.table.full = set()
        alone.hand_out()
        await eventually(lambda: alone.acks.acked == [1], saying="it to be acked")
    assert list(alone.table.rows) == [LETTER]


async def test_what_dead_has_no_room_for_has_one_line_however_often_it_comes(
    alone: DelivererAlone,
) -> None:
    alone.table.full = {"forebay.dead."}
    alone.clock.gone_by = GIVEN_UP + 100
    with capture_logs() as lines:
        async with alone.running():
            for turn in range(10):
                alone.hand_out()
                await eventually(
                    lambda turn=turn: len(alone.acks.sent_back) == turn + 1,  # type: ignore[misc]
                    saying="it to be sent back",
                )
    (line,) = lines
    assert [line[each] for each in ("event", "step", "endpoint", "destination", "count")] == [
        *("store_failed", "dead_letter", str(NAME), "-", 1)
    ]
