"""Deleting what is gone already is no error, wherever in its stream it was."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.adapters.streams import Streams
from support.nats.nats_server import NatsServer

STREAM = "ROWS"
MESSAGES = 5


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Give a client of a server with a stream of some messages."""
    async with nats_server.client() as connected:
        context = connected.jetstream()
        await context.add_stream(name=STREAM, subjects=["rows.>"])
        for number in range(MESSAGES):
            await context.publish(f"rows.{number}", b"x")
        yield connected


@pytest.mark.parametrize("sequence", [1, 3, MESSAGES])
async def test_the_first_one_the_last_one_and_one_between(client: Client, sequence: int) -> None:
    streams = Streams(client)
    for _ in range(2):
        await streams.delete(STREAM, sequence)
    assert (await streams.stream_info(STREAM)).state.messages == MESSAGES - 1


async def test_the_only_one_that_was_left(client: Client) -> None:
    streams = Streams(client)
    for sequence in range(1, MESSAGES + 1):
        await streams.delete(STREAM, sequence)
    for sequence in (1, MESSAGES, MESSAGES + 4):
        await streams.delete(STREAM, sequence)
    assert (await streams.stream_info(STREAM)).state.messages == 0


async def test_a_stream_that_is_missing_is_an_error(client: Client) -> None:
    with pytest.raises(StoreError):
        await Streams(client).delete("NONE", 1)
