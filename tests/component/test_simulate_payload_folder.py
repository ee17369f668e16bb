"""Files arrive byte for byte, signed as the provider signs them."""

from pathlib import Path

import pytest

from forebay_simulator import Plan, simulate
from support.destinations.sink import Sink
from support.inputs.corpus import APP_SECRET, PAYLOADS, PLATFORM_SECRET, VECTORS, Vector

FOLDER = Path(__file__).parents[1] / "data" / "payloads"


async def test_every_file_arrives_as_it_stands_with_the_keys_of_the_table(sink: Sink) -> None:
    plan = Plan(url=sink.url(), rate=len(PAYLOADS) * 2, duration=0.5, payloads=FOLDER)
    result = await simulate(plan)
    assert {arrival.body for arrival in sink.arrivals} == {file.body for file in PAYLOADS.values()}
    assert result.sent == result.accepted == len(PAYLOADS)
    assert result.accepted_keys == {key for f in PAYLOADS.values() for key in f.key_patterns}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.payload)
async def test_signature_vectors_hold_on_the_wire(
    sink: Sink, tmp_path: Path, vector: Vector
) -> None:
    body = PAYLOADS[vector.payload].body
    (tmp_path / "only.json").write_bytes(body)
    meta = vector.header.startswith("X-Hub")
    plan = Plan(
        url=sink.url("/v1/webhooks/demo/meta"),
        provider="meta" if meta else "360dialog",
        secret=APP_SECRET if meta else PLATFORM_SECRET,
        rate=1,
        duration=1,
        payloads=tmp_path,
    )
    await simulate(plan)
    (arrival,) = sink.arrivals
    assert arrival.body == body
    assert arrival.path == "/v1/webhooks/demo/meta"
    assert arrival.headers[vector.header.lower()] == vector.value
    assert arrival.headers["content-type"] == "application/json"


async def test_registered_headers_are_sent_with_every_webhook(sink: Sink) -> None:
    headers = (("Authorization", "Bearer example-token"), ("X-Tenant", "demo"))
    plan = Plan(url=sink.url(), provider="360dialog", rate=50, duration=0.1, headers=headers)
    await simulate(plan)
    assert len(sink.arrivals) == 5
    for arrival in sink.arrivals:
        assert arrival.headers["authorization"] == "Bearer example-token"
        assert arrival.headers["x-tenant"] == "demo"
        assert "x-360dialog-signature" not in arrival.headers


async def test_from_the_second_turn_on_files_are_repeats(sink: Sink, tmp_path: Path) -> None:
    for name in ("messages-text", "status-read"):
        (tmp_path / f"{name}.json").write_bytes(PAYLOADS[name].body)
    result = await simulate(Plan(url=sink.url(), rate=50, duration=0.1, payloads=tmp_path))
    assert len(sink.arrivals) == 5
    assert (result.sent, result.accepted, result.repeats, result.items) == (2, 2, 3, 2)
    assert [record.attempts for record in result.ledger] == [3, 2]
