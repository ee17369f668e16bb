"""Our own client takes every answer as aiohttp takes it, except where it is said here.

Every script is met by both, over the same loops that a processor and a test have; what an attempt
comes to has to be the same, three times in a row. What it is to come to without aiohttp, the fast
tests say (`test_http_client`, `test_answers_of_destinations`).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import pytest
from msgspec.structs import replace

from forebay.core.tables import HttpTarget
from forebay_processor.destinations.port import Delivered, DestinationPort, Failed, Rejected, Result
from support.destinations.hostile_server import Hostile, Script, answering
from support.destinations.http_destination import attempt_of, serving, serving_over_aiohttp
from support.timing.loops import LOOPS, on

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def answer(first: str, *lines: str, body: bytes = b"", length: bool = True) -> bytes:
    """Return an answer whose lines are as they are given."""
    length_line = [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([f"HTTP/1.1 {first}", *lines, *length_line, "", ""]).encode() + body


STATUSES: Final = (
    200, 201, 204, 226, 299, 300, 304, 399, 400, 401, 403, 404, 408, 410, 413, 415, 422, 425, 429,
    500, 502, 503, 504, 599, 600, 999,
)  # fmt: skip

WISHES: Final = {
    "429": answer("429 Slow", "Retry-After: 7"),
    "503": answer("503 Away", "retry-after: 8"),
    "503 in capitals": answer("503 Away", "RETRY-AFTER: 9"),
    "500": answer("500 Oh", "Retry-After: 11"),
    "spaces around": answer("503 Away", "Retry-After: \t 12 \t "),
    "twice": answer("503 Away", "Retry-After: 13", "Retry-After: 99"),
    "empty": answer("503 Away", "Retry-After:"),
    "no number": answer("503 Away", "Retry-After: soon"),
    "no ASCII": b"HTTP/1.1 503 Away\r\nRetry-After: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    "of a 1xx": b"HTTP/1.1 103 Hints\r\nRetry-After: 99\r\n\r\n" + answer("503 Away"),
    "in a trailer": answer("503 Away", "Transfer-Encoding: chunked", length=False)
    + b"0\r\nRetry-After: 99\r\n\r\n",
}

WHOLE: Final = {
    "no reason": answer("200"),
    "empty reason": answer("200 "),
    "a body": answer("200 OK", body=b"{}"),
    "chunks": answer("200 OK", "Transfer-Encoding: chunked", body=b"", length=False)
    + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    "chunks and a trailer": answer("200 OK", "Transfer-Encoding: chunked", length=False)
    + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
    "capitals": b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\nCONNECTION: KEEP-ALIVE\r\n\r\nok",
    "lower case": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "many 1xx before": b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + OK,
    "hints before": b"HTTP/1.1 103 Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n" + OK,
    "gzip that is none": answer("200 OK", "Content-Encoding: gzip", body=b"no gzip"),
    "an offer to switch": answer("200 OK", "Upgrade: h2c", "Connection: upgrade"),
    "HTTP/1.0, kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
    "to a 204, a length": answer("204 No Content", "Content-Length: 5", length=False),
    "to a 304, a length": answer("304 Not Modified", "Content-Length: 5", length=False),
    "a cookie": answer("200 OK", "Set-Cookie: a=b; Secure"),
    "a long head": answer("200 OK", *(f"X-{n}: {'v' * 500}" for n in range(60))),
}

ENDING: Final = {
    "close": answer("200 OK", "Connection: close", body=b"bye"),
    "close and chunks": answer(
        "200 OK", "Connection: close", "Transfer-Encoding: chunked", length=False
    )
    + b"1\r\na\r\n0\r\n\r\n",
    "no length": answer("200 OK", body=b"until the end", length=False),
    "no length, refused": answer("503 Away", body=b"until the end", length=False),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.0, a length": b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nend",
    "nothing": b"",
    "half a first line": b"HTTP/1.1 2",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without its end": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    "half a body": answer("200 OK", "Content-Length: 10", body=b"half", length=False),
    "half a chunk": answer("200 OK", "Transfer-Encoding: chunked", length=False) + b"a\r\nhalf",
    "half a refusal": answer("422 No", "Content-Length: 10", body=b"half", length=False),
    "a 100 alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "another protocol": b"220 mail.example.com ESMTP\r\n",
    "HTML alone": b"<html><body>It works!</body></html>",
    "zeros": bytes(100),
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "HTTP/2": b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x10\x00\x00\x00",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/11": b"HTTP/11 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n",
    "status 2000": b"HTTP/1.1 2000 Odd\r\nContent-Length: 0\r\n\r\n",
    "status of letters": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "negative length": answer("200 OK", "Content-Length: -1", length=False),
    "length with a sign": answer("200 OK", "Content-Length: +1", body=b"a", length=False),
    "length in hex": answer("200 OK", "Content-Length: 0x1", body=b"a", length=False),
    "length of 40 digits": answer("200 OK", f"Content-Length: {'9' * 40}", length=False),
    "two lengths": answer("200 OK", "Content-Length: 3", body=b"a"),
    "length and chunks": answer("200 OK", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "a zero byte in a value": answer("200 OK", "X: a\0b"),
    "a name with a space": answer("200 OK", "X Y: a"),
    "a name with a line": b"HTTP/1.1 200 OK\r\nX\rY: a\r\nContent-Length: 0\r\n\r\n",
    "no name": answer("200 OK", ": a"),
    "no colon": answer("200 OK", "just words"),
    "switching": answer("101 Switching", "Upgrade: x", "Connection: upgrade", length=False),
    "one line without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000,
    "a long value": answer("200 OK", "X: " + "a" * 100_000),
    "a long reason": answer("200 " + "a" * 100_000),
    "heads without end": answer("200 OK", *["X: a"] * 30_000, length=False),
}  # fmt: skip

SILENT: Final = {
    "at once": b"",
    "in a head": b"HTTP/1.1 200 OK\r\n",
    "after a 1xx": b"HTTP/1.1 102 Processing\r\n\r\n",
    "in a body": answer("200 OK", "Content-Length: 10", body=b"half", length=False),
    "in a refusal": answer("403 No", "Content-Length: 10", length=False),
    "before the end": answer("200 OK", length=False),
    "between chunks": answer("200 OK", "Transfer-Encoding: chunked", length=False) + b"1\r\na\r\n",
}

LARGE: Final = {
    "a body of 10 MB": answer("200 OK", body=bytes(10_000_000)),
    "a refusal of 10 MB": answer("400 No", body=bytes(10_000_000)),
    "a promise of a terabyte": answer("200 OK", f"Content-Length: {10**12}", length=False)
    + bytes(1000),
    "chunks of 10 MB": answer("200 OK", "Transfer-Encoding: chunked", length=False)
    + b"989680\r\n" + bytes(10_000_000) + b"\r\n0\r\n\r\n",
}  # fmt: skip

SURPLUS: Final = {
    "another answer": OK + answer("500 Oh"),
    "the same answer": OK + OK,
    "half an answer": OK + b"HTTP/1.1 500 Oh\r\nContent-",
    "one letter": OK + b"H",
    "after chunks": answer("200 OK", "Transfer-Encoding: chunked", length=False)
    + b"0\r\n\r\n" + answer("500 Oh"),
    "after a 204": answer("204 No", length=False) + answer("500 Oh"),
}  # fmt: skip

OTHERWISE: Final = {
    # A whole answer with something behind it: aiohttp refused all of it (ClientResponseError), so
    # that an item which was taken went out again.
    "words behind": (OK + b"and more", Delivered()),
    "words behind a body": (answer("200 OK", body=b"ok") + b"ok" + OK, Delivered()),
    "an answer behind a close": (answer("200 OK", "Connection: close") + OK, Delivered()),
    "a refusal with words behind": (answer("400 No") + b"and more", Rejected("status 400")),
    "chunks that are none": (
        answer("200 OK", "Transfer-Encoding: chunked", length=False) + b"XY\r\n",
        Delivered(),
    ),
    # aiohttp's bounds were 8,190 bytes for a line and 128 headers, and none for 1xx.
    "a value of 9 KB": (answer("200 OK", "X: " + "a" * 9000), Delivered()),
    "200 headers": (answer("200 OK", *["X: a"] * 200), Delivered()),
    "1xx without end": (b"HTTP/1.1 102 Going\r\n\r\n" * 10_000, Failed("ClientResponseError")),
    # aiohttp kept the connection, and its next request found it broken.
    "switching to nothing": (answer("101 Switching", length=False), Failed("status 101")),
}


Over = Callable[[HttpTarget], AbstractAsyncContextManager[DestinationPort]]


async def met_by(
    over: Over,
    script: Script,
    count: int = 3,
    seconds: float = 5.0,
) -> tuple[list[Result], Hostile]:
    """Deliver items to a server of that script, one after the other."""
    async with Hostile(script) as server:
        target = HttpTarget(url=server.url(), timeout_seconds=seconds)
        async with over(target) as port:
            results = [await port.deliver(attempt_of(str(number))) for number in range(count)]
    return [without_words(each) for each in results], server


def without_words(result: Result) -> Result:
    """Leave out what a failure's answer began with: ours alone keeps it, for people to read."""
    match result:
        case Failed() | Rejected():
            return replace(result, said="")
        case _:
            return result


def both(
    loop: str, script: Callable[[], Script], count: int = 3, seconds: float = 5.0
) -> tuple[list[Result], list[Result], Hostile]:
    """Return what own and aiohttp made of a script, and the server that ours met."""

    async def run() -> tuple[list[Result], list[Result], Hostile]:
        own, server = await met_by(serving, script(), count, seconds)
        theirs, _ = await met_by(serving_over_aiohttp, script(), count, seconds)
        return own, theirs, server

    return on(loop, run())


pytestmark = pytest.mark.further

each_loop = pytest.mark.parametrize("loop", LOOPS)


@each_loop
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_means_the_same(loop: str, status: int) -> None:
    own, theirs, server = both(loop, lambda: answering(answer(f"{status} Told")))
    assert own == theirs
    assert len(server.peers) == 1
    assert server.requests == 3


@each_loop
@pytest.mark.parametrize("name", WISHES)
def test_every_wish_to_be_left_alone_means_the_same(loop: str, name: str) -> None:
    own, theirs, server = both(loop, lambda: answering(WISHES[name]))
    assert own == theirs
    assert len(server.peers) == 1


@each_loop
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_leaves_a_connection_that_can_be_used_again(loop: str, name: str) -> None:
    own, theirs, server = both(loop, lambda: answering(WHOLE[name]))
    assert own == theirs
    assert [str(each) for each in own if "status 304" not in str(each)] == (
        ["Delivered()"] * 3 if "304" not in name else []
    )
    assert len(server.peers) == 1


@each_loop
@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("name", ENDING)
def test_an_answer_that_ends_the_connection_means_the_same(loop: str, name: str, then: str) -> None:
    own, theirs, server = both(loop, lambda: answering(ENDING[name], then))
    if then == "reset":
        # A reset may overtake the last bytes: then there are none, which has other words.
        assert {type(each) for each in own} == {type(each) for each in theirs}
    else:
        assert own == theirs
    assert len(server.peers) == 3
    assert server.requests == 3


@each_loop
@pytest.mark.parametrize("name", SILENT)
def test_silence_means_the_same(loop: str, name: str) -> None:
    own, theirs, server = both(loop, lambda: answering(SILENT[name], "hold"), 1, seconds=0.2)
    assert own == theirs
    assert server.requests == 1


@each_loop
@pytest.mark.parametrize("name", LARGE)
def test_a_large_answer_means_the_same(loop: str, name: str) -> None:
    own, theirs, server = both(loop, lambda: answering(LARGE[name]))
    assert own == theirs
    assert len(server.peers) == 3


@each_loop
@pytest.mark.parametrize("name", SURPLUS)
def test_what_comes_after_an_answer_is_never_the_next_ones(loop: str, name: str) -> None:
    own, theirs, server = both(loop, lambda: answering(SURPLUS[name]))
    assert [str(each) for each in own] == ["Delivered()"] * 3
    assert own == theirs
    assert len(server.peers) == 3


@each_loop
@pytest.mark.parametrize("name", OTHERWISE)
def test_where_our_own_client_is_another_it_is_so_on_purpose(loop: str, name: str) -> None:
    said, meant = OTHERWISE[name]
    own, server = on(loop, met_by(serving, answering(said)))
    assert own == [meant] * 3
    assert len(server.peers) == (1 if name in {"a value of 9 KB", "200 headers"} else 3)


URLS: Final = (
    "http://127.0.0.1:{port}",
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/in",
    "http://LOCALHOST:{port}/In/A?b=c&b=d",
    "http://localhost:{port}?only=query",
    "http://localhost:{port}/a/../b/./c",
    "http://localhost:{port}/a%2Fb%20c/%41?x=%26&y=a+b&z=%2B",
    "http://localhost:{port}/a|b^c?x={{y}}",
    "http://localhost:{port}/a;b,c:d@e/?",
    "http://user:pass%3Aword@localhost:{port}/in",
    "http://localhost:{port}/b%C3%BCcher?q=%E2%82%AC",
    "http://localhost:{port}/in#part",
)


@each_loop
@pytest.mark.parametrize("url", URLS)
def test_a_request_has_the_line_and_the_headers_that_it_had(loop: str, url: str) -> None:
    async def heads(over: Over) -> list[str]:
        async with Hostile(answering(OK)) as server:
            target = HttpTarget(
                url=url.format(port=server.port),
                headers={"X-Own": "1", "accept": "text/x", "Traceparent": "theirs"},
                signing_secrets=("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",),
            )
            async with over(target) as port:
                assert await port.deliver(attempt_of()) == Delivered()
            text = server.peers[0].heads[0].decode().replace(str(server.port), "port")
            first, *fields = text.removesuffix("\r\n\r\n").split("\r\n")
            pairs = [field.partition(": ") for field in fields]
            headers = sorted(f"{name.lower()}: {value}" for name, _, value in pairs)
            return [first, *(each for each in headers if not each.startswith(OF_ITS_OWN))]

    async def run() -> tuple[list[str], list[str]]:
        return await heads(serving), await heads(serving_over_aiohttp)

    own, theirs = on(loop, run())
    assert own == theirs
    assert len(own) == 1 + 9 + ("user" in url)


OF_ITS_OWN: Final = (
    "accept-encoding: ",
    "user-agent: ",
    "webhook-timestamp: ",
    "webhook-signature: ",
)
"""A client's own, and what has the time in it."""
