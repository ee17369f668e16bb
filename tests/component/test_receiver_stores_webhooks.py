"""A webhook that is answered 200 is in RAW, as it came."""

import asyncio
import json
import re
import time

import pytest

from forebay.core.naming import EndpointName
from forebay.core.signatures import sign
from forebay.core.subjects import endpoint_partition
from support.corpus import PAYLOADS, PLATFORM_SECRET, VECTORS, Vector, payload
from support.edge import TOKEN, Edge, path_of, signed
from support.raw_http import connect, request_bytes
from support.tables import PATH

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_answer_is_200_without_a_body(edge: Edge) -> None:
    answer = await edge.post(edge.new_body())
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {"content-length": "0"}


async def test_the_bytes_are_stored_as_they_came(edge: Edge) -> None:
    body = edge.new_body().replace(b'"object"', b'  "object"')
    assert (await edge.post(body)).status == 200
    assert (await edge.last()).data == body


async def test_the_subject_says_lane_and_endpoint(edge: Edge) -> None:
    partition = endpoint_partition(EndpointName("demo", "meta"))
    assert (await edge.post(edge.new_body())).status == 200
    assert (await edge.last()).subject == f"forebay.raw.0.{partition:02d}.live.demo.meta"


@pytest.mark.parametrize(
    ("name", "lane"),
    [("status-read", "status"), ("history", "bulk"), ("calls-connect", "live")],
)
async def test_the_lane_is_that_of_the_most_urgent_item(edge: Edge, name: str, lane: str) -> None:
    body = payload(name).body.replace(b"wamid.", b"wamid.lane.").replace(b"call.", b"call.lane.")
    body += b"\n" * len(lane)
    assert (await edge.post(body)).status == 200
    assert str((await edge.last()).subject).split(".")[4] == lane


async def test_the_headers_say_when_and_for_whom_it_came(edge: Edge) -> None:
    body, began = edge.new_body(), int(time.time() * 1000)
    headers = {**signed(body), "Content-Type": "application/json"}
    assert (await edge.post(body, headers)).status == 200
    stored = (await edge.last()).headers or {}
    assert began <= int(stored["Forebay-Received-At"]) <= int(time.time() * 1000)
    assert stored["Forebay-Endpoint"] == "demo/meta"
    assert stored["Content-Type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{64}", stored["Nats-Msg-Id"])


async def test_the_signature_is_kept_for_destinations_and_credentials_are_not(edge: Edge) -> None:
    body = edge.new_body()
    given = {"x-360dialog-signature": sign(PLATFORM_SECRET, body), **signed(body)}
    headers = {**given, "Authorization": TOKEN, "Cookie": "private=1"}
    assert (await edge.post(body, headers, path=path_of("partner"))).status == 200
    stored = {name.lower(): text for name, text in ((await edge.last()).headers or {}).items()}
    assert {name.lower(): text for name, text in given.items()}.items() <= stored.items()
    assert not any("example-token" in text or "private" in text for text in stored.values())


async def test_a_trace_is_carried_on(edge: Edge) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = edge.new_body()
    assert (await edge.post(body, {**signed(body), "traceparent": trace})).status == 200
    assert ((await edge.last()).headers or {})["traceparent"] == trace


@pytest.mark.parametrize("given", [None, "odd", "00-1-2-3", "00-" + "0" * 200])
async def test_a_trace_is_begun_where_none_came(edge: Edge, given: str | None) -> None:
    body = edge.new_body()
    headers = signed(body) | ({} if given is None else {"traceparent": given})
    assert (await edge.post(body, headers)).status == 200
    trace = ((await edge.last()).headers or {})["traceparent"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", trace)
    assert trace != given


async def test_the_same_webhook_again_is_200_and_stored_once(edge: Edge) -> None:
    body = edge.new_body()
    before = await edge.receiver.metric("forebay_receiver_requests_total", outcome="duplicate")
    assert (await edge.post(body)).status == 200
    async with edge.nothing_stored():
        assert (await edge.post(body)).status == 200
    after = await edge.receiver.metric("forebay_receiver_requests_total", outcome="duplicate")
    assert after == before + 1


async def test_the_same_body_for_another_endpoint_is_another_webhook(edge: Edge) -> None:
    body, before = edge.new_body(), await edge.stored()
    assert (await edge.post(body)).status == 200
    assert (await edge.post(body, path=path_of("rotated"))).status == 200
    assert await edge.stored() == before + 2


@pytest.mark.parametrize("body", [b"not json", b"", b"\xff\xfe", b"[1, 2]", b'{"other": "shape"}'])
async def test_what_is_no_webhook_is_stored_in_the_lane_invalid(edge: Edge, body: bytes) -> None:
    assert (await edge.post(body)).status == 200
    stored = await edge.last()
    assert str(stored.subject).split(".")[4] == "invalid"
    assert (stored.data or b"") == body


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.payload)
async def test_the_vectors_of_the_corpus_are_let_in(edge: Edge, vector: Vector) -> None:
    name = "partner" if "360dialog" in vector.header else "meta"
    headers = {vector.header: vector.value, "Authorization": TOKEN}
    answer = await edge.post(payload(vector.payload).body, headers, path=path_of(name))
    assert answer.status == 200


async def test_a_large_batch_is_taken(edge: Edge) -> None:
    document = json.loads(edge.new_body())
    (message,) = document["entry"][0]["changes"][0]["value"]["messages"]
    texts = [
        {**message, "id": f"wamid.large.{number}", "text": {"body": "x" * 2_500}}
        for number in range(1_000)
    ]
    document["entry"][0]["changes"][0]["value"]["messages"] = texts
    body = json.dumps(document).encode()
    assert len(body) > 2_500_000
    assert (await edge.post(body)).status == 200
    assert (await edge.last()).data == body


async def test_a_body_in_chunks_is_put_together(edge: Edge) -> None:
    body = edge.new_body()
    head = request_bytes("POST", PATH, headers={**signed(body), "Transfer-Encoding": "chunked"})
    halves = (body[:100], body[100:])
    async with connect(edge.receiver.port) as connection:
        await connection.send(head)
        for part in (*halves, b""):
            await connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert (await connection.response()).status == 200
    assert (await edge.last()).data == body


async def test_one_connection_serves_many_webhooks(edge: Edge) -> None:
    before = await edge.stored()
    async with connect(edge.receiver.port) as connection:
        for _ in range(5):
            body = edge.new_body()
            await connection.send(request_bytes("POST", PATH, headers=signed(body), body=body))
            assert (await connection.response()).status == 200
    assert await edge.stored() == before + 5


async def test_webhooks_that_are_sent_ahead_are_answered_in_their_order(edge: Edge) -> None:
    bodies = [edge.new_body() for _ in range(6)]
    requests = [request_bytes("POST", PATH, headers=signed(body), body=body) for body in bodies]
    requests[3] = request_bytes("POST", PATH, headers={"X-Hub-Signature-256": "odd"}, body=b"{}")
    async with connect(edge.receiver.port) as connection:
        await connection.send(b"".join(requests))
        statuses = [(await connection.response()).status for _ in requests]
    assert statuses == [200, 200, 200, 401, 200, 200]


async def test_a_webhook_that_comes_in_pieces_is_taken(edge: Edge) -> None:
    body = edge.new_body()
    request = request_bytes("POST", PATH, headers=signed(body), body=body)
    async with connect(edge.receiver.port) as connection:
        for start in range(0, len(request), 97):
            await connection.send(request[start : start + 97])
            await asyncio.sleep(0)
        assert (await connection.response()).status == 200
    assert (await edge.last()).data == body


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(edge: Edge) -> None:
    body = edge.new_body()
    headers = {**signed(body), "Expect": "100-continue", "Content-Length": str(len(body))}
    async with connect(edge.receiver.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        assert (await connection.response()).status == 100
        await connection.send(body)
        assert (await connection.response()).status == 200


async def test_a_query_behind_the_path_changes_nothing(edge: Edge) -> None:
    body, plain = edge.new_body(), edge.new_body()
    assert (await edge.post(plain)).status == 200
    without = await edge.last()
    assert (await edge.post(body, path=f"{PATH}?source=provider")).status == 200
    stored = await edge.last()
    assert (stored.subject, stored.data) == (without.subject, body)
    assert (stored.headers or {}).keys() == (without.headers or {}).keys()


async def test_webhooks_that_come_at_the_same_time_are_all_stored(edge: Edge) -> None:
    before = await edge.stored()
    answers = await asyncio.gather(*(edge.post(edge.new_body()) for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert await edge.stored() == before + 100


async def test_the_whole_corpus_is_taken(edge: Edge) -> None:
    for each in PAYLOADS.values():
        assert (await edge.post(each.body)).status == 200, each.name
