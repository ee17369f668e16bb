"""Requests in forms that are made to hurt: one honest answer each, nothing stored, no harm done.

Over raw sockets, each form twice: at a webhook's path, and in a GET request of a stranger.
"""

import asyncio

import pytest

from support.edge import Edge, path_of, signed
from support.raw_http import RawConnection, connect, request_bytes
from support.starvation import Stopwatch
from support.tables import PATH
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIPELINED = 50
POST = f"POST {PATH} HTTP/1.1\r\nHost: a\r\n".encode()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
FORMS = pytest.mark.parametrize("start", [POST, GET], ids=["webhook", "other"])


def webhook(body: bytes) -> bytes:
    """Return a request that is stored."""
    return request_bytes("POST", PATH, headers=signed(body), body=body)


async def assert_serves(edge: Edge) -> None:
    assert (await edge.post(edge.new_body())).status == 200


async def assert_refused(edge: Edge, data: bytes, *statuses: int) -> None:
    """Send bytes; the answer has to be one of these, and the end of the connection."""
    async with edge.nothing_stored(), connect(edge.receiver.port) as connection:
        await connection.send(data)
        assert (await connection.response(within=3)).status in statuses
        assert await connection.closed(within=3)
    await assert_serves(edge)


@FORMS
async def test_five_thousand_headers_are_400(edge: Edge, start: bytes) -> None:
    headers = b"".join(b"X-%d: y\r\n" % number for number in range(5_000))
    await assert_refused(edge, start + headers + b"\r\n", 400)


@FORMS
async def test_five_thousand_headers_of_one_name_are_400(edge: Edge, start: bytes) -> None:
    await assert_refused(edge, start + b"X: y\r\n" * 5_000 + b"\r\n", 400)


@FORMS
async def test_a_hundred_and_one_short_headers_are_400(edge: Edge, start: bytes) -> None:
    await assert_refused(edge, start + b"a:b\r\n" * 101 + b"\r\n", 400)


@FORMS
async def test_a_header_of_a_megabyte_is_400(edge: Edge, start: bytes) -> None:
    async with connect(edge.receiver.port) as connection:
        await connection.send(start + b"X: " + b"y" * 1_000_000)
        assert (await connection.response(within=3)).status == 400
        assert await connection.closed()


@FORMS
async def test_a_head_that_does_not_end_is_408(impatient_edge: Edge, start: bytes) -> None:
    watch = Stopwatch(impatient_edge.receiver)
    async with connect(impatient_edge.receiver.port) as connection:
        await connection.send(start)
        assert (await connection.response(within=3)).status == 408
        assert await connection.closed()
    assert watch.seconds > 0.4
    assert watch.busy_seconds < 2


@FORMS
async def test_a_head_that_drips_is_408_at_the_same_time(
    impatient_edge: Edge, start: bytes
) -> None:
    watch = Stopwatch(impatient_edge.receiver)
    async with connect(impatient_edge.receiver.port) as connection:
        await drip(connection, start + b"X: " + b"y" * 1_000)
    assert watch.busy_seconds < 2


async def test_a_first_line_that_drips_is_408_at_the_same_time(impatient_edge: Edge) -> None:
    watch = Stopwatch(impatient_edge.receiver)
    async with connect(impatient_edge.receiver.port) as connection:
        await drip(connection, POST)
    assert watch.busy_seconds < 2


async def drip(connection: RawConnection, data: bytes) -> None:
    """Send byte after byte until the answer is there, which is 408."""
    answer = asyncio.create_task(connection.response(within=5))
    for number in range(len(data)):
        await connection.send(data[number : number + 1])
        await asyncio.wait({answer}, timeout=0.05)
        if answer.done():
            break
    assert (await answer).status == 408


@pytest.mark.parametrize("path", [f"{PATH}\0", "/v1/webhooks/de\0mo/meta", "/\0"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_nul_in_the_path_is_400(edge: Edge, method: str, path: str) -> None:
    await assert_refused(edge, request_bytes(method, path, body=b"{}"), 400)


async def test_an_escaped_nul_in_the_path_is_no_endpoint(edge: Edge) -> None:
    await assert_refused(edge, request_bytes("POST", f"{PATH}%00", body=b"{}"), 404)


@pytest.mark.parametrize("name", ["X-A\0", "X-Hub-Signature-256\0", "X A"])
async def test_a_header_s_name_that_is_none_is_400(edge: Edge, name: str) -> None:
    await assert_refused(edge, request_bytes("POST", PATH, headers={name: "x"}, body=b"{}"), 400)


async def test_less_body_than_said_is_408(impatient_edge: Edge) -> None:
    body = impatient_edge.new_body()
    headers = {**signed(body), "Content-Length": str(len(body) + 1)}
    await assert_refused(
        impatient_edge, request_bytes("POST", PATH, headers=headers, body=body), 408
    )


async def test_less_body_than_said_and_a_closed_half_is_cut_off(edge: Edge) -> None:
    body = edge.new_body()
    headers = {**signed(body), "Content-Length": str(len(body) + 1)}
    async with edge.nothing_stored():
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.receiver.port)
        writer.write(request_bytes("POST", PATH, headers=headers, body=body))
        writer.write_eof()
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()


async def test_more_body_than_said_is_no_part_of_it(impatient_edge: Edge) -> None:
    body, before = impatient_edge.new_body(), await impatient_edge.stored()
    async with connect(impatient_edge.receiver.port) as connection:
        await connection.send(webhook(body) + b"and more")
        assert (await connection.response()).status == 200
        # What follows is read as a request, and is none.
        assert (await connection.response(within=3)).status in {400, 408}
        assert await connection.closed()
    assert await impatient_edge.stored() == before + 1
    assert (await impatient_edge.last()).data == body


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 0x2\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
    ],
)
@FORMS
async def test_a_body_of_two_lengths_or_of_none_that_is_known_is_400(
    edge: Edge, start: bytes, framing: bytes
) -> None:
    await assert_refused(edge, start + framing + b"\r\n{}", 400)


async def test_chunks_are_taken_whole_however_they_come(edge: Edge) -> None:
    body, before = edge.new_body(), await edge.stored()
    headers = {**signed(body), "Transfer-Encoding": "chunked"}
    chunks = b"".join(b"1;x=y\r\n%c\r\n" % each for each in body)
    async with connect(edge.receiver.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        for start in range(0, len(chunks), 1_000):
            await connection.send(chunks[start : start + 1_000])
        await connection.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        assert (await connection.response()).status == 200
    assert await edge.stored() == before + 1
    assert (await edge.last()).data == body


async def test_pipelined_webhooks_are_answered_in_order_and_all_stored(edge: Edge) -> None:
    before = await edge.stored()
    requests = [webhook(edge.new_body()) for _ in range(PIPELINED)]
    refused = request_bytes("POST", PATH, body=b"{}")
    async with connect(edge.receiver.port) as connection:
        await connection.send(b"".join([*requests, refused, webhook(edge.new_body())]))
        statuses = [(await connection.response()).status for _ in range(PIPELINED + 2)]
    assert statuses == [*([200] * PIPELINED), 401, 200]
    assert await edge.stored() == before + PIPELINED + 1


async def test_what_is_no_webhook_is_its_connection_s_last(edge: Edge) -> None:
    async with edge.nothing_stored(), connect(edge.receiver.port) as connection:
        await connection.send(request_bytes("GET", "/") + webhook(edge.new_body()))
        answer = await connection.response()
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await connection.closed()


async def test_who_sends_on_after_the_answer_gets_it_nevertheless(edge: Edge) -> None:
    async with connect(edge.receiver.port) as connection:
        await connection.send(request_bytes("PUT", path_of("meta"), body=b" " * 2_000_000))
        assert (await connection.response(within=5)).status == 405


async def test_who_stays_after_the_answer_is_cut_off(edge: Edge) -> None:
    await eventually(lambda: has_open(edge, 0), saying="other tests' connections to end")
    async with connect(edge.receiver.port) as connection:
        await connection.send(GET + b"\r\n")
        await eventually(lambda: has_open(edge, 1), within=2, saying="the connection to be there")
        await eventually(lambda: has_open(edge, 0), within=5, saying="the connection to be ended")


async def has_open(edge: Edge, count: int) -> bool:
    return await edge.receiver.metric("forebay_receiver_connections") == count
