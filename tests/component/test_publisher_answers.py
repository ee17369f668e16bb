"""What JetStream answers reaches whoever published, each kind as its own error."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from nats.js.api import StreamConfig

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.errors import (
    CLAIM_REFUSED_TEXT,
    ClaimedBefore,
    MessageTooLarge,
    SequenceMismatch,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay.runtime.jetstream.pending_publish import Message, PubAck
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.jetstream.streams import ShardConfig, stream_config
from forebay.runtime.settings import NatsSettings
from support.nats.nats_server import NatsServer
from support.nats.publishing import publishing
from support.programs.stack import SHARD
from support.timing.wait import eventually

SECONDS = 5.0
"""More than any answer takes here."""

EVENT = "forebay.event.0.03.live.demo.meta.messages.0123456789abcdef0123456789abcdef"


@contextlib.asynccontextmanager
async def connected(server: NatsServer, late: list[None] | None = None) -> AsyncIterator[Publisher]:
    """Give a publisher that is connected."""
    counted = [] if late is None else late
    settings = NatsSettings(url=server.url)
    async with publishing(settings, lambda: counted.append(None)) as publisher:
        await publisher.wait_reached()
        yield publisher


async def make_stream(server: NatsServer, kind: StreamKind, shard: ShardConfig = SHARD) -> None:
    """Make one stream as it is shipped, or change it."""
    async with server.client() as client:
        context = client.jetstream()
        await context.add_stream(stream_config(kind, shard))


async def fill(publisher: Publisher) -> None:
    """Store items until one is refused."""
    for number in range(10):
        await publisher.publish(f"{EVENT}{number}", b"x" * 1_000, {}, SECONDS)


async def messages(server: NatsServer, stream: str) -> int:
    """Return how many messages a stream holds."""
    async with server.client() as client:
        return (await client.jetstream().stream_info(stream)).state.messages


async def test_every_message_gets_the_answer_to_itself(nats_server: NatsServer) -> None:
    await make_stream(nats_server, StreamKind.RAW)
    async with connected(nats_server) as publisher:
        answers = [
            publisher.send(f"forebay.raw.0.{number}", b"%d" % number, {}, SECONDS)
            for number in range(500)
        ]
        acks = await asyncio.gather(*answers)
        assert publisher.in_flight == 0
    assert [ack.seq for ack in acks] == list(range(1, 501))
    assert {(ack.stream, ack.duplicate) for ack in acks} == {("FOREBAY_RAW_0", False)}


async def test_each_of_a_batch_gets_the_answer_to_itself(nats_server: NatsServer) -> None:
    await make_stream(nats_server, StreamKind.EVENTS)
    async with connected(nats_server) as publisher:
        await publisher.publish(f"{EVENT}0", b"known", {}, SECONDS)
        limit = publisher.max_payload
        batch: list[Message] = [
            (f"{EVENT}0", b"known again", {}),
            (f"{EVENT}1", b"new", {}),
            # Refused before it is sent: its answer is there before any other.
            (f"{EVENT}2", bytes(limit + 1), {}),
            (f"{EVENT}3", b"new", {}),
            ("forebay.raw.9.nobody", b"", {}),
        ]
        answers = await publisher.publish_all(batch, SECONDS)
    kinds = [type(answer) for answer in answers]
    assert kinds == [ClaimedBefore, PubAck, MessageTooLarge, PubAck, StreamMissing]
    assert [answer.seq for answer in answers if isinstance(answer, PubAck)] == [2, 3]


async def test_payload_and_headers_are_stored_as_given(nats_server: NatsServer) -> None:
    await make_stream(nats_server, StreamKind.RAW)
    payload = bytes(range(256)) * 4
    headers = {"Forebay-Endpoint": "demo/meta", "traceparent": "00-1-2-01", "Empty": ""}
    async with connected(nats_server) as publisher, nats_server.client() as client:
        await publisher.publish("forebay.raw.0.x", payload, headers, SECONDS)
        stored = await client.jetstream().get_msg("FOREBAY_RAW_0", 1)
    assert (stored.data, stored.headers) == (payload, headers)


async def test_a_repeat_within_the_window_is_reported_and_stored_once(
    nats_server: NatsServer,
) -> None:
    await make_stream(nats_server, StreamKind.RAW)
    headers = {"Nats-Msg-Id": "the-same"}
    async with connected(nats_server) as publisher:
        first = await publisher.publish("forebay.raw.0.x", b"1", headers, SECONDS)
        again = await publisher.publish("forebay.raw.0.x", b"1", headers, SECONDS)
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.seq == first.seq
    assert await messages(nats_server, "FOREBAY_RAW_0") == 1


async def test_a_second_claim_is_refused_in_the_words_that_we_expect(
    nats_server: NatsServer,
) -> None:
    await make_stream(nats_server, StreamKind.EVENTS)
    async with connected(nats_server) as publisher:
        await publisher.publish(EVENT, b"1", {}, SECONDS)
        with pytest.raises(ClaimedBefore) as refusal:
            await publisher.publish(EVENT, b"2", {}, SECONDS)
    # The server's own words: were they to change, every repeat would look like a full stream.
    assert str(refusal.value) == f"NATS answered 10077: {CLAIM_REFUSED_TEXT}"


async def test_a_full_stream_has_the_same_code_and_is_no_repeat(nats_server: NatsServer) -> None:
    small = ShardConfig(events_max_bytes=4_000)
    await make_stream(nats_server, StreamKind.EVENTS, small)
    async with connected(nats_server) as publisher:
        with pytest.raises(StoreFull, match="10077"):
            await fill(publisher)


async def test_a_claim_in_a_full_stream_is_still_a_repeat(nats_server: NatsServer) -> None:
    small = ShardConfig(events_max_bytes=4_000)
    await make_stream(nats_server, StreamKind.EVENTS, small)
    async with connected(nats_server) as publisher:
        await publisher.publish(EVENT, b"x" * 1_000, {}, SECONDS)
        with pytest.raises(StoreFull):
            await fill(publisher)
        with pytest.raises(ClaimedBefore):
            await publisher.publish(EVENT, b"x" * 1_000, {}, SECONDS)


async def test_a_subject_without_a_stream_is_reported_at_once(nats_server: NatsServer) -> None:
    async with connected(nats_server) as publisher:
        async with asyncio.timeout(SECONDS / 2):
            with pytest.raises(StreamMissing):
                await publisher.publish("forebay.raw.0.x", b"1", {}, SECONDS)


async def test_an_expected_sequence_that_cannot_be_is_answered_and_not_stored(
    nats_server: NatsServer,
) -> None:
    await make_stream(nats_server, StreamKind.RAW)
    headers = {"Nats-Expected-Last-Sequence": "18446744073709551615"}
    async with connected(nats_server) as publisher:
        with pytest.raises(SequenceMismatch):
            await publisher.publish("forebay.raw.0.probe", b"", headers, SECONDS)
    assert await messages(nats_server, "FOREBAY_RAW_0") == 0


async def test_a_message_above_the_server_s_size_is_refused_and_the_connection_stays(
    nats_server: NatsServer,
) -> None:
    await make_stream(nats_server, StreamKind.RAW)
    async with connected(nats_server) as publisher:
        with pytest.raises(MessageTooLarge):
            await publisher.publish("forebay.raw.0.x", b"x" * publisher.max_payload, {}, SECONDS)
        assert publisher.in_flight == 0
        assert (await publisher.publish("forebay.raw.0.x", b"1", {}, SECONDS)).seq == 1


async def test_a_message_above_the_stream_s_size_is_refused(nats_server: NatsServer) -> None:
    async with nats_server.client() as client:
        await client.jetstream().add_stream(
            StreamConfig(
                name="FOREBAY_RAW_small", subjects=["forebay.raw.small.>"], max_msg_size=10
            )
        )
    async with connected(nats_server) as publisher:
        with pytest.raises(MessageTooLarge):
            await publisher.publish("forebay.raw.small.x", b"x" * 11, {}, SECONDS)


async def test_without_a_connection_nothing_is_sent_and_it_is_reported_at_once() -> None:
    publisher = Publisher(NatsSettings(url="nats://127.0.0.1:1"), "test")
    assert not publisher.is_connected
    with pytest.raises(StoreUnavailable, match="not connected"):
        await publisher.publish("forebay.raw.0.x", b"1", {}, SECONDS)


async def test_it_connects_when_the_server_comes(nats_server: NatsServer) -> None:
    await nats_server.kill()
    settings = NatsSettings(url=nats_server.url)
    publisher = Publisher(settings, "test")
    running = asyncio.create_task(publisher.run())
    try:
        assert not publisher.was_reached
        await nats_server.start()
        await eventually(lambda: publisher.is_connected, saying="the publisher to connect")
        assert publisher.was_reached
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
