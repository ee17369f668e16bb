"""A webhook that is answered 200 is in RAW, as it came."""

import asyncio
import json
import re
import time

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.signatures import sign
from forebay.core.subjects import endpoint_partition
from support.inputs.corpus import PAYLOADS, PLATFORM_SECRET, VECTORS, Vector, payload
from support.inputs.tables import PATH
from support.receiver.raw_http import connect, request_bytes
from support.receiver.receiver_harness import TOKEN, ReceiverHarness, path_of, signed

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_answer_is_200_without_a_body(receiver: ReceiverHarness) -> None:
    answer = await receiver.post(receiver.new_body())
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {"content-length": "0"}


async def test_the_bytes_are_stored_as_they_came(receiver: ReceiverHarness) -> None:
    body = receiver.new_body().replace(b'"object"', b'  "object"')
    assert (await receiver.post(body)).status == 200
    assert (await receiver.last()).data == body


async def test_the_subject_says_lane_and_endpoint(receiver: ReceiverHarness) -> None:
    partition = endpoint_partition(EndpointName("demo", "meta"), "0")
    assert (await receiver.post(receiver.new_body())).status == 200
    assert (await receiver.last()).subject == f"forebay.raw.0.{partition:02d}.live.demo.meta"


@pytest.mark.parametrize(
    ("name", "lane"),
    [("status-read", "status"), ("history", "bulk"), ("calls-connect", "live")],
)
async def test_the_lane_is_that_of_the_most_urgent_item(
    receiver: ReceiverHarness, name: str, lane: str
) -> None:
    body = payload(name).body.replace(b"wamid.", b"wamid.lane.").replace(b"call.", b"call.lane.")
    body += b"\n" * len(lane)
    assert (await receiver.post(body)).status == 200
    assert str((await receiver.last()).subject).split(".")[4] == lane


async def test_the_headers_say_when_and_for_whom_it_came(receiver: ReceiverHarness) -> None:
    body, began = receiver.new_body(), int(time.time() * 1000)
    headers = {**signed(body), "Content-Type": "application/json"}
    assert (await receiver.post(body, headers)).status == 200
    stored = (await receiver.last()).headers or {}
    assert began <= int(stored["Forebay-Received-At"]) <= int(time.time() * 1000)
    assert stored["Forebay-Endpoint"] == "demo/meta"
    assert stored["Content-Type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{64}", stored["Nats-Msg-Id"])


async def test_the_signature_is_kept_for_destinations_and_credentials_are_not(
    receiver: ReceiverHarness,
) -> None:
    body = receiver.new_body()
    given = {"x-360dialog-signature": sign(PLATFORM_SECRET, body), **signed(body)}
    headers = {**given, "Authorization": TOKEN, "Cookie": "private=1"}
    assert (await receiver.post(body, headers, path=path_of("partner"))).status == 200
    stored = {name.lower(): text for name, text in ((await receiver.last()).headers or {}).items()}
    assert {name.lower(): text for name, text in given.items()}.items() <= stored.items()
    assert not any("example-token" in text or "private" in text for text in stored.values())


async def test_a_trace_is_carried_on(receiver: ReceiverHarness) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = receiver.new_body()
    assert (await receiver.post(body, {**signed(body), "traceparent": trace})).status == 200
    assert ((await receiver.last()).headers or {})["traceparent"] == trace


@pytest.mark.parametrize("given", [None, "odd", "00-1-2-3", "00-" + "0" * 200])
async def test_a_trace_is_begun_where_none_came(
    receiver: ReceiverHarness, given: str | None
) -> None:
    body = receiver.new_body()
    headers = signed(body) | ({} if given is None else {"traceparent": given})
    assert (await receiver.post(body, headers)).status == 200
    trace = ((await receiver.last()).headers or {})["traceparent"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", trace)
    assert trace != given


async def test_the_same_webhook_again_is_200_and_stored_once(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    before = await receiver.part.metric("forebay_receiver_requests_total", outcome="duplicate")
    assert (await receiver.post(body)).status == 200
    async with receiver.nothing_stored():
        assert (await receiver.post(body)).status == 200
    after = await receiver.part.metric("forebay_receiver_requests_total", outcome="duplicate")
    assert after == before + 1


async def test_the_same_body_for_another_endpoint_is_another_webhook(
    receiver: ReceiverHarness,
) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    assert (await receiver.post(body)).status == 200
    assert (await receiver.post(body, path=path_of("rotated"))).status == 200
    assert await receiver.stored() == before + 2


@pytest.mark.parametrize("body", [b"not json", b"", b"\xff\xfe", b"[1, 2]", b'{"other": "shape"}'])
async def test_what_is_no_webhook_is_stored_in_the_lane_invalid(
    receiver: ReceiverHarness, body: bytes
) -> None:
    assert (await receiver.post(body)).status == 200
    stored = await receiver.last()
    assert str(stored.subject).split(".")[4] == "invalid"
    assert (stored.data or b"") == body


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.payload)
async def test_the_vectors_of_the_corpus_are_let_in(
    receiver: ReceiverHarness, vector: Vector
) -> None:
    name = "partner" if "360dialog" in vector.header else "meta"
    headers = {vector.header: vector.value, "Authorization": TOKEN}
    answer = await receiver.post(payload(vector.payload).body, headers, path=path_of(name))
    assert answer.status == 200


async def test_a_large_batch_is_taken(receiver: ReceiverHarness) -> None:
    document = json.loads(receiver.new_body())
    (message,) = document["entry"][0]["changes"][0]["value"]["messages"]
    texts = [
        {**message, "id": f"wamid.large.{number}", "text": {"body": "x" * 2_500}}
        for number in range(1_000)
    ]
    document["entry"][0]["changes"][0]["value"]["messages"] = texts
    body = json.dumps(document).encode()
    assert len(body) > 2_500_000
    assert (await receiver.post(body)).status == 200
    assert (await receiver.last()).data == body


async def test_a_body_in_chunks_is_put_together(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    head = request_bytes("POST", PATH, headers={**signed(body), "Transfer-Encoding": "chunked"})
    halves = (body[:100], body[100:])
    async with connect(receiver.part.port) as connection:
        await connection.send(head)
        for part in (*halves, b""):
            await connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        assert (await connection.response()).status == 200
    assert (await receiver.last()).data == body


async def test_one_connection_serves_many_webhooks(receiver: ReceiverHarness) -> None:
    before = await receiver.stored()
    async with connect(receiver.part.port) as connection:
        for _ in range(5):
            body = receiver.new_body()
            await connection.send(request_bytes("POST", PATH, headers=signed(body), body=body))
            assert (await connection.response()).status == 200
    assert await receiver.stored() == before + 5


async def test_webhooks_that_are_sent_ahead_are_answered_in_their_order(
    receiver: ReceiverHarness,
) -> None:
    bodies = [receiver.new_body() for _ in range(6)]
    requests = [request_bytes("POST", PATH, headers=signed(body), body=body) for body in bodies]
    requests[3] = request_bytes("POST", PATH, headers={"X-Hub-Signature-256": "odd"}, body=b"{}")
    async with connect(receiver.part.port) as connection:
        await connection.send(b"".join(requests))
        statuses = [(await connection.response()).status for _ in requests]
    assert statuses == [200, 200, 200, 401, 200, 200]


async def test_a_webhook_that_comes_in_pieces_is_taken(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    request = request_bytes("POST", PATH, headers=signed(body), body=body)
    async with connect(receiver.part.port) as connection:
        for start in range(0, len(request), 97):
            await connection.send(request[start : start + 97])
            await asyncio.sleep(0)
        assert (await connection.response()).status == 200
    assert (await receiver.last()).data == body


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(
    receiver: ReceiverHarness,
) -> None:
    body = receiver.new_body()
    headers = {**signed(body), "Expect": "100-continue", "Content-Length": str(len(body))}
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=headers))
        assert (await connection.response()).status == 100
        await connection.send(body)
        assert (await connection.response()).status == 200


async def test_a_query_behind_the_path_changes_nothing(receiver: ReceiverHarness) -> None:
    body, plain = receiver.new_body(), receiver.new_body()
    assert (await receiver.post(plain)).status == 200
    without = await receiver.last()
    assert (await receiver.post(body, path=f"{PATH}?source=provider")).status == 200
    stored = await receiver.last()
    assert (stored.subject, stored.data) == (without.subject, body)
    assert (stored.headers or {}).keys() == (without.headers or {}).keys()


async def test_webhooks_that_come_at_the_same_time_are_all_stored(
    receiver: ReceiverHarness,
) -> None:
    before = await receiver.stored()
    answers = await asyncio.gather(*(receiver.post(receiver.new_body()) for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert await receiver.stored() == before + 100


async def test_the_whole_corpus_is_taken(receiver: ReceiverHarness) -> None:
    for each in PAYLOADS.values():
        assert (await receiver.post(each.body)).status == 200, each.name
