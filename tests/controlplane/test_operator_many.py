"""Many endpoints at once, and endpoints with a backlog, cost the API server few writes."""

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import RetrySubject
from support.nats.nats_server import NatsServer
from support.operator.operator_process import ENDPOINTS, Forebay, Operator, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually

COUNT = 60
SHARED = {"isolation": "Shared"}


async def pods_of(forebay: Forebay) -> list[PlayedPod]:
    """Let a pod of each shared pool be there."""
    found = []
    for pool in ("receivers", "processors"):
        pod = PlayedPod(forebay, pool, {"pool": pool})
        await pod.start()
        found.append(pod)
    return found


async def polled_at(pods: list[PlayedPod], times: int) -> None:
    """Wait until the operator polled at all endpoints so many times more."""
    processor = pods[1]
    before = processor.asked
    await eventually(
        lambda: processor.asked >= before + times, within=30, saying="the operator to poll"
    )


def all_are_ready(forebay: Forebay) -> bool:
    listed = forebay.api.items(f"{ENDPOINTS}/webhookendpoints")
    ready = [
        each["type"] == "Ready" and each["status"] == "True"
        for endpoint in listed
        for each in (endpoint.get("status") or {}).get("conditions") or ()
        if each["type"] == "Ready"
    ]
    return len(ready) == len(listed) and all(ready)


def tables_written(operator: Operator) -> int:
    return len(operator.events("table_written"))


@pytest.mark.timeout(120)
async def test_tables_are_written_for_many_at_once_and_all_are_gone_as_quickly(
    forebay: Forebay,
) -> None:
    pods = await pods_of(forebay)
    try:
        forebay.secret()
        for number in range(COUNT):
            forebay.apply(manifest(forebay.tenant, f"e{number}", receiver=SHARED))
        operator = forebay.operator(tables={"count": 2})
        await operator.start()
        await eventually(lambda: all_are_ready(forebay), within=60, saying="all to be ready")
        # Two tables of each pool, of which the first entry is written at once.
        assert tables_written(operator) <= COUNT // 3
        listed = [
            each["name"] for table in forebay.tables("processors") for each in table["endpoints"]
        ]
        assert sorted(listed) == sorted(f"e{number}" for number in range(COUNT))

        before = tables_written(operator)
        for number in range(COUNT):
            forebay.delete(f"e{number}")
        await eventually(
            lambda: not forebay.api.items(f"{ENDPOINTS}/webhookendpoints"),
            within=60,
            saying="all to be gone",
        )
        assert tables_written(operator) - before <= COUNT // 3
        assert [each["endpoints"] for each in forebay.tables("processors")] == [[], []]
        assert [each["routes"] for each in forebay.tables("receivers")] == [[], []]
    finally:
        for pod in pods:
            await pod.stop()


@pytest.mark.timeout(120)
async def test_a_backlog_that_stands_is_written_in_steps(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    pods = await pods_of(forebay)
    try:
        forebay.secret()
        own = EndpointName(forebay.tenant, "sales")
        forebay.apply(manifest(*own, receiver=SHARED))
        # A poll a second: what was written at every one would be written a dozen times.
        await forebay.operator().start()
        await eventually(lambda: all_are_ready(forebay), within=30, saying="it to be ready")
        async with nats_server.client() as client:
            row = RetrySubject("0", 3, "replay", own, "log", "c0", "a0")
            await client.jetstream().publish(str(row), b"{}")
        await eventually(lambda: backlog(forebay) == 1, saying="the backlog to be reported")
        seen = set[str]()
        for _ in range(12):
            await polled_at(pods, 1)
            seen.add(version_of(forebay))
        # Of 1, 2, 5 and 10 s, and six polls between two of them.
        assert 1 <= len(seen) <= 3
        status = (forebay.endpoint("sales") or {})["status"]
        assert status["backlog"]["items"] == 1
        assert status["backlog"]["oldestSeconds"] in {2, 5, 10}
    finally:
        for pod in pods:
            await pod.stop()


def backlog(forebay: Forebay) -> int:
    status = (forebay.endpoint("sales") or {}).get("status") or {}
    return int((status.get("backlog") or {}).get("items", 0))


def version_of(forebay: Forebay) -> str:
    return str((forebay.endpoint("sales") or {})["metadata"]["resourceVersion"])


@pytest.mark.timeout(60)
async def test_ready_endpoints_are_not_passed_while_nothing_happens(forebay: Forebay) -> None:
    pods = await pods_of(forebay)
    try:
        forebay.secret()
        for number in range(5):
            forebay.apply(manifest(forebay.tenant, f"e{number}", receiver=SHARED))
        operator = forebay.operator()
        await operator.start()
        await eventually(lambda: all_are_ready(forebay), within=30, saying="all to be ready")
        await polled_at(pods, 2)
        before = await passes(operator)
        await polled_at(pods, 5)
        assert await passes(operator) - before <= 2
    finally:
        for pod in pods:
            await pod.stop()


async def passes(operator: Operator) -> float:
    lines = (await operator.metrics()).splitlines()
    found = [each for each in lines if each.startswith("forebay_operator_reconciles_total{")]
    return sum(float(each.rpartition(" ")[2]) for each in found)
