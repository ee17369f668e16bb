"""A NATS server that falls silent, or asks to be left: the publisher makes a new connection.

The server is played, for a real one does neither on request; the clock of the loop is
pushed on by the test.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from forebay.runtime.jetstream.publisher_connection import PING_SECONDS, PINGS_UNANSWERED
from forebay.runtime.settings import NatsSettings
from support.nats.publishing import publishing
from support.programs.ports import HOST
from support.timing.clocks import LoopClock
from support.timing.wait import eventually

SUBJECT = "forebay.raw.0.x"
ANSWER = b'{"stream":"FOREBAY_RAW_0","seq":7}'


class Client:
    """A connection, as the server sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.pings = 0
        self.is_answered = True
        """Whether its PINGs are."""

        self.pongs = 0
        self.has_ended = False
        self.replies: list[str] = []
        """Where the answers to its messages are to go."""

    def send_line(self, line: bytes) -> None:
        """Send a command."""
        self.send(line + b"\r\n")

    def send(self, piece: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(piece)

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Greet, and take what comes until the end."""
        self.send_line(b'INFO {"max_payload":1048576,"headers":true}')
        while line := await reader.readline():
            if line == b"PING\r\n":
                self.pings += 1
                if self.is_answered:
                    self.send_line(b"PONG")
            elif line == b"PONG\r\n":
                self.pongs += 1
            elif line.startswith(b"HPUB "):
                self.replies.append(line.split()[2].decode())
        self.has_ended = True

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def answer(self) -> None:
        """Say of the first message that it is stored."""
        self.send_line(f"MSG {self.replies[0]} 1 {len(ANSWER)}".encode())
        self.send_line(ANSWER)


class PlayedNats:
    """Clients in the order in which they came."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        client = Client(writer)
        self.clients.append(client)
        with contextlib.suppress(OSError):
            await client.read(reader)
        await client.close()


@pytest.fixture
async def played() -> AsyncIterator[PlayedNats]:
    """Give a server that listens."""
    nats = PlayedNats()
    server = await asyncio.start_server(nats.serve, HOST, 0)
    nats.url = f"nats://{HOST}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield nats
        for client in nats.clients:
            await client.close()


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(monkeypatch)


async def pinged(client: Client, pings: int) -> None:
    """Wait until a connection was asked for so many signs of life, with the one at its start."""
    await eventually(lambda: client.pings == pings, saying="a PING")


async def test_a_connection_without_a_sign_of_life_is_given_up(
    played: PlayedNats, clock: LoopClock
) -> None:
    async with publishing(NatsSettings(url=played.url)) as publisher:
        await publisher.wait_reached()
        await asyncio.sleep(0)  # its watch begins in the next turn of the loop
        (first,) = played.clients
        first.is_answered = False
        # One more than the connection began with, each time.
        for pings in range(2, PINGS_UNANSWERED + 2):
            clock.ahead += PING_SECONDS
            await pinged(first, pings)
        assert len(played.clients) == 1
        clock.ahead += PING_SECONDS
        await eventually(lambda: len(played.clients) == 2, saying="another connection")
        await eventually(lambda: publisher.is_connected, saying="it to be used")
        await eventually(lambda: first.has_ended, saying="the first one to end")


async def test_a_connection_that_gives_signs_of_life_is_kept(
    played: PlayedNats, clock: LoopClock
) -> None:
    async with publishing(NatsSettings(url=played.url)) as publisher:
        await publisher.wait_reached()
        await asyncio.sleep(0)  # its watch begins in the next turn of the loop
        (only,) = played.clients
        for pings in range(2, 3 * PINGS_UNANSWERED):
            clock.ahead += PING_SECONDS
            await pinged(only, pings)
        assert played.clients == [only]
        assert publisher.is_connected


async def test_who_asks_to_be_left_is_left_and_still_brings_its_answers(
    played: PlayedNats,
) -> None:
    changes: list[bool] = []
    settings = NatsSettings(url=played.url)
    async with publishing(settings, on_change=changes.append) as publisher:
        await publisher.wait_reached()
        (first,) = played.clients
        before = publisher.send(SUBJECT, b"1", {}, 20.0)
        await eventually(lambda: first.replies, saying="the message")
        first.send_line(b'INFO {"max_payload":1048576,"headers":true,"ldm":true}')
        await eventually(lambda: changes == [True, True], saying="another connection")
        assert not first.has_ended
        first.answer()
        assert (await before).seq == 7
        after = publisher.send(SUBJECT, b"2", {}, 20.0)
        await eventually(lambda: played.clients[1].replies, saying="it over the new connection")
        played.clients[1].answer()
        assert (await after).seq == 7
        assert len(first.replies) == 1


async def test_a_server_that_asks_for_a_sign_of_life_gets_one(played: PlayedNats) -> None:
    async with publishing(NatsSettings(url=played.url)) as publisher:
        await publisher.wait_reached()
        (only,) = played.clients
        only.send_line(b"PING")
        await eventually(lambda: only.pongs == 1, saying="a PONG")


async def test_an_answer_may_come_in_any_pieces(played: PlayedNats) -> None:
    async with publishing(NatsSettings(url=played.url)) as publisher:
        await publisher.wait_reached()
        (only,) = played.clients
        under_way = publisher.send(SUBJECT, b"1", {}, 20.0)
        await eventually(lambda: only.replies, saying="the message")
        whole = f"MSG {only.replies[0]} 1 {len(ANSWER)}\r\n".encode() + ANSWER + b"\r\n"
        for each in range(len(whole)):
            only.send(whole[each : each + 1])
            await asyncio.sleep(0)
        assert (await under_way).seq == 7
