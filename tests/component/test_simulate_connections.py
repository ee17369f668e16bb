"""The simulator's client copes with what servers do to connections and answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from forebay_simulator.sender import Answer, HttpSender
from support.programs.ports import HOST


class Server:
    """Answers every request on a connection with bytes of the test's choice."""

    def __init__(self, answer: bytes, *, close: bool) -> None:
        self.answer = answer
        self.close = close
        self.serving: list[asyncio.Task[None]] = []
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self.serving)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self.serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answer)
                await writer.drain()
                if self.close:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


Opened = Callable[..., contextlib.AbstractAsyncContextManager[Server]]


@pytest.fixture
def opened() -> Opened:
    """Give a way to open a server for the length of a block."""

    @contextlib.asynccontextmanager
    async def open_server(answer: bytes, *, close: bool = False) -> AsyncIterator[Server]:
        served = Server(answer, close=close)
        listening = await asyncio.start_server(served.accept, HOST, 0)
        served.port = listening.sockets[0].getsockname()[1]
        async with listening:
            yield served
            await asyncio.gather(*served.serving)

    return open_server


async def answers(port: int, count: int, path: str = "/", within: float = 5) -> list[Answer]:
    async with HttpSender(f"http://{HOST}:{port}{path}", timeout=within) as sender:
        return [await sender.post(b'{"n":%d}' % n, b"X-A: 1\r\n") for n in range(count)]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_one_connection_serves_requests_one_after_the_other(opened: Opened) -> None:
    async with opened(OK) as server:
        assert await answers(server.port, 5) == [200] * 5
        assert server.connections == 1


async def test_a_request_is_what_a_server_expects(opened: Opened) -> None:
    async with opened(OK) as server:
        await answers(server.port, 1, "/a b?c=é#fragment")
    assert server.requests == [
        b"POST /a%%20b?c=%%C3%%A9 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 7\r\nX-A: 1\r\n"
        b'\r\n{"n":0}' % server.port
    ]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", id="with a body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, id="announced"),
    ],
)
async def test_answers_of_every_form_are_read_to_their_end(opened: Opened, answer: bytes) -> None:
    async with opened(answer) as server:
        assert await answers(server.port, 3) == [200] * 3
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", id="announced"
        ),
        pytest.param(b"HTTP/1.1 503 Busy\r\n\r\nuntil the end", id="no length"),
    ],
)
async def test_a_server_that_closes_after_its_answer_is_asked_anew(
    opened: Opened, answer: bytes
) -> None:
    async with opened(answer, close=True) as server:
        assert await answers(server.port, 3) == [503] * 3
        assert server.connections == 3


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 O", id="cut off"),
        pytest.param(b"SSH-2.0-what\r\n", id="no HTTP"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="101"
        ),
    ],
)
async def test_what_is_no_answer_is_none(opened: Opened, answer: bytes) -> None:
    async with opened(answer, close=True) as server:
        assert await answers(server.port, 2) == ["connection"] * 2


async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(opened: Opened) -> None:
    async with opened(b"HTTP/1.1 200 OK\r\nContent-Le") as server:
        assert await answers(server.port, 2, within=0.05) == ["timeout"] * 2
        assert server.connections == 2


async def test_bytes_beyond_an_answer_make_no_answer_to_the_next(opened: Opened) -> None:
    async with opened(OK + OK) as server:
        assert await answers(server.port, 2) == [200] * 2
        assert len(server.requests) == 2
