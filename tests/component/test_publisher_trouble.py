"""A server is lost or silent: who published gets an error in time, and nothing is sent later."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.jetstream.streams import stream_config
from forebay.runtime.settings import NatsSettings
from support.nats.nats_server import NatsServer
from support.nats.publishing import publishing
from support.programs.ports import HOST
from support.programs.stack import SHARD
from support.timing.starvation import Stopwatch
from support.timing.wait import eventually

SUBJECT = "forebay.raw.0.x"
LONG = 20.0
"""Seconds until an answer is given up: none of these tests waits so long."""


class Watched:
    """A publisher with what it reports to its owner."""

    def __init__(self, server: NatsServer) -> None:
        """Prepare; nothing is connected yet."""
        self.late = 0
        self.changes: list[bool] = []
        self.publisher = Publisher(
            NatsSettings(url=server.url),
            "test",
            on_late=self._count,
            on_change=self.changes.append,
        )

    def _count(self) -> None:
        self.late += 1

    def send(self, number: int, within: float = LONG) -> asyncio.Future[PubAck]:
        """Send a message of its own id."""
        return self.publisher.send(SUBJECT, b"%d" % number, {"Nats-Msg-Id": str(number)}, within)


@pytest.fixture
async def watched(nats_server: NatsServer) -> AsyncIterator[Watched]:
    """Give a publisher that is connected to a server with a RAW stream."""
    async with nats_server.client() as client:
        await client.jetstream().add_stream(stream_config(StreamKind.RAW, SHARD))
    made = Watched(nats_server)
    running = asyncio.create_task(made.publisher.run())
    try:
        await made.publisher.wait_reached()
        yield made
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def stored(server: NatsServer) -> int:
    async with server.client() as client:
        return (await client.jetstream().stream_info("FOREBAY_RAW_0")).state.last_seq


async def test_a_lost_server_fails_what_is_in_flight_at_once(
    nats_server: NatsServer, watched: Watched
) -> None:
    nats_server.freeze()
    answers = [watched.send(number) for number in range(20)]
    assert watched.publisher.in_flight == 20
    watch = Stopwatch()
    await nats_server.kill()
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert watch.busy_seconds < LONG / 4
    assert watched.publisher.in_flight == 0


async def test_what_failed_with_the_connection_is_not_sent_over_the_next_one(
    nats_server: NatsServer, watched: Watched
) -> None:
    await nats_server.kill()
    await eventually(lambda: not watched.publisher.is_connected, saying="the loss to be noticed")
    with pytest.raises(StoreUnavailable):
        await watched.send(1)
    await nats_server.start()
    await eventually(lambda: watched.publisher.is_connected, saying="the publisher to come back")
    ack = await watched.send(2)
    assert ack.seq == 1
    assert await stored(nats_server) == 1


async def test_it_comes_back_with_the_server_and_reports_so(
    nats_server: NatsServer, watched: Watched
) -> None:
    await nats_server.kill()
    await nats_server.start()
    await eventually(lambda: watched.changes == [True, False, True], saying="both changes")
    assert (await watched.send(1)).seq == 1


async def test_a_silent_server_is_given_up_in_time(
    nats_server: NatsServer, watched: Watched
) -> None:
    nats_server.freeze()
    watch = Stopwatch()
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        await watched.send(1, within=0.2)
    assert watch.seconds > 0.15
    assert watch.busy_seconds < 0.5
    assert watched.publisher.in_flight == 0


async def test_an_answer_that_comes_too_late_is_counted_and_no_other_is(
    nats_server: NatsServer, watched: Watched
) -> None:
    assert (await watched.send(1)).seq == 1
    nats_server.freeze()
    answers = [watched.send(number, within=0.1) for number in (2, 3)]
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    nats_server.thaw()
    await eventually(lambda: watched.late == 2, saying="both late answers")
    assert (await watched.send(4)).seq == 4
    assert (watched.late, await stored(nats_server)) == (2, 4)


async def test_what_was_stored_too_late_is_known_when_it_is_sent_again(
    nats_server: NatsServer, watched: Watched
) -> None:
    nats_server.freeze()
    with pytest.raises(StoreUnavailable):
        await watched.send(1, within=0.1)
    nats_server.thaw()
    assert (await watched.send(1)).duplicate
    assert await stored(nats_server) == 1


async def test_a_patient_message_survives_a_short_silence(
    nats_server: NatsServer, watched: Watched
) -> None:
    nats_server.freeze()
    patient, hasty = watched.send(1), watched.send(2, within=0.1)
    with pytest.raises(StoreUnavailable):
        await hasty
    nats_server.thaw()
    assert (await patient).seq == 1


async def test_a_sender_that_goes_away_does_not_disturb_the_others(watched: Watched) -> None:
    gone, other = watched.send(1), watched.send(2)
    gone.cancel()
    assert (await other).seq == 2
    assert watched.publisher.in_flight == 0


@contextlib.asynccontextmanager
async def telling_of(other: str) -> AsyncIterator[str]:
    """Give the URL of a server of a cluster that announces another one, and ends with the block."""
    writers: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        info = {"version": "2.10.0", "max_payload": 1024, "connect_urls": [other]}
        writer.write(b"INFO %b\r\n" % json.dumps(info).encode())
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")

    server = await asyncio.start_server(greet, HOST, 0)
    try:
        yield f"nats://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def test_where_the_server_that_was_named_is_gone_another_of_its_cluster_is_reached(
    nats_server: NatsServer,
) -> None:
    async with nats_server.client() as client:
        await client.jetstream().add_stream(stream_config(StreamKind.RAW, SHARD))
    changes: list[bool] = []
    async with contextlib.AsyncExitStack() as cleanup:
        async with telling_of(f"{HOST}:{nats_server.port}") as url:
            publisher = await cleanup.enter_async_context(
                publishing(NatsSettings(url=url), on_change=changes.append)
            )
            await publisher.wait_reached()
        await eventually(lambda: changes == [True, False, True], saying="another to be reached")
        assert (await publisher.publish(SUBJECT, b"1", {}, LONG)).seq == 1
