"""The operator counts what waits for each endpoint in one sweep: rightly, whoever has how much."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest_asyncio
from nats.aio.client import Client

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, StreamKind, consumer_name, endpoint_partition, stream_name
from forebay.runtime.jetstream.message_places import read_places
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.streams import JetStreams
from forebay_operator.models.stored_rows import ParkedItems
from forebay_operator.services.lane_rows import READ_MOST
from forebay_operator.services.stream_sweep import ShardSweep
from support.nats.nats_server import NatsServer
from support.nats.streams import count
from support.timing.wait import eventually

SHOP, OTHER, QUIET = (EndpointName("demo", name) for name in ("shop", "other", "quiet"))

AT_ONCE: Final = 2_000


@pytest_asyncio.fixture
async def streams(nats_server: NatsServer) -> AsyncIterator[JetStreams]:
    """Give the operator's own adapter, connected."""
    streams = JetStreams(NatsSettings(url=nats_server.url))
    task = asyncio.create_task(streams.run())
    await eventually(streams.connections.is_set, saying="a connection")
    yield streams
    task.cancel()
    await asyncio.wait([task])


async def no_processor() -> list[ParkedItems] | None:
    return None


def raw(endpoint: EndpointName, lane: str = "live") -> str:
    namespace, name = endpoint
    return f"forebay.raw.0.{endpoint_partition(endpoint, '0'):02d}.{lane}.{namespace}.{name}"


async def polled(sweep: ShardSweep) -> dict[str, int]:
    """Poll once; return what waits by the endpoints' names."""
    await sweep.poll([SHOP, OTHER, QUIET])
    return {name.name: each.items for name, each in (sweep.waiting or {}).items()}


async def test_what_waits_is_counted_in_raw_events_and_retry(
    client: Client, streams: JetStreams
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    context = client.jetstream()
    sweep = ShardSweep("0", streams, no_processor)
    for lane in ("live", "status", "bulk"):
        await context.publish(raw(SHOP, lane), b"{}")
    for number in range(4):
        await context.publish(f"forebay.event.0.03.live.demo.shop.c1.k{number}", b"{}")
    for number in range(5):
        await context.publish(f"forebay.retry.0.03.live.demo.shop.sink.c1.k{number}", b"{}")
        await context.publish(f"forebay.retry.0.03.live.demo.other.sink.c1.k{number}", b"{}")
    assert await polled(sweep) == {"shop": 12, "other": 5}
    assert sweep.waiting is not None
    oldest = sweep.waiting[SHOP].oldest
    assert oldest is not None
    assert before <= oldest <= datetime.now(UTC)
    latest = sweep.latest(SHOP)
    assert latest is not None
    assert before <= latest <= datetime.now(UTC)
    assert sweep.latest(OTHER) is None


async def test_what_is_processed_is_counted_no_more_and_what_comes_is(
    client: Client, streams: JetStreams
) -> None:
    context = client.jetstream()
    sweep = ShardSweep("0", streams, no_processor)
    for _ in range(20):
        await context.publish(raw(SHOP), b"{}")
    assert await polled(sweep) == {"shop": 20}
    name = consumer_name("split", Lane.LIVE, endpoint_partition(SHOP, "0"))
    pull = await context.pull_subscribe_bind(name, stream_name(StreamKind.RAW, "0"))
    for message in await pull.fetch(15, timeout=2):
        await message.ack_sync()
    await context.publish(raw(OTHER), b"{}")
    assert await polled(sweep) == {"shop": 5, "other": 1}
    for message in await pull.fetch(5, timeout=2):
        await message.ack_sync()
    assert await polled(sweep) == {"other": 1}


async def test_a_poll_leaves_no_consumer_behind(client: Client, streams: JetStreams) -> None:
    context = client.jetstream()
    await context.publish(raw(SHOP), b"{}")
    await context.publish("forebay.retry.0.03.live.demo.shop.sink.c1.k", b"{}")
    sweep = ShardSweep("0", streams, no_processor)
    for _ in range(3):
        await polled(sweep)
    for kind in (StreamKind.RAW, StreamKind.RETRY):
        found = await context.consumers_info(stream_name(kind, "0"))
        assert [each.name for each in found if not each.config.durable_name] == []


async def test_many_parked_rows_are_shared_out_where_no_processor_says_whose_they_are(
    client: Client, streams: JetStreams
) -> None:
    """Two of three are one endpoint's: the estimate says so, and the sum is what RETRY holds."""
    rows = READ_MOST + 5_000
    for number in range(rows):
        name = "other" if number % 3 == 0 else "shop"
        subject = f"forebay.retry.0.{number % 16:02d}.bulk.demo.{name}.sink.c.k{number}"
        await client.publish(subject, b"")
        if number % AT_ONCE == 0:
            await client.flush()
    await client.flush()

    async def stored() -> bool:
        return await count(client, "FOREBAY_RETRY_0") == rows

    await eventually(stored, saying="all stored", within=30)
    found = await polled(ShardSweep("0", streams, no_processor))
    assert abs(sum(found.values()) - rows) <= 2
    assert abs(found["shop"] - rows * 2 / 3) < rows / 100


async def test_places_are_read_page_by_page_whatever_the_messages_carry(client: Client) -> None:
    context = client.jetstream()
    for number in range(2_500):
        await client.publish(
            raw(SHOP), b"x" * 100, headers={"padding": "y" * (60_000 if number == 1_200 else 10)}
        )
    await client.flush()

    async def stored() -> bool:
        return await count(client, "FOREBAY_RAW_0") == 2_500

    await eventually(stored, saying="all stored")
    await context.delete_msg("FOREBAY_RAW_0", 7)
    found = await read_places(client, "FOREBAY_RAW_0", 5, 10_000)
    assert [each.sequence for each in found] == [5, 6, *range(8, 2_501)]
    assert {each.subject for each in found} == {raw(SHOP)}
    assert [each.sequence for each in await read_places(client, "FOREBAY_RAW_0", 2_000, 3)] == [
        2_000,
        2_001,
        2_002,
    ]
    assert await read_places(client, "FOREBAY_RAW_0", 2_501, 10) == []
