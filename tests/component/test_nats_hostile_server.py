"""A tenant's NATS that says anything: it costs its own destination, and nothing else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest
from msgspec.structs import replace

from forebay.core.tables import NatsTarget
from forebay.runtime.jetstream.outside_connection import ANSWER_LIMIT, LINE_LIMIT, UNASKED_LIMIT
from forebay_processor.destinations.nats.destination import NatsDestination
from forebay_processor.destinations.port import Delivered, Failed, Rejected, Trouble
from support.destinations.clients import own_nats_client
from support.destinations.http_destination import attempt_of
from support.programs.ports import HOST

INFO: Final = {"server_id": "X", "headers": True, "max_payload": 1_000_000}

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def info(**settings: object) -> bytes:
    return b"INFO " + json.dumps(INFO | settings).encode() + b"\r\n"


async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the client in, as a server does."""
    writer.write(info())
    await reader.readuntil(b"PING\r\n")
    writer.write(b"PONG\r\n")


async def reply_subject(reader: asyncio.StreamReader) -> bytes:
    """Read a message and return where its answer goes."""
    while True:
        words = (await reader.readuntil(b"\r\n")).split()
        if words and words[0] == b"HPUB":
            await reader.readexactly(int(words[-1]) + 2)
            return words[2]


@contextlib.asynccontextmanager
async def played(script: Script) -> AsyncIterator[tuple[NatsDestination, asyncio.Event]]:
    """Give a destination at a server that follows a script, and when that has ended."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The last is of the test's end, of which asyncio's server would complain.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await script(reader, writer)
        ended.set()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    target = NatsTarget(urls=(f"nats://{HOST}:{port}",), subject="acme.x", timeout_seconds=3.0)
    async with server, own_nats_client() as client:
        made = NatsDestination(target, client)
        yield made, ended
        made.close()


async def outcome(script: Script) -> object:
    async with played(script) as (made, _):
        return await made.deliver(attempt_of())


async def poured(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Say something for as long as somebody reads it."""
    while True:
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"INFO {\r\n",
        b"INFO " + b"[" * 10_000 + b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"x" * (LINE_LIMIT + 1),
        b"MSG a 1 99999999999999999999\r\n",
        b"MSG a 1 -5\r\nhello\r\n",
        b"MSG a 1 " + b"9" * 5000 + b"\r\n",
        b"MSG\r\n",
        b"\r\n",
    ],
)
async def test_what_is_no_nats_is_no_connection(words: bytes) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await reader.read()

    result = await outcome(say)
    assert result == Failed("what came is no NATS", trouble=Trouble.DESTINATION)


async def test_a_line_without_end_is_ended_before_it_costs_memory() -> None:
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await poured(writer, b"x" * 65_536)

    async with played(pour) as (made, ended):
        assert isinstance(await made.deliver(attempt_of()), Failed)
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize(
    "words", [b"PING\r\n" * 100, info() * 100, b"+OK\r\n" * 100, b"MSG q 1 1\r\nx\r\n" * 100]
)
async def test_a_flood_of_what_nobody_asked_for_ends_the_connection(words: bytes) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeted(reader, writer)
        await poured(writer, words)

    async with played(flood) as (made, ended):
        result = await made.deliver(attempt_of())
        assert result == Failed(
            "the server says too much that nobody asked for", trouble=Trouble.DESTINATION
        )
        await asyncio.wait_for(ended.wait(), 5)
    assert UNASKED_LIMIT < 100 * 100


async def test_an_answer_that_is_too_long_ends_the_connection() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeted(reader, writer)
        to = await reply_subject(reader)
        writer.write(b"MSG %s 1 %d\r\n" % (to, ANSWER_LIMIT + 1))
        await poured(writer, b"x" * 65_536)

    result = await outcome(answer)
    assert result == Failed("what came is no NATS", trouble=Trouble.DESTINATION)


@pytest.mark.parametrize(
    ("answer", "is_delivered"),
    [
        (b'{"stream":"S","seq":1}', True),
        (b'{"stream":"S","seq":1,"duplicate":true}', True),
        (b'{"stream":"S","seq":0}', False),
        (b'{"stream":"","seq":1}', False),
        (b'{"stream":5,"seq":1}', False),
        (b"[" * 5000, False),
        (b"\xff\xfe", False),
        (b'{"error":{"err_code":[],"description":{}}}', False),
        (b'{"error":{"err_code":99999999999,"description":"x"}}', False),
        (b'{"error":{}, "stream":"S","seq":1}', False),
    ],
)
async def test_only_the_ack_of_a_stream_is_a_delivery(answer: bytes, is_delivered: bool) -> None:  # noqa: FBT001  # of a table
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeted(reader, writer)
        to = await reply_subject(reader)
        writer.write(b"MSG %s 1 %d\r\n%s\r\n" % (to, len(answer), answer))
        await reader.read()

    result = await outcome(say)
    assert isinstance(result, Delivered) is is_delivered
    assert isinstance(result, Delivered | Failed)


async def test_a_server_that_says_nothing_costs_its_own_time_only() -> None:
    async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with played(silence) as (made, _):
        slow = replace(made.target, timeout_seconds=0.2)
        async with own_nats_client() as client:
            other = NatsDestination(slow, client)
            assert await other.deliver(attempt_of()) == Failed("timeout")


async def test_a_server_that_stops_answering_is_left() -> None:
    """What it did not answer fails, and the next attempt has a new connection."""
    connections: list[int] = []

    async def deaf_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await greeted(reader, writer)
        to = await reply_subject(reader)
        if len(connections) > 1:
            writer.write(b'MSG %s 1 22\r\n{"stream":"S","seq":1}\r\n' % to)
        await reader.read()

    async with played(deaf_once) as (made, _), own_nats_client() as client:
        quick = NatsDestination(replace(made.target, timeout_seconds=0.3), client)
        assert await quick.deliver(attempt_of()) == Failed("timeout")
        assert await quick.deliver(attempt_of()) == Delivered()
    assert len(connections) == 2


async def test_what_stands_before_tls_is_not_believed() -> None:
    async def inject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(info(tls_required=True) + b"PON")
        await reader.read()

    result = await outcome(inject)
    assert isinstance(result, Failed)


async def test_a_server_that_lies_about_its_size_makes_dead_letters_of_its_own_only() -> None:
    async def small(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(info(max_payload=10))
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await reader.read()

    assert isinstance(await outcome(small), Rejected)


async def test_a_server_before_2_2_is_refused() -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(info(headers=False))
        await reader.read()

    result = await outcome(old)
    assert isinstance(result, Failed)
    assert result.error.startswith("the server takes no headers")


async def test_a_refusal_of_another_subject_fails_nothing() -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeted(reader, writer)
        to = await reply_subject(reader)
        writer.write(b"-ERR 'Permissions Violation for Publish to \"acme.y\"'\r\n")
        writer.write(b'MSG %s 1 22\r\n{"stream":"S","seq":1}\r\n' % to)
        await reader.read()

    assert await outcome(say) == Delivered()
