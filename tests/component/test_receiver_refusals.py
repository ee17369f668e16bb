"""Requests that are no webhook for an endpoint: refused by the contract, and nothing is stored."""

import asyncio

import pytest

from support.inputs.tables import PATH
from support.receiver.raw_http import connect, exchange, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, path_of, signed
from support.timing.starvation import Stopwatch

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIMIT = 4 * 1024 * 1024


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/webhooks",
        "/v1/webhooks/",
        "/v1/webhooks/demo",
        "/v1/webhooks/demo/",
        "/v1/webhooks/demo/nobody",
        "/v1/webhooks/other/meta",
        f"{PATH}//",
        f"{PATH}/more",
        f"/{PATH}",
        "/v1/webhooks/demo/../demo/meta",
        "/v1/webhooks/DEMO/meta",
        "/readyz",
        "/metrics",
        "/docs",
        "/openapi.json",
    ],
)
async def test_a_path_of_no_endpoint_is_404(receiver: ReceiverHarness, path: str) -> None:
    async with receiver.nothing_stored():
        assert (await receiver.post(receiver.new_body(), path=path)).status == 404
        assert (await receiver.get(path)).status == 404


async def test_a_stranger_s_path_becomes_no_label_of_a_metric(receiver: ReceiverHarness) -> None:
    assert (await receiver.get("/v1/webhooks/demo/guessed-name")).status == 404
    assert b"guessed-name" not in (await receiver.part.admin("/metrics")).body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "QUERY"])
@pytest.mark.parametrize(("name", "allowed"), [("meta", "GET, POST"), ("d360", "POST")])
async def test_another_method_is_405_and_says_which_are_allowed(
    receiver: ReceiverHarness, method: str, name: str, allowed: str
) -> None:
    body = None if method == "HEAD" else b"{}"
    async with receiver.nothing_stored():
        answer = await exchange(receiver.part.port, request_bytes(method, path_of(name), body=body))
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_a_body_that_says_it_is_too_large_is_413_before_it_is_sent(
    receiver: ReceiverHarness,
) -> None:
    before = await receiver.refused("too_large")
    headers = {"Content-Length": str(LIMIT + 1)}
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        assert (await connection.response(within=2)).status == 413
        assert await connection.closed()
    assert await receiver.refused("too_large") == before + 1


async def test_a_body_in_chunks_is_413_as_soon_as_it_is_too_large(
    receiver: ReceiverHarness,
) -> None:
    chunk = b"%x\r\n%b\r\n" % (LIMIT // 4, b" " * (LIMIT // 4))
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        headers = {"Transfer-Encoding": "chunked"}
        await connection.send(request_bytes("POST", path_of("open"), headers=headers))
        for _ in range(4):
            await connection.send(chunk)
        await connection.send(b"1\r\n \r\n")
        assert (await connection.response()).status == 413
        assert await connection.closed()


async def test_a_body_of_exactly_the_limit_is_taken(receiver: ReceiverHarness) -> None:
    assert (await receiver.post(b" " * LIMIT, {}, path=path_of("open"))).status == 200


async def test_a_body_that_does_not_end_is_408(impatient_receiver: ReceiverHarness) -> None:
    before, watch = (
        await impatient_receiver.refused("too_slow"),
        Stopwatch(impatient_receiver.part),
    )
    headers = {**signed(b""), "Content-Length": "1000"}
    async with (
        impatient_receiver.nothing_stored(),
        connect(impatient_receiver.part.port) as connection,
    ):
        await connection.send(request_bytes("POST", PATH, headers=headers) + b"{")
        assert (await connection.response(within=3)).status == 408
        assert await connection.closed()
    assert watch.seconds > 0.4
    assert watch.busy_seconds < 2
    assert await impatient_receiver.refused("too_slow") == before + 1


async def test_a_body_that_drips_is_408_at_the_same_time(
    impatient_receiver: ReceiverHarness,
) -> None:
    watch = Stopwatch(impatient_receiver.part)
    headers = {**signed(b""), "Content-Length": "1000"}
    async with connect(impatient_receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        answer = asyncio.create_task(connection.response(within=3))
        while not answer.done():
            await connection.send(b" ")
            await asyncio.wait({answer}, timeout=0.05)
        assert (await answer).status == 408
    assert watch.busy_seconds < 2


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"POST " + PATH.encode() + b" HTTP/9.9\r\n\r\n",
        b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: odd\r\n\r\n",
        b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\n{}",
        b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["text", "version", "length", "negative", "two lengths", "both framings", "chunk", "tls"],
)
async def test_what_is_no_http_is_400_or_cut_off(receiver: ReceiverHarness, data: bytes) -> None:
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(data)
        assert (await connection.response(within=3)).status == 400
        assert await connection.closed()


async def test_headers_without_end_are_400(receiver: ReceiverHarness) -> None:
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH)[:-2] + b"X-Long: " + b"x" * 100_000)
        assert (await connection.response(within=3)).status == 400
        assert await connection.closed()


async def test_a_client_that_goes_away_in_the_middle_stores_nothing(
    receiver: ReceiverHarness,
) -> None:
    body = receiver.new_body()
    request = request_bytes("POST", PATH, headers=signed(body), body=body)
    async with receiver.nothing_stored():
        async with connect(receiver.part.port) as connection:
            await connection.send(request[:-10])
        assert (await receiver.post(b"{}", {})).status == 401


async def test_many_strangers_at_once_do_not_hold_up_a_webhook(receiver: ReceiverHarness) -> None:
    async def stranger() -> int:
        return (await receiver.get("/wp-login.php")).status

    statuses = await asyncio.gather(*(stranger() for _ in range(50)))
    assert set(statuses) == {404}
    assert (await receiver.post(receiver.new_body())).status == 200
