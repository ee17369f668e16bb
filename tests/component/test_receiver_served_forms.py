"""The closed list of what is served: the forms of a webhook that are stored, byte for byte.

And those that are refused, with nothing stored. Each over a raw socket, with one answer each.
"""

import asyncio

import pytest

from support.inputs.tables import PATH, VERIFY_TOKEN
from support.receiver.raw_http import RawConnection, RawResponse, connect, exchange, request_bytes
from support.receiver.receiver_harness import TOKEN, ReceiverHarness, path_of, signed

pytestmark = pytest.mark.asyncio(loop_scope="session")

H2C = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Upgrade": "h2c",
    "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
}
"""What Java's HttpClient and `curl --http2` send."""

UPGRADES = pytest.mark.parametrize(
    "upgrade",
    [
        H2C,
        {
            "Connection": "keep-alive, upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
        },
        {"upgrade": "TLS/1.2, h2c", "connection": "UPGRADE"},
    ],
    ids=["h2c", "websocket", "another"],
)
CHALLENGE = f"?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=4711"


async def assert_stored(receiver: ReceiverHarness, body: bytes, before: int) -> None:
    assert await receiver.stored() == before + 1
    assert (await receiver.last()).data == body


@UPGRADES
@pytest.mark.parametrize("name", ["meta", "d360"])
async def test_a_webhook_that_asks_for_an_upgrade_is_stored_with_its_body(
    receiver: ReceiverHarness, upgrade: dict[str, str], name: str
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    headers = {**upgrade, **(signed(body) if name == "meta" else {"Authorization": TOKEN})}
    assert (await receiver.post(body, headers, path=path_of(name))).status == 200
    await assert_stored(receiver, body, before)


@UPGRADES
async def test_a_body_behind_an_upgrade_may_come_later_and_in_chunks(
    receiver: ReceiverHarness, upgrade: dict[str, str]
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    headers = {**upgrade, **signed(body), "Transfer-Encoding": "chunked"}
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        await connection.send(b"%x\r\n%b\r\n" % (len(body) - 9, body[:-9]))
        await connection.send(b"9\r\n%b\r\n0\r\n\r\n" % body[-9:])
        assert (await connection.response()).status == 200
    await assert_stored(receiver, body, before)


@UPGRADES
async def test_webhooks_that_ask_for_an_upgrade_get_one_answer_each_on_one_connection(
    receiver: ReceiverHarness, upgrade: dict[str, str]
) -> None:
    bodies, before = [receiver.new_body() for _ in range(5)], await receiver.stored()
    requests = [
        request_bytes("POST", PATH, headers={**upgrade, **signed(body)}, body=body)
        for body in bodies
    ]
    last = request_bytes(
        "POST", PATH, headers={**signed(bodies[0]), "Connection": "close"}, body=bodies[0]
    )
    async with connect(receiver.part.port) as connection:
        await connection.send(b"".join([*requests, last]))
        assert [(await connection.response()).status for _ in range(6)] == [200] * 6
        assert await connection.closed()
    assert await receiver.stored() == before + 5
    assert (await receiver.last()).data == bodies[-1]


@UPGRADES
async def test_a_webhook_without_a_body_that_asks_for_an_upgrade_gets_its_one_answer(
    receiver: ReceiverHarness, upgrade: dict[str, str]
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    empty = request_bytes("POST", PATH, headers={**upgrade, **signed(b"wrong")})
    whole = request_bytes("POST", PATH, headers=signed(body), body=body)
    async with connect(receiver.part.port) as connection:
        await connection.send(empty + whole)
        assert [(await connection.response()).status for _ in range(2)] == [401, 200]
    await assert_stored(receiver, body, before)


@UPGRADES
async def test_a_challenge_that_asks_for_an_upgrade_is_answered(
    receiver: ReceiverHarness, upgrade: dict[str, str]
) -> None:
    request = request_bytes("GET", PATH + CHALLENGE, headers=upgrade)
    answer = await exchange(receiver.part.port, request)
    assert (answer.status, answer.body) == (200, b"4711")


@pytest.mark.parametrize("space", [" ", "\t", " \t  "])
async def test_white_space_behind_a_header_s_value_is_no_part_of_it(
    receiver: ReceiverHarness, space: str
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    credentials = {name: value + space for name, value in signed(body).items()}
    assert (await receiver.post(body, credentials)).status == 200
    await assert_stored(receiver, body, before)
    headers = {"Authorization": TOKEN + space, "Content-Length": f"{len(body)}{space}"}
    assert (await receiver.post(body, headers, path=path_of("d360"))).status == 200


async def test_a_slash_at_the_end_of_a_url_counts_for_nothing(receiver: ReceiverHarness) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    assert (await receiver.post(body, path=f"{PATH}/")).status == 200
    await assert_stored(receiver, body, before)
    assert (await receiver.get(f"{PATH}/{CHALLENGE}")).body == b"4711"
    answer = await exchange(receiver.part.port, request_bytes("PUT", f"{PATH}/", body=b"{}"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("target", ["http://a", "HTTPS://hooks.example.com:443"])
async def test_a_target_in_absolute_form_is_the_same_url(
    receiver: ReceiverHarness, target: str
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    assert (await receiver.post(body, path=target + PATH)).status == 200
    await assert_stored(receiver, body, before)
    assert (await receiver.get(target + PATH + CHALLENGE)).body == b"4711"


async def test_blank_lines_before_a_webhook_count_for_nothing(receiver: ReceiverHarness) -> None:
    before = await receiver.stored()
    bodies = [receiver.new_body() for _ in range(3)]
    async with connect(receiver.part.port) as connection:
        for body in bodies:
            request = request_bytes("POST", PATH, headers=signed(body), body=body)
            await connection.send(b"\r\n" + request + b"\r\n")
            assert (await connection.response()).status == 200
    assert await receiver.stored() == before + 3


async def test_http_1_0_needs_no_host_and_gets_one_answer(receiver: ReceiverHarness) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    head = f"POST {path_of('open')} HTTP/1.0\r\nContent-Length: {len(body)}\r\nExpect: all\r\n\r\n"
    async with connect(receiver.part.port) as connection:
        await connection.send(head.encode() + body)
        assert (await connection.response()).status == 200
        assert await connection.closed()
    await assert_stored(receiver, body, before)


async def test_who_expects_to_be_told_to_go_on_is_told_once(receiver: ReceiverHarness) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    fields = {**signed(body), "Content-Length": str(len(body)), "Expect": "100-Continue"}
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=fields))
        assert (await connection.response()).status == 100
        await connection.send(body)
        assert (await connection.response()).status == 200
    await assert_stored(receiver, body, before)


LINES = "{method} {path} {version}\r\n{host}{extra}\r\n"
HOST = "Host: hooks.example.com\r\n"


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
@pytest.mark.parametrize(
    ("version", "host", "extra", "status"),
    [
        ("HTTP/2.0", HOST, "", 505),
        ("HTTP/0.9", HOST, "", 505),
        ("", HOST, "", {400, 505}),
        ("HTTP/1.1", "", "", 400),
        ("HTTP/1.1", HOST + HOST, "", 400),
        ("HTTP/1.1", HOST + "host: another.example.com\r\n", "", 400),
        ("HTTP/1.1", HOST, "Expect: 200-ok\r\n", 417),
        ("HTTP/1.1", HOST, "Expect: 100-continue, more\r\n", 417),
        ("HTTP/1.1", HOST, "Transfer-Encoding: gzip, chunked\r\n", 400),
        ("HTTP/1.1", HOST, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("HTTP/1.0", HOST, "Transfer-Encoding: chunked\r\n", 400),
    ],
)
async def test_what_is_not_on_the_list_is_refused(
    receiver: ReceiverHarness,
    method: str,
    version: str,
    host: str,
    extra: str,
    status: int | set[int],
) -> None:
    head = LINES.format(
        method=method, path=path_of("open"), version=version, host=host, extra=extra
    )
    body = b"2\r\n{}\r\n0\r\n\r\n" if "chunked" in extra else b""
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(head.encode() + body)
        answer = await connection.response(within=3)
        assert answer.status in (status if isinstance(status, set) else {status})
        assert await connection.closed()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "compress", "x"])
async def test_an_encoding_that_nobody_can_take_off_is_415(
    receiver: ReceiverHarness, encoding: str
) -> None:
    body = receiver.new_body()
    async with receiver.nothing_stored():
        answer = await receiver.post(body, {**signed(body), "Content-Encoding": encoding})
    assert answer.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "identity", ""])
async def test_an_encoding_that_is_known_is_stored_as_it_was_sent(
    receiver: ReceiverHarness, encoding: str
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    assert (await receiver.post(body, {**signed(body), "Content-Encoding": encoding})).status == 200
    await assert_stored(receiver, body, before)


async def test_a_body_that_nobody_is_let_in_with_is_not_read(receiver: ReceiverHarness) -> None:
    head = request_bytes(
        "POST",
        path_of("d360"),
        headers={
            "Authorization": "Bearer wrong",
            "Content-Length": "4000000",
            "Expect": "100-continue",
        },
    )
    answer = await refused_and_closed(receiver, head)
    assert answer.status == 401


async def test_a_signature_that_is_not_there_needs_no_body_to_be_missed(
    receiver: ReceiverHarness,
) -> None:
    head = request_bytes("POST", PATH, headers={"Content-Length": "4000000"})
    assert (await refused_and_closed(receiver, head)).status == 401


async def refused_and_closed(receiver: ReceiverHarness, data: bytes) -> RawResponse:
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        return await answer_and_end(connection, data)


async def answer_and_end(connection: RawConnection, data: bytes) -> RawResponse:
    await connection.send(data)
    answer = await connection.response(within=1)
    assert await connection.closed()
    return answer


async def test_a_pipeline_of_a_thousand_webhooks_is_stored_whole(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    whole = request_bytes("POST", path_of("d360"), headers={"Authorization": TOKEN}, body=body)
    async with connect(receiver.part.port) as connection:
        sending = asyncio.create_task(connection.send(whole * 1000))
        statuses = [(await connection.response()).status for _ in range(1000)]
        await sending
    assert statuses == [200] * 1000
