"""Events report what happened to an endpoint, each thing once, and never a flood."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from forebay_operator.services.event_recorder import BURST
from support.operator.operator_process import Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually

Json = Any


def events(forebay: Forebay, reason: str) -> list[Json]:
    return [each for each in forebay.event_objects("sales") if each["reason"] == reason]


@contextlib.asynccontextmanager
async def pod(forebay: Forebay, pool: str) -> AsyncIterator[None]:
    played = PlayedPod(forebay, pool, {"pool": pool})
    await played.start()
    try:
        yield
    finally:
        await played.stop()


async def test_an_endpoint_is_reported_from_its_beginning_to_its_trouble(forebay: Forebay) -> None:
    shared = {"isolation": "Shared"}
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", receiver=shared))
    async with pod(forebay, "processors"):
        async with pod(forebay, "receivers"):
            await forebay.operator().start()
            await forebay.wait_condition("sales", "Ready", "Ready")
            (ready,) = await eventually(lambda: events(forebay, "Ready"), saying="the Event Ready")
            for reason in ("Accepted", "SecretsFound", "StreamsThere"):
                (event,) = events(forebay, reason)
                assert (event["type"], event["count"]) == ("Normal", 1)
            assert ready["type"] == "Normal"

            forebay.secret(token="other-token")
            (rotated,) = await eventually(lambda: events(forebay, "Rotated"), saying="the rotation")
            assert rotated["type"] == "Normal"
            assert "other-token" not in rotated["message"]

            forebay.apply(manifest(forebay.tenant, "sales", receiver=shared, paused=True))
            (updated,) = await eventually(lambda: events(forebay, "Updated"), saying="the edit")
            assert "generation 2" in updated["message"]

            def is_ready_anew() -> bool:
                # The edit is reported before the status is written: what stands there until then is
                # of the generation before.
                status = (forebay.endpoint("sales") or {}).get("status") or {}
                ready = forebay.condition("sales", "Ready")["reason"] == "Ready"
                return ready and status.get("observedGeneration") == 2

            await eventually(is_ready_anew, within=20, saying="the edit to be served")
        # Pods of a shared pool are looked at every 10 s, by an operator that may be starved.
        (lost,) = await eventually(
            lambda: events(forebay, "Degraded"), within=40, saying="the loss"
        )
    assert lost["type"] == "Warning"
    assert "no receiver is ready" in lost["message"]


async def test_repairs_are_reported_and_counted_in_one_event(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    (service,) = forebay.objects("services", "sales")
    path = forebay.path("services", service["metadata"]["name"])
    times = BURST + 5
    for number in range(times):
        wrong = {"spec": {"selector": {"forebay.dev/endpoint-name": f"other-{number}"}}}
        assert forebay.api.merge(path, wrong).status == 200

        def is_right() -> bool:
            (now,) = forebay.objects("services", "sales")
            return bool(now["spec"]["selector"] == service["spec"]["selector"])

        await eventually(is_right, saying="the Service to be repaired")
    (repaired,) = events(forebay, "Repaired")
    assert repaired["type"] == "Warning"
    assert service["metadata"]["name"] in repaired["message"]
    # What came before it took a part of the burst, and the rest is not reported.
    assert 1 < repaired["count"] < times
    assert len(forebay.event_objects("sales")) < BURST
