"""What one connection makes of bytes, whatever pieces they come in."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest

from forebay_processor.destinations.http.connection import (
    ANSWER_LIMIT,
    HEAD_LIMIT,
    HttpConnection,
    HttpResponse,
)
from forebay_processor.destinations.http.deadlines import Deadlines
from forebay_processor.destinations.network.no_answer import NoAnswer
from support.receiver.recording_transport import Wire

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
READ: Final = 64 * 1024


class Line:
    """A connection between two doubles: its transport and its pool."""

    def __init__(self) -> None:
        self.free: list[HttpConnection] = []
        self.gone: list[HttpConnection] = []
        self.rest = Deadlines[HttpConnection](asyncio.get_running_loop(), HttpConnection.end_rest)
        self.wire = Wire()
        self.connection = HttpConnection(
            memoryview(bytearray(READ)), self.rest, self.free.append, self.gone.append
        )
        self.connection.connection_made(self.wire)

    def ask(self) -> "asyncio.Future[HttpResponse]":
        """Send a request."""
        waiting: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self.connection.ask(b"head ", b"body", waiting)
        return waiting

    def hear(self, *pieces: bytes) -> None:
        """Let pieces come, each in reads as large as the buffer at most."""
        for piece in pieces:
            for start in range(0, len(piece), READ):
                if self.wire.ended:
                    return
                part = piece[start : start + READ]
                buffer = self.connection.get_buffer(-1)
                buffer[: len(part)] = part
                self.connection.buffer_updated(len(part))

    def lose(self, error: Exception | None = None) -> None:
        """Let the connection be gone."""
        self.connection.connection_lost(error)


@pytest.fixture
async def line() -> Line:
    return Line()


def error_name(waiting: "asyncio.Future[HttpResponse]") -> str:
    """Return what failed; an error where it did not."""
    error = waiting.exception()
    assert isinstance(error, NoAnswer)
    return error.reason


def in_two(data: bytes) -> list[Sequence[bytes]]:
    return [(data[:cut], data[cut:]) for cut in range(1, len(data))]


async def test_a_request_is_one_write(line: Line) -> None:
    _ = line.ask()
    assert line.wire.written == b"head body"


ANSWERS: Final = {
    "plain": (OK, HttpResponse(200, None)),
    "wish": (
        b"HTTP/1.1 503 Away\r\nX: y\r\nretry-after: 7\r\nContent-Length: 2\r\n\r\nno",
        HttpResponse(503, "7", b"no"),
    ),
    "long": (
        b"HTTP/1.1 500 Broken\r\nContent-Length: 300\r\n\r\n" + b"word " * 60,
        HttpResponse(500, None, (b"word " * 60)[:256]),
    ),
    "taken": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        HttpResponse(200, None),
    ),
    "chunks": (
        b"HTTP/1.1 201 A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 9\r\n\r\n",
        HttpResponse(201, None),
    ),
    "1xx": (
        b"HTTP/1.1 103 Hints\r\nRetry-After: 9\r\nContent-Length: 999999\r\n\r\n" + OK,
        HttpResponse(200, None),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_the_same_in_whatever_pieces_it_comes(name: str) -> None:
    said, meant = ANSWERS[name]
    for pieces in [[said], [said[n : n + 1] for n in range(len(said))], *in_two(said)]:
        line = Line()
        for turn in (1, 2):
            waiting = line.ask()
            line.hear(*pieces)
            assert waiting.result() == meant
            assert len(line.free) == turn
        assert line.wire.ended == ""
        assert len(line.rest) == 0


async def test_bytes_that_nobody_asked_for_end_the_connection(line: Line) -> None:
    line.hear(b"H")
    assert line.wire.ended == "aborted"
    assert not line.connection.is_open
    with pytest.raises(NoAnswer):
        _ = line.ask()
    assert line.wire.written == b""


async def test_bytes_after_an_answer_end_the_connection(line: Line) -> None:
    waiting = line.ask()
    line.hear(OK)
    assert waiting.done()
    line.hear(OK)
    assert line.wire.ended == "aborted"
    assert not line.connection.is_open


@pytest.mark.parametrize("behind", [b"H", OK, b"\0", b"more"])
async def test_bytes_in_one_read_with_an_answer_end_the_connection(
    line: Line, behind: bytes
) -> None:
    waiting = line.ask()
    line.hear(OK + behind)
    assert waiting.result().status == 200
    assert line.wire.ended == "aborted"
    assert line.free == []


async def test_the_status_of_what_comes_behind_is_not_the_answers(line: Line) -> None:
    waiting = line.ask()
    line.hear(OK + b"HTTP/1.1 500 Oh\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")
    assert waiting.result() == HttpResponse(200, None)


async def test_an_answer_to_half_a_request_counts_and_ends_the_connection(line: Line) -> None:
    waiting = line.ask()
    line.wire.unsent = 1
    line.hear(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
    assert waiting.result().status == 413
    assert line.wire.ended == "aborted"
    assert line.free == []


async def test_a_whole_answer_that_says_goodbye_ends_the_connection_in_order(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert waiting.result().status == 200
    assert line.wire.ended == "closed"
    assert line.free == []


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("piece", [1_000, READ])
async def test_a_head_is_as_long_as_its_bound_and_no_longer(
    line: Line, over: int, piece: int
) -> None:
    start, end = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", b"\r\n\r\n"
    said = start + b"a" * (HEAD_LIMIT + over - len(start) - len(end)) + end
    waiting = line.ask()
    line.hear(*(said[n : n + piece] for n in range(0, len(said), piece)))
    if over:
        assert error_name(waiting) == "ClientResponseError"
        assert line.wire.ended == "aborted"
    else:
        assert waiting.result().status == 200
        assert line.wire.ended == ""


async def test_1xx_without_end_count_as_one_head(line: Line) -> None:
    waiting = line.ask()
    line.hear(*[b"HTTP/1.1 102 Processing\r\n\r\n" * 1000] * 3)
    assert error_name(waiting) == "ClientResponseError"
    assert line.wire.ended == "aborted"


async def test_nothing_is_read_of_an_answer_that_says_it_is_too_long(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (ANSWER_LIMIT + 1))
    assert waiting.result().status == 200
    assert line.wire.ended == "aborted"


async def test_an_answer_as_long_as_its_bound_keeps_the_connection(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ANSWER_LIMIT)
    assert not waiting.done()
    line.hear(bytes(ANSWER_LIMIT))
    assert waiting.result().status == 200
    assert line.wire.ended == ""
    assert line.free == [line.connection]


async def test_chunks_are_read_as_far_as_the_bound(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    line.hear(*[b"1\r\na\r\n" * 1000] * (ANSWER_LIMIT // 6000))
    assert not waiting.done()
    line.hear(b"1\r\na\r\n" * 1000)
    assert waiting.result().status == 200
    assert line.wire.ended == "aborted"


async def test_what_is_no_http_fails_and_ends_the_connection(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"220 mail.example.com ESMTP\r\n")
    assert error_name(waiting) == "ClientResponseError"
    assert line.wire.ended == "aborted"


async def test_a_zero_byte_in_a_header_is_no_http(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n")
    assert error_name(waiting) == "ClientResponseError"


@pytest.mark.parametrize(
    ("said", "error", "meant"),
    [
        (b"", None, "ServerDisconnectedError"),
        (b"HTTP/1.1 200 OK\r\n", None, "ServerDisconnectedError"),
        (b"HTTP/1.1 102 Processing\r\n\r\n", None, "ServerDisconnectedError"),
        (b"", ConnectionResetError(), "ClientOSError"),
    ],
)
async def test_a_connection_that_is_gone_before_the_status_is_reported(
    line: Line, said: bytes, error: Exception | None, meant: str
) -> None:
    waiting = line.ask()
    line.hear(said) if said else None
    line.lose(error)
    assert error_name(waiting) == meant
    assert line.gone == [line.connection]
    assert line.free == []


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_a_status_counts_though_the_connection_is_gone(
    line: Line, error: Exception | None
) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    line.lose(error)
    assert waiting.result().status == 200
    assert line.gone == [line.connection]
    assert len(line.rest) == 0


async def test_a_status_counts_though_its_rest_takes_too_long(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 422 No\r\nContent-Length: 10\r\n\r\nhalf")
    assert len(line.rest) == 1
    assert line.connection.decided(waiting) == HttpResponse(422, None, b"half")
    line.connection.end_rest()
    assert waiting.result().status == 422
    assert line.wire.ended == "aborted"
    assert len(line.rest) == 0


async def test_nothing_is_decided_before_the_status(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert line.connection.decided(waiting) is None


async def test_who_gives_up_ends_the_connection(line: Line) -> None:
    waiting = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    line.connection.give_up(waiting)
    assert line.wire.ended == "aborted"
    assert len(line.rest) == 0
    line.lose()
    assert not waiting.done()


async def test_who_gives_up_when_it_has_its_answer_leaves_the_next_one_alone(line: Line) -> None:
    first = line.ask()
    line.hear(OK)
    second = line.ask()
    line.connection.give_up(first)
    assert line.wire.ended == ""
    line.hear(OK)
    assert second.result().status == 200


async def test_a_connection_that_is_closed_by_the_other_side_is_not_open(line: Line) -> None:
    line.connection.eof_received()
    assert not line.connection.is_open


async def test_an_answer_that_nobody_waits_for_any_more_frees_the_connection(line: Line) -> None:
    waiting = line.ask()
    waiting.cancel()
    line.hear(OK)
    assert line.free == [line.connection]
    assert line.wire.ended == ""
