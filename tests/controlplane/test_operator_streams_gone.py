"""Streams and consumers that are gone from NATS: reported in `StreamsReady`, and made again."""

import pytest

from support.nats.nats_server import NatsServer
from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually


async def serve(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")


async def test_a_consumer_that_is_gone_is_reported_and_made_again(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    await serve(forebay)
    async with nats_server.client() as client:
        context = client.jetstream()
        before = (await context.stream_info("FOREBAY_RAW_0")).state.consumer_count
        await context.delete_consumer("FOREBAY_RAW_0", "split-live-03")
        condition = await forebay.wait_condition("sales", "StreamsReady", "StreamMissing")
        assert condition["status"] == "False"
        assert "split-live-03" in condition["message"]
        await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")
        assert (await context.stream_info("FOREBAY_RAW_0")).state.consumer_count == before


@pytest.mark.parametrize("stream", ["FOREBAY_DEAD_0", "FOREBAY_LEASE_0"])
async def test_a_stream_that_is_gone_is_reported_and_made_again(
    forebay: Forebay, nats_server: NatsServer, stream: str
) -> None:
    await serve(forebay)
    async with nats_server.client() as client:
        context = client.jetstream()
        await context.delete_stream(stream)
        condition = await forebay.wait_condition("sales", "StreamsReady", "StreamMissing")
        assert stream in condition["message"]
        await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")

        async def is_there() -> bool:
            return stream in {info.config.name for info in await context.streams_info()}

        await eventually(is_there, saying=f"{stream} to be there again")
