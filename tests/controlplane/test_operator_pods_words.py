"""What pods say of themselves becomes conditions: tables, open breakers, warnings."""

import contextlib
from collections.abc import AsyncIterator

from support.operator.operator_process import Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually

SHARED = {"isolation": "Shared"}
TOO_SMALL = "max_payload of NATS is 1048576, larger webhooks get 503: set it to 8388608 or more"


@contextlib.asynccontextmanager
async def pods(forebay: Forebay, **pools: str) -> AsyncIterator[dict[str, PlayedPod]]:
    """Play pods: names and the pool that each belongs to."""
    played = {name: PlayedPod(forebay, name, {"pool": pool}) for name, pool in pools.items()}
    for pod in played.values():
        await pod.start()
    try:
        yield played
    finally:
        for pod in played.values():
            await pod.stop()


def version(forebay: Forebay, name: str) -> str:
    return str((forebay.endpoint(name) or {})["metadata"]["resourceVersion"])


def event_types(forebay: Forebay, name: str, reason: str) -> list[str]:
    return [each["type"] for each in forebay.event_objects(name) if each["reason"] == reason]


async def test_every_processor_has_to_have_the_table(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", receiver=SHARED))
    async with pods(forebay, r="receivers", one="processors", two="processors") as played:
        played["two"].is_slow = True
        await forebay.operator().start()
        await forebay.wait_condition("sales", "ProcessorsReady", "TablePending")
        await eventually(
            lambda: (
                (forebay.endpoint("sales") or {})["status"]["processors"]
                == {"ready": 1, "total": 2}
            ),
            saying="one of two to have it",
        )
        assert forebay.condition("sales", "Ready")["status"] == "False"

        played["two"].is_slow = False
        await forebay.wait_condition("sales", "ProcessorsReady", "ProcessorsWork")
        await forebay.wait_condition("sales", "Ready", "Ready")
        assert (forebay.endpoint("sales") or {})["status"]["processors"]["ready"] == 2


async def test_an_open_breaker_of_any_processor_is_reported(forebay: Forebay) -> None:
    forebay.secret()
    for name in ("sales", "support"):
        forebay.apply(manifest(forebay.tenant, name, receiver=SHARED))
    async with pods(forebay, r="receivers", one="processors", two="processors") as played:
        await forebay.operator().start()
        for name in ("sales", "support"):
            await forebay.wait_condition(name, "DestinationsHealthy", "NoBreakerOpen")
            await forebay.wait_condition(name, "Ready", "Ready")

        breaker: dict[str, str | int] = {
            "namespace": forebay.tenant,
            "endpoint": "sales",
            "destination": "log",
            "state": "Open",
            "reason": "503",
            "parked": 1,
        }
        played["two"].breakers = [breaker]
        condition = await forebay.wait_condition("sales", "DestinationsHealthy", "BreakerOpen")
        assert condition["status"] == "False"
        assert "nothing gets through to 'log' (503)" in condition["message"]
        await eventually(
            lambda: event_types(forebay, "sales", "BreakerOpen") == ["Warning"], saying="the Event"
        )
        assert forebay.condition("sales", "Ready")["status"] == "True"

        # What changes with every item and every probe is not written.
        written = version(forebay, "sales")
        played["one"].breakers = [breaker | {"state": "Probing", "parked": 70}]
        played["two"].breakers = [breaker | {"parked": 80}]
        seen = played["two"].asked
        await eventually(lambda: played["two"].asked > seen + 3, saying="some looks")
        assert version(forebay, "sales") == written
        assert forebay.condition("support", "DestinationsHealthy")["status"] == "True"

        played["one"].breakers = [breaker | {"state": "Refused", "reason": "401"}]
        refused = "DestinationRefuses"
        condition = await forebay.wait_condition("sales", "DestinationsHealthy", refused)
        assert "we are refused by 'log' (401)" in condition["message"]
        assert version(forebay, "sales") != written

        for name in ("one", "two"):
            played[name].breakers = []
        await forebay.wait_condition("sales", "DestinationsHealthy", "NoBreakerOpen")
        await eventually(
            lambda: event_types(forebay, "sales", "NoBreakerOpen") == ["Normal"], saying="the Event"
        )
        assert event_types(forebay, "support", "NoBreakerOpen") == []


async def test_what_receivers_warn_of_is_reported(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", receiver=SHARED))
    async with pods(forebay, one="receivers", two="receivers", p="processors") as played:
        for name in ("one", "two"):
            played[name].warnings = [TOO_SMALL]
        await forebay.operator().start()
        condition = await forebay.wait_condition("sales", "ReceiversReady", "ReceiversWarn")
        assert condition["status"] == "True"
        assert condition["message"].count(TOO_SMALL) == 1
        await forebay.wait_condition("sales", "Ready", "Ready")
        await eventually(
            lambda: event_types(forebay, "sales", "ReceiversWarn") == ["Warning"],
            saying="the Event",
        )
        assert "max_payload" in forebay.events("sales")["ReceiversWarn"]

        for name in ("one", "two"):
            played[name].warnings = []
        await forebay.wait_condition("sales", "ReceiversReady", "ReceiversServe")
