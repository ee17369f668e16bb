"""What a real nats-server says of a shard: who goes on with a move by it loses nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind, dedicated_shard, endpoint_partition, stream_name
from forebay.runtime.jetstream.streams import ensure_shard
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.shard_contents import Holding, NatsContents
from forebay_operator.adapters.streams import JetStreams
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOP: Final = EndpointName("acme", "shop")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """Give a server that this module shares: each test has an endpoint of its own."""
    async with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: NatsServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def streams(server: NatsServer) -> AsyncIterator[JetStreams]:
    streams = JetStreams(NatsSettings(url=server.url))
    task = asyncio.create_task(streams.run())
    await eventually(streams.connections.is_set, saying="a connection")
    yield streams
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def contents(streams: JetStreams) -> NatsContents:
    return streams.contents


async def shard_of(client: Client, endpoint: EndpointName) -> str:
    """Make an endpoint's own shard and return its name."""
    shard = dedicated_shard(endpoint)
    await ensure_shard(client, msgspec.structs.replace(SHARD, shard=shard))
    return shard


async def test_a_webhook_is_unfinished_until_it_is_split_and_each_item_until_it_is_acked(
    client: Client, contents: NatsContents
) -> None:
    own, other = EndpointName("acme", "one"), EndpointName("acme", "neighbour")
    shard = await shard_of(client, own)
    context = client.jetstream()
    q = endpoint_partition(own, shard)
    raw, events = (stream_name(kind, shard) for kind in (StreamKind.RAW, StreamKind.EVENTS))
    assert not await contents.is_unfinished(shard, own)
    await context.publish(f"forebay.raw.{shard}.{q:02d}.live.acme.one", b"{}")
    assert await contents.is_unfinished(shard, own)
    assert not await contents.is_unfinished(shard, other)
    splitting = await context.pull_subscribe_bind(f"split-live-{q:02d}", raw)
    (message,) = await splitting.fetch(1)
    assert await contents.is_unfinished(shard, own)
    await context.publish(f"forebay.event.{shard}.03.live.acme.one.messages.k1", b"{}")
    await message.ack_sync()
    assert await contents.is_unfinished(shard, own)
    delivering = await context.pull_subscribe_bind("deliver-live-03", events)
    (item,) = await delivering.fetch(1)
    assert await contents.is_unfinished(shard, own)
    await item.ack_sync()
    assert not await contents.is_unfinished(shard, own)


async def test_what_was_just_stored_is_unfinished_though_its_consumer_does_not_count_it_yet(
    client: Client, streams: JetStreams
) -> None:
    own = EndpointName("acme", "quick")
    shard = await shard_of(client, own)
    ask, lists = streams.ask, list[str]()

    async def counted_late(call: str, body: dict[str, object]) -> dict[str, object] | None:
        answer = await ask(call, body)
        if call.startswith("CONSUMER.LIST"):
            assert answer is not None
            lists.append(call)
            for each in answer["consumers"]:
                each["num_pending"] = 0
        return answer

    contents = NatsContents(counted_late)
    assert not await contents.is_unfinished(shard, own)
    # One question for all consumers of a stream.
    assert lists == [f"CONSUMER.LIST.FOREBAY_{each}_{shard}" for each in ("RAW", "EVENTS")]
    await client.jetstream().publish(f"forebay.event.{shard}.03.live.acme.quick.messages.k1", b"{}")
    assert await contents.is_unfinished(shard, own)


async def test_without_its_consumer_nothing_counts_as_worked_off(
    client: Client, contents: NatsContents
) -> None:
    own = EndpointName("acme", "lost")
    shard = await shard_of(client, own)
    context = client.jetstream()
    await context.publish(f"forebay.event.{shard}.01.bulk.acme.lost.history.k1", b"{}")
    await context.delete_consumer(stream_name(StreamKind.EVENTS, shard), "deliver-bulk-01")
    assert await contents.is_unfinished(shard, own)


async def test_what_waits_and_what_there_is_at_all_is_known_by_endpoint(
    client: Client, contents: NatsContents
) -> None:
    own = EndpointName("acme", "two")
    shard = await shard_of(client, own)
    nothing = Holding(has_claims=False, has_parked=False, has_any=False)
    assert await contents.holding(shard, own) == nothing
    context = client.jetstream()
    await context.publish(f"forebay.dead.{shard}.acme.two.crm.k1", b"{}")
    assert await contents.holding(shard, own) == nothing._replace(has_any=True)
    await context.publish(f"forebay.retry.{shard}.02.live.acme.two.crm.c1.k2", b"{}")
    await context.publish(f"forebay.retry.{shard}.02.live.acme.twofold.erp.c1.k2", b"{}")
    assert await contents.waiting_for(shard, own, ["crm", "erp", "cr"]) == {"crm"}
    assert (await contents.holding(shard, own)).has_parked
    await context.publish(f"forebay.event.{shard}.02.live.acme.two.messages.k2", b"{}")
    assert (await contents.holding(shard, own)).has_claims
    # Of a shard that is not there nothing is there.
    gone = dedicated_shard(EndpointName("acme", "never"))
    assert await contents.holding(gone, own) == nothing
    assert not await contents.is_unfinished(gone, own)
    assert shard in await contents.dedicated_shards()
    assert "0" not in await contents.dedicated_shards()


async def test_streams_are_removed_when_they_hold_nothing(
    client: Client, contents: NatsContents
) -> None:
    own = EndpointName("acme", "three")
    shard = await shard_of(client, own)
    context = client.jetstream()
    await context.publish(f"forebay.dead.{shard}.acme.three.crm.k1", b"{}")
    assert not await contents.remove_empty(shard, together=True)
    assert len(await _streams(client, shard)) == 6
    assert not await contents.remove_empty(shard, together=False)
    assert await _streams(client, shard) == {f"FOREBAY_DEAD_{shard}", f"FOREBAY_LEASE_{shard}"}
    await context.purge_stream(f"FOREBAY_DEAD_{shard}")
    assert await contents.remove_empty(shard, together=False)
    assert await _streams(client, shard) == set()
    assert shard not in await contents.dedicated_shards()


async def test_a_webhook_that_comes_at_the_last_moment_keeps_its_stream(
    client: Client, streams: JetStreams
) -> None:
    own = EndpointName("acme", "four")
    shard = await shard_of(client, own)
    subject = f"forebay.raw.{shard}.00.live.acme.four"
    context = client.jetstream()
    ask, calls = streams.ask, list[str]()

    async def watched(call: str, body: dict[str, object]) -> dict[str, object] | None:
        calls.append(call)
        if call == f"STREAM.UPDATE.FOREBAY_RAW_{shard}" and "closed" in str(body):
            # A straggler, after the last look and before the stream takes nothing more.
            await context.publish(subject, b"{}")
        return await ask(call, body)

    assert not await NatsContents(watched).remove_empty(shard, together=True)
    info = await context.stream_info(f"FOREBAY_RAW_{shard}")
    assert (info.state.messages, info.config.subjects) == (1, [f"forebay.raw.{shard}.>"])
    assert f"STREAM.DELETE.FOREBAY_RAW_{shard}" not in calls
    # It takes webhooks again, and is worked again once it is looked after.
    await context.publish(subject, b"{}")
    await ensure_shard(client, msgspec.structs.replace(SHARD, shard=shard))
    assert (await context.stream_info(f"FOREBAY_RAW_{shard}")).state.consumer_count == 16


async def test_streams_of_the_installation_are_never_removed(contents: NatsContents) -> None:
    with pytest.raises(AssertionError, match="never removed"):
        await contents.remove_empty("0", together=False)


async def _streams(client: Client, shard: str) -> set[str]:
    found = await client.jetstream().streams_info()
    return {str(each.config.name) for each in found if str(each.config.name).endswith(shard)}
