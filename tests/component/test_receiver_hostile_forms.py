"""Requests in forms that are made to hurt: one honest answer each, nothing stored, no harm done.

Over raw sockets, each form twice: at a webhook's path, and in a GET request of a stranger.
"""

import asyncio

import pytest

from support.inputs.tables import PATH
from support.receiver.raw_http import RawConnection, connect, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, path_of, signed
from support.timing.starvation import Stopwatch
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIPELINED = 50
POST = f"POST {PATH} HTTP/1.1\r\nHost: a\r\n".encode()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
FORMS = pytest.mark.parametrize("start", [POST, GET], ids=["webhook", "other"])


def webhook(body: bytes) -> bytes:
    """Return a request that is stored."""
    return request_bytes("POST", PATH, headers=signed(body), body=body)


async def assert_serves(receiver: ReceiverHarness) -> None:
    assert (await receiver.post(receiver.new_body())).status == 200


async def assert_refused(receiver: ReceiverHarness, data: bytes, *statuses: int) -> None:
    """Send bytes; the answer has to be one of these, and the end of the connection."""
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(data)
        assert (await connection.response(within=3)).status in statuses
        assert await connection.closed(within=3)
    await assert_serves(receiver)


@FORMS
async def test_five_thousand_headers_are_400(receiver: ReceiverHarness, start: bytes) -> None:
    headers = b"".join(b"X-%d: y\r\n" % number for number in range(5_000))
    await assert_refused(receiver, start + headers + b"\r\n", 400)


@FORMS
async def test_five_thousand_headers_of_one_name_are_400(
    receiver: ReceiverHarness, start: bytes
) -> None:
    await assert_refused(receiver, start + b"X: y\r\n" * 5_000 + b"\r\n", 400)


@FORMS
async def test_a_hundred_and_one_short_headers_are_400(
    receiver: ReceiverHarness, start: bytes
) -> None:
    await assert_refused(receiver, start + b"a:b\r\n" * 101 + b"\r\n", 400)


@FORMS
async def test_a_header_of_a_megabyte_is_400(receiver: ReceiverHarness, start: bytes) -> None:
    async with connect(receiver.part.port) as connection:
        await connection.send(start + b"X: " + b"y" * 1_000_000)
        assert (await connection.response(within=3)).status == 400
        assert await connection.closed()


@FORMS
async def test_a_head_that_does_not_end_is_408(
    impatient_receiver: ReceiverHarness, start: bytes
) -> None:
    watch = Stopwatch(impatient_receiver.part)
    async with connect(impatient_receiver.part.port) as connection:
        await connection.send(start)
        assert (await connection.response(within=3)).status == 408
        assert await connection.closed()
    assert watch.seconds > 0.4
    assert watch.busy_seconds < 2


@FORMS
async def test_a_head_that_drips_is_408_at_the_same_time(
    impatient_receiver: ReceiverHarness, start: bytes
) -> None:
    watch = Stopwatch(impatient_receiver.part)
    async with connect(impatient_receiver.part.port) as connection:
        await drip(connection, start + b"X: " + b"y" * 1_000)
    assert watch.busy_seconds < 2


async def test_a_first_line_that_drips_is_408_at_the_same_time(
    impatient_receiver: ReceiverHarness,
) -> None:
    watch = Stopwatch(impatient_receiver.part)
    async with connect(impatient_receiver.part.port) as connection:
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
async def test_a_nul_in_the_path_is_400(receiver: ReceiverHarness, method: str, path: str) -> None:
    await assert_refused(receiver, request_bytes(method, path, body=b"{}"), 400)


async def test_an_escaped_nul_in_the_path_is_no_endpoint(receiver: ReceiverHarness) -> None:
    await assert_refused(receiver, request_bytes("POST", f"{PATH}%00", body=b"{}"), 404)


@pytest.mark.parametrize("name", ["X-A\0", "X-Hub-Signature-256\0", "X A"])
async def test_a_header_s_name_that_is_none_is_400(receiver: ReceiverHarness, name: str) -> None:
    await assert_refused(
        receiver, request_bytes("POST", PATH, headers={name: "x"}, body=b"{}"), 400
    )


async def test_less_body_than_said_is_408(impatient_receiver: ReceiverHarness) -> None:
    body = impatient_receiver.new_body()
    headers = {**signed(body), "Content-Length": str(len(body) + 1)}
    await assert_refused(
        impatient_receiver, request_bytes("POST", PATH, headers=headers, body=body), 408
    )


async def test_less_body_than_said_and_a_closed_half_is_cut_off(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    headers = {**signed(body), "Content-Length": str(len(body) + 1)}
    async with receiver.nothing_stored():
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.part.port)
        writer.write(request_bytes("POST", PATH, headers=headers, body=body))
        writer.write_eof()
        async with asyncio.timeout(3):
            assert await reader.read() == b""
        writer.close()


async def test_more_body_than_said_is_no_part_of_it(impatient_receiver: ReceiverHarness) -> None:
    body, before = impatient_receiver.new_body(), await impatient_receiver.stored()
    async with connect(impatient_receiver.part.port) as connection:
        await connection.send(webhook(body) + b"and more")
        assert (await connection.response()).status == 200
        # What follows is read as a request, and is none.
        assert (await connection.response(within=3)).status in {400, 408}
        assert await connection.closed()
    assert await impatient_receiver.stored() == before + 1
    assert (await impatient_receiver.last()).data == body


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
    receiver: ReceiverHarness, start: bytes, framing: bytes
) -> None:
    await assert_refused(receiver, start + framing + b"\r\n{}", 400)


async def test_chunks_are_taken_whole_however_they_come(receiver: ReceiverHarness) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    headers = {**signed(body), "Transfer-Encoding": "chunked"}
    chunks = b"".join(b"1;x=y\r\n%c\r\n" % each for each in body)
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        for start in range(0, len(chunks), 1_000):
            await connection.send(chunks[start : start + 1_000])
        await connection.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        assert (await connection.response()).status == 200
    assert await receiver.stored() == before + 1
    assert (await receiver.last()).data == body


async def test_pipelined_webhooks_are_answered_in_order_and_all_stored(
    receiver: ReceiverHarness,
) -> None:
    before = await receiver.stored()
    requests = [webhook(receiver.new_body()) for _ in range(PIPELINED)]
    refused = request_bytes("POST", PATH, body=b"{}")
    async with connect(receiver.part.port) as connection:
        await connection.send(b"".join([*requests, refused, webhook(receiver.new_body())]))
        statuses = [(await connection.response()).status for _ in range(PIPELINED + 2)]
    assert statuses == [*([200] * PIPELINED), 401, 200]
    assert await receiver.stored() == before + PIPELINED + 1


async def test_what_is_no_webhook_is_its_connection_s_last(receiver: ReceiverHarness) -> None:
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(request_bytes("GET", "/") + webhook(receiver.new_body()))
        answer = await connection.response()
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await connection.closed()


async def test_who_sends_on_after_the_answer_gets_it_nevertheless(
    receiver: ReceiverHarness,
) -> None:
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("PUT", path_of("meta"), body=b" " * 2_000_000))
        assert (await connection.response(within=5)).status == 405


async def test_who_stays_after_the_answer_is_cut_off(receiver: ReceiverHarness) -> None:
    await eventually(lambda: has_open(receiver, 0), saying="other tests' connections to end")
    async with connect(receiver.part.port) as connection:
        await connection.send(GET + b"\r\n")
        await eventually(
            lambda: has_open(receiver, 1), within=2, saying="the connection to be there"
        )
        await eventually(
            lambda: has_open(receiver, 0), within=5, saying="the connection to be ended"
        )


async def has_open(receiver: ReceiverHarness, count: int) -> bool:
    return await receiver.part.metric("forebay_receiver_connections") == count
