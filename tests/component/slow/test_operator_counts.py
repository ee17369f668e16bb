"""The operator counts what waits for an endpoint: exactly, and however much that is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest_asyncio
from nats.aio.client import Client

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import endpoint_partition
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.streams import JetStreams, Waiting
from support.nats.nats_server import NatsServer
from support.nats.streams import count
from support.timing.wait import eventually

NAME: Final = EndpointName("demo", "shop")
LISTED: Final = 100_000
"""nats-server lists so many subjects of a stream in one answer, and no more."""

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


async def test_what_waits_is_counted_in_raw_events_and_retry(
    client: Client, streams: JetStreams
) -> None:
    partition = f"{endpoint_partition(NAME):02d}"
    before = datetime.now(UTC).replace(microsecond=0)
    context = client.jetstream()
    for lane in ("live", "status", "bulk"):
        await context.publish(f"forebay.raw.0.{partition}.{lane}.demo.shop", b"{}")
    for number in range(4):
        await context.publish(f"forebay.event.0.03.live.demo.shop.c1.k{number}", b"{}")
    for number in range(5):
        await context.publish(f"forebay.retry.0.03.live.demo.shop.sink.c1.k{number}", b"{}")
        await context.publish(f"forebay.retry.0.03.live.demo.other.sink.c1.k{number}", b"{}")
    found = await streams.waiting("0", NAME)
    assert found.items == 12
    assert found.oldest is not None
    assert found.oldest >= before
    assert (await streams.waiting("0", EndpointName("demo", "other"))).items == 5
    assert await streams.waiting("0", EndpointName("demo", "quiet")) == Waiting(0, None)


async def test_more_than_the_server_lists_is_counted_whole(
    client: Client, streams: JetStreams
) -> None:
    for number in range(LISTED + 7):
        await client.publish(
            f"forebay.retry.0.{number % 64:02d}.bulk.demo.shop.sink.c.k{number}", b""
        )
        if number % AT_ONCE == 0:
            await client.flush()
    await client.flush()

    async def stored() -> bool:
        return await count(client, "FOREBAY_RETRY_0") == LISTED + 7

    await eventually(stored, saying="all stored", within=30)
    assert (await streams.waiting("0", NAME)).items == LISTED + 7
