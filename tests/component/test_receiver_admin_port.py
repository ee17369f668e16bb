"""What the port for operators says: readiness, routes by name, metrics, load."""

import json

import pytest

from forebay_receiver.metrics import DECLARED
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import VERIFY_TOKEN
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import ROUTES, TOKEN, ReceiverHarness
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_receiver_that_can_store_says_so(receiver: ReceiverHarness) -> None:
    answer = await receiver.part.admin("/readyz")
    assert answer.status == 200
    assert json.loads(answer.body) == {"ok": True, "waiting_for": [], "warnings": []}
    assert (await receiver.part.admin("/livez")).status == 200


async def test_routes_are_shown_by_name_only(receiver: ReceiverHarness) -> None:
    body = (await receiver.part.admin("/routes")).body
    shown = json.loads(body)
    assert shown["endpoints"] == sorted(f"{route.namespace}/{route.name}" for route in ROUTES)
    assert shown["generations"] == {"0.json": "1"}
    for secret in (APP_SECRET, TOKEN, VERIFY_TOKEN):
        assert secret.encode() not in body


async def test_a_stored_webhook_is_counted_for_its_endpoint(receiver: ReceiverHarness) -> None:
    async def count() -> float:
        return await receiver.part.metric(
            "forebay_receiver_requests_total", namespace="demo", endpoint="meta", outcome="stored"
        )

    before = await count()
    assert (await receiver.post(receiver.new_body())).status == 200
    assert await count() == before + 1
    assert await receiver.part.metric("forebay_receiver_ack_seconds_count") > 0
    assert await receiver.part.metric("forebay_receiver_nats_connected") == 1


async def test_a_refusal_is_counted_by_reason_and_endpoint(receiver: ReceiverHarness) -> None:
    async def count() -> float:
        return await receiver.part.metric(
            "forebay_receiver_refused_total", endpoint="meta", reason="signature_missing"
        )

    before = await count()
    assert (await receiver.post(b"{}", {})).status == 401
    assert await count() == before + 1


async def test_nothing_is_in_flight_at_rest(receiver: ReceiverHarness) -> None:
    assert json.loads((await receiver.part.admin("/load")).body) == {
        "in_flight": 0,
        "in_flight_bytes": 0,
    }


async def test_no_webhook_is_taken_on_this_port(receiver: ReceiverHarness) -> None:
    answer = await receiver.part.admin("/v1/webhooks/demo/meta")
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/livez", "/load", "/metrics", "/readyz", "/routes"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_it_changes_nothing(receiver: ReceiverHarness, path: str, method: str) -> None:
    request = request_bytes(method, path, headers={"Connection": "close"}, body=b"{}")
    answer = await exchange(receiver.part.admin_port, request)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


async def test_the_tables_and_the_loop_are_followed(receiver: ReceiverHarness) -> None:
    async def shown(name: str) -> float:
        return await receiver.part.metric(f"forebay_receiver_{name}")

    assert await shown("endpoints") == len(ROUTES)
    age = await shown("table_age_seconds")
    count = await shown("loop_lag_seconds_count")

    async def is_measured() -> bool:
        return await shown("loop_lag_seconds_count") > count

    await eventually(is_measured, saying="the loop's lag to be measured again")
    assert await shown("table_age_seconds") > age


async def test_every_metric_that_is_declared_is_shown(receiver: ReceiverHarness) -> None:
    text = (await receiver.part.admin("/metrics")).body.decode()
    for metric in DECLARED:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text
