"""A tenant's PostgreSQL that says anything: it costs its own destination, and nothing else."""

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from forebay.core.tables import HttpTls, PostgresTarget
from forebay_processor.destinations.port import Failed, Result, Trouble
from forebay_processor.destinations.postgres.wire import (
    MESSAGE_BYTES,
    MESSAGES,
    PARAMETERS,
    ROUNDS,
    WINDOW_BYTES,
    ServerMisbehaves,
    ServerWords,
)
from support.destinations.http_destination import attempt_of
from support.destinations.postgres_destination import serving_postgres
from support.programs.authority import Authority
from support.programs.ports import HOST

NONSENSE: Final = Failed("what came is no PostgreSQL", trouble=Trouble.DESTINATION)
TOO_MUCH: Final = Failed("the server says too much", trouble=Trouble.DESTINATION)
TOO_MANY_ROUNDS: Final = Failed(
    f"the server wants a password hashed more than {ROUNDS:,} times", trouble=Trouble.DESTINATION
)

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def login(step: int, body: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!i", step) + body)


def parameter(name: bytes, value: bytes) -> bytes:
    return message(b"S", name + b"\0" + value + b"\0")


READY: Final = message(b"Z", b"I")
LET_IN: Final = login(0) + parameter(b"server_version", b"15.4") + READY


async def startup(reader: asyncio.StreamReader) -> None:
    (size,) = struct.unpack("!i", await reader.readexactly(4))
    await reader.readexactly(size - 4)


def saying(*parts: bytes) -> Script:
    """Return a server that says this whatever it is asked, and waits for the end."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await startup(reader)
        writer.write(b"".join(parts))
        await reader.read()

    return say


def pouring(before: bytes, data: bytes) -> Script:
    """Return a server that never ends to speak, for as long as somebody reads it."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await startup(reader)
        writer.write(before)
        while True:
            writer.write(data)
            await writer.drain()

    return pour


def asking_for_rounds(after_nonce: bytes) -> Script:
    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await startup(reader)
        writer.write(login(10, b"SCRAM-SHA-256\0\0"))
        found = re.search(rb"r=([^,\0]+)", await reader.read(4096))
        assert found is not None
        writer.write(login(11, b"r=" + found.group(1) + b"x" + after_nonce))
        await reader.read()

    return ask


@contextlib.asynccontextmanager
async def played(script: Script) -> AsyncIterator[int]:
    """Give the port of a server that follows a script."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The last is of the test's end, of which asyncio's server would complain.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def outcome(script: Script, seconds: float = 3.0, *, tls: HttpTls | None = None) -> Result:
    async with played(script) as port:
        target = PostgresTarget(
            hosts=((HOST, port),),
            database="d",
            user="u",
            password="p",
            schema="s",
            tls=tls,
            timeout_seconds=seconds,
        )
        async with serving_postgres(target) as made:
            return await made.deliver(attempt_of())


@pytest.mark.parametrize("rounds", [b"2000000000", b"9" * 400, b"1,i=2000000000", b"0", b"", b"x"])
async def test_a_password_is_not_hashed_for_as_long_as_a_server_likes(rounds: bytes) -> None:
    """The loop of all tenants would stand still for it."""
    assert await outcome(asking_for_rounds(b",s=AAAA,i=" + rounds)) == TOO_MANY_ROUNDS


@pytest.mark.parametrize(
    "words",
    [
        login(11, b"r=a,s=AAAA,i=1"),
        login(12, b"v=abc"),
        login(10, b"SCRAM-SHA-256\0\0") + login(12, b"v=abc"),
        login(10, b"SCRAM-SHA-256\0\0") + login(0),
        login(0) + READY + login(12, b"v=abc"),
        message(b"R"),
        b"R" + struct.pack("!i", -5),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_a_login_that_is_none_costs_the_process_nothing(words: bytes) -> None:
    """Some of these ended it: a step that asyncpg did not expect."""
    assert await outcome(saying(words)) in {NONSENSE, TOO_MUCH}


@pytest.mark.parametrize(
    "words",
    [
        login(0) + READY,
        login(0) + parameter(b"server_version", b"abc") + READY,
        login(0) + parameter(b"server_version", b"9" * 5000 + b".1") + READY,
        login(0) + parameter(b"client_encoding", b"zzz") + LET_IN,
    ],
)
async def test_what_no_server_says_of_itself_is_a_failure_like_others(words: bytes) -> None:
    assert await outcome(saying(words)) == NONSENSE


@pytest.mark.parametrize("before", [b"", LET_IN])
@pytest.mark.parametrize(
    ("begin", "data"),
    [
        (b"T" + struct.pack("!i", (1 << 31) - 1), b"x" * 65_536),
        (b"", message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 1000 + b"\0\0") * 60),
        (b"", parameter(b"a", b"b") * 100),
        (b"", message(b"N", b"\0") * 1000),
    ],
)
async def test_a_server_that_never_ends_is_cut_before_it_costs_memory(
    before: bytes, begin: bytes, data: bytes
) -> None:
    result = await outcome(pouring(before + begin, data), seconds=30.0)
    assert isinstance(result, Failed)
    # Once it has let us in, an attempt may be under way: of that a lost connection is all it hears.
    assert result.error == "the server says too much" or (before and result.error != "timeout")


@pytest.mark.parametrize(
    "state", [b"57P01 15550001234", b"28P01" * 20_000, b"28p01", b"\n\n\n\n\n"]
)
async def test_what_stands_for_a_state_is_one_or_is_not_repeated(state: bytes) -> None:
    error = message(b"E", b"SFATAL\0VFATAL\0C" + state + b"\0Mx\0\0")
    result = await outcome(saying(error))
    assert isinstance(result, Failed)
    assert result.error == "sqlstate XX000"


async def test_a_server_is_watched_below_tls_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context(authority.issue("db", f"IP:{HOST}"), asks=False)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await startup(reader)
        writer.write(b"S")
        await writer.start_tls(context)
        await startup(reader)
        writer.write(login(12, b"v=abc"))
        await reader.read()

    assert await outcome(serve, 10.0, tls=HttpTls(ca=authority.pem)) == NONSENSE


def test_bounds_hold_however_the_bytes_are_cut() -> None:
    """Whole, byte by byte, and for what an ordinary server says all day."""
    for step in (1, 2, 3, 7, 10_000):
        words = ServerWords(lambda: 0.0)
        said = LET_IN + message(b"C", b"SELECT 1\0") * 50
        for position in range(0, len(said), step):
            words.take(said[position : position + step])
        again = login(0)
        words.take(again[:4])
        with pytest.raises(ServerMisbehaves):
            words.take(again[4:])


def test_what_is_said_is_bounded_for_a_while_and_parameters_for_good() -> None:
    now = 0.0
    words = ServerWords(lambda: now)
    for _ in range(3):
        now += 20.0
        words.take(message(b"N", b"x" * (MESSAGE_BYTES - 10)))
        words.take(message(b"D") * (MESSAGES - 10))
    with pytest.raises(ServerMisbehaves):
        words.take(message(b"D") * 10)
    words = ServerWords(lambda: now)
    with pytest.raises(ServerMisbehaves):
        words.take(b"N" + struct.pack("!i", MESSAGE_BYTES + 5))
    words = ServerWords(lambda: now)
    words.take(b"N" + struct.pack("!i", MESSAGE_BYTES))
    with pytest.raises(ServerMisbehaves):
        words.take(bytes(WINDOW_BYTES))
    words = ServerWords(lambda: now)
    for _ in range(PARAMETERS):
        now += 20.0
        words.take(parameter(b"a", b"b"))
    with pytest.raises(ServerMisbehaves):
        words.take(parameter(b"a", b"b"))
