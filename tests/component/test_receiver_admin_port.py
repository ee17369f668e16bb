"""What the port for operators says: readiness, routes by name, metrics, load."""

import json

import pytest

from support.corpus import APP_SECRET
from support.edge import ROUTES, TOKEN, Edge
from support.raw_http import exchange, request_bytes
from support.tables import VERIFY_TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_receiver_that_can_store_says_so(edge: Edge) -> None:
    answer = await edge.receiver.admin("/readyz")
    assert answer.status == 200
    assert json.loads(answer.body) == {"ok": True, "waiting_for": [], "warnings": []}
    assert (await edge.receiver.admin("/livez")).status == 200


async def test_routes_are_told_by_name_only(edge: Edge) -> None:
    body = (await edge.receiver.admin("/routes")).body
    told = json.loads(body)
    assert told["endpoints"] == sorted(f"{route.namespace}/{route.name}" for route in ROUTES)
    assert told["generations"] == {"0.json": "1"}
    for secret in (APP_SECRET, TOKEN, VERIFY_TOKEN):
        assert secret.encode() not in body


async def test_a_stored_webhook_is_counted_for_its_endpoint(edge: Edge) -> None:
    async def count() -> float:
        return await edge.receiver.metric(
            "forebay_receiver_requests_total", namespace="demo", endpoint="meta", outcome="stored"
        )

    before = await count()
    assert (await edge.post(edge.new_body())).status == 200
    assert await count() == before + 1
    assert await edge.receiver.metric("forebay_receiver_ack_seconds_count") > 0
    assert await edge.receiver.metric("forebay_receiver_nats_connected") == 1


async def test_a_refusal_is_counted_by_reason_and_endpoint(edge: Edge) -> None:
    async def count() -> float:
        return await edge.receiver.metric(
            "forebay_receiver_refused_total", endpoint="meta", reason="signature_missing"
        )

    before = await count()
    assert (await edge.post(b"{}", {})).status == 401
    assert await count() == before + 1


async def test_nothing_is_in_flight_at_rest(edge: Edge) -> None:
    assert json.loads((await edge.receiver.admin("/load")).body) == {
        "in_flight": 0,
        "in_flight_bytes": 0,
    }


async def test_no_webhook_is_taken_on_this_port(edge: Edge) -> None:
    answer = await edge.receiver.admin("/v1/webhooks/demo/meta")
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/livez", "/load", "/metrics", "/readyz", "/routes"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_it_changes_nothing(edge: Edge, path: str, method: str) -> None:
    request = request_bytes(method, path, headers={"Connection": "close"}, body=b"{}")
    answer = await exchange(edge.receiver.admin_port, request)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
