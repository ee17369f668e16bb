"""KEDA scales on the load that matters, and nothing shrinks for want of a figure.

    make e2e EXTRAS=keda E2E=tests/e2e/test_keda.py

Not among what CI runs of this level: a quarter of an hour.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from support.cluster.cluster import Cluster
from support.cluster.release import Release
from support.cluster.tenant import Tenant
from support.programs.command import CommandFailedError
from support.timing.wait import eventually

Json = Any

PROCESSORS: Final = "forebay-processors"
MOST: Final = 3
SCALED: Final = (
    "--set=processors.autoscaling.enabled=true",
    "--set=processors.autoscaling.min=1",
    f"--set=processors.autoscaling.max={MOST}",
    "--set=processors.autoscaling.scaleDownSeconds=10",
)
ITEMS: Final = 20_000
A_WEBHOOK: Final = 100
PLACES: Final = 24
"""Requests in flight, each of which takes 100 ms: 240 items a second however many processors there
are, which share them. So the backlog lasts for more than a minute."""

LOOK_SECONDS: Final = 1.0


class Replicas:
    """How many pods a Deployment was asked to have, looked at again and again."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        """Say whose."""
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self.seen: list[int] = []
        self.scalers: set[tuple[str, ...]] = set()
        """The autoscalers that held the target at one moment, each set of them once."""

    @property
    def now(self) -> int:
        """What was seen last."""
        return self.seen[-1]

    async def look(self) -> int:
        """Look once."""
        found = await self._cluster.get("deployment", self._name, self._namespace)
        self.seen.append(int(found["spec"]["replicas"]))
        holding = tuple(
            each["metadata"]["name"]
            for each in await self._cluster.list("hpa", self._namespace)
            if each["spec"]["scaleTargetRef"]["name"] == self._name
        )
        self.scalers.add(holding)
        return self.seen[-1]

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator["Replicas"]:
        """Look all the time, as long as the block takes."""
        await self.look()
        watching = asyncio.create_task(self._watch(), name="watch replicas")
        try:
            yield self
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        assert all(len(each) <= 1 for each in self.scalers), "two held one target"

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(CommandFailedError):  # a busy API server: looked at again
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def wait(self, least: int, most: int, *, within: float) -> None:
        """Wait until it is within these."""
        await eventually(
            lambda: least <= self.now <= most,
            within=within,
            saying=f"{self._name} to have {least} to {most} replicas (seen: {self.seen[-60:]})",
        )


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(cluster: Cluster, release: Release) -> AsyncIterator[Replicas]:
    """Give the processors of a release whose number KEDA sets, one of them."""
    try:
        await cluster.kubectl("get", "crd", "scaledobjects.keda.sh")
    except AssertionError:
        pytest.skip("KEDA is not there: make e2e EXTRAS=keda E2E=tests/e2e/test_keda.py")
    try:
        await release.upgrade(*SCALED)
        found = Replicas(cluster, release.namespace, PROCESSORS)
        async with found.watched():
            await scaled_by_keda(cluster, release.namespace, PROCESSORS)
            await found.wait(1, 1, within=300)
            yield found
    finally:
        # The release is that of all tests: also after one that failed and had taken the operator.
        await release.upgrade()


async def scaled_by_keda(cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until KEDA has the one autoscaler of a Deployment, and reads what it follows."""

    async def is_ready() -> bool:
        found = await cluster.list("scaledobjects", namespace)
        (own,) = [each for each in found if each["metadata"]["name"] == name] or [{}]
        conditions = own.get("status", {}).get("conditions") or ()
        is_well = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        owners = [
            owner["kind"]
            for each in await cluster.list("hpa", namespace)
            if each["metadata"]["name"] == name
            for owner in each["metadata"].get("ownerReferences", ())
        ]
        return is_well and owners == ["ScaledObject"]

    await eventually(is_ready, within=120, saying=f"KEDA to scale {name}")


async def figure(cluster: Cluster, namespace: str, name: str, metric: str) -> Json:
    """Return what KEDA's metrics server says, as an autoscaler asks it."""
    path = (
        f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}"
        f"?labelSelector=scaledobject.keda.sh%2Fname%3D{name}"
    )
    return json.loads(await cluster.kubectl("get", "--raw", path))["items"][0]["value"]


@pytest.mark.timeout(900)
async def test_a_backlog_raises_processors_and_what_is_dead_or_unknown_changes_nothing(
    tenant: Tenant, cluster: Cluster, release: Release, replicas: Replicas
) -> None:
    sink = tenant.sink
    await sink.answer("dead", 503)
    await sink.answer("slow", 200, seconds=0.1)
    retry = {"initialDelay": "30s", "maxDelay": "60s"}
    places = {"maxInFlight": PLACES}
    dead = {"name": "dead", "http": {"url": sink.path("dead")}, "retry": retry}
    slow = {"name": "slow", "http": {"url": sink.path("slow"), **places}}
    await cluster.apply(
        tenant.secret(),
        tenant.endpoint("dead", destinations=[dead]),
        tenant.endpoint("slow", destinations=[slow]),
    )
    for name in ("dead", "slow"):
        await cluster.wait_ready(name, tenant.namespace, within=60)

    # What waits for a dead destination raises nothing, though it is more than a pod is to have.
    traffic = await tenant.traffic("dead")
    traffic.items = 5
    async with traffic.flowing(40):
        await eventually(lambda: len(traffic.keys) >= 4_000, within=60, saying="a backlog")

    async def is_parked() -> bool:
        endpoint = await cluster.get("webhookendpoint", "dead", tenant.namespace)
        return int(endpoint["status"]["backlog"]["items"]) >= 3_500

    await eventually(is_parked, within=60, saying="the status to say so")
    begun = len(replicas.seen)
    await asyncio.sleep(40)  # several times as often as KEDA and the autoscaler look
    assert set(replicas.seen[begun:]) == {1}
    assert await figure(cluster, release.namespace, PROCESSORS, "s0-metric-api-items") == "0"

    # A backlog of a slow one does.
    traffic = await tenant.traffic("slow")
    traffic.items = A_WEBHOOK
    await traffic.send(ITEMS // A_WEBHOOK)
    assert len(traffic.keys) == ITEMS, traffic.answers
    await replicas.wait(3, MOST, within=90)

    # With the operator gone there is no figure, and nothing goes.
    await cluster.kubectl(
        "scale", "deployment/forebay-operator", "-n", release.namespace, "--replicas=0"
    )
    begun = len(replicas.seen)
    await sink.wait_keys(traffic.keys, within=240)
    await asyncio.sleep(45)  # far longer than load has to stay low
    without = replicas.seen[begun:]
    assert without == sorted(without), "it shrank without a figure"

    # It comes back, and what is not needed goes.
    await cluster.kubectl(
        "scale", "deployment/forebay-operator", "-n", release.namespace, "--replicas=1"
    )
    await replicas.wait(1, 1, within=60 * MOST + 90)


@pytest.mark.timeout(600)
async def test_keda_reads_receivers_themselves_and_hands_them_over_without_losing_a_pod(
    tenant: Tenant, cluster: Cluster, release: Release, replicas: Replicas
) -> None:
    receivers = Replicas(cluster, release.namespace, "forebay-receivers")
    await scaled_by_keda(cluster, release.namespace, "forebay-receivers")
    value = await figure(cluster, release.namespace, "forebay-receivers", "s0-metric-api-in_flight")
    assert value.isdecimal(), "the sum of the pods' own figures"
    await cluster.apply(tenant.secret(), tenant.endpoint())
    await cluster.wait_ready("meta", tenant.namespace, within=60)
    traffic = await tenant.traffic()
    async with receivers.watched(), traffic.flowing(50):
        floor = receivers.now
        await release.upgrade(*SCALED, "--set=keda.enabled=false")

        async def is_ours() -> bool:
            found = [
                each
                for each in await cluster.list("hpa", release.namespace)
                if each["metadata"]["name"] in {"forebay-receivers", PROCESSORS}
            ]
            return len(found) == 2 and all(
                "forebay.dev/operator" in each["metadata"]["labels"]
                and "ownerReferences" not in each["metadata"]
                for each in found
            )

        await eventually(is_ours, within=120, saying="autoscalers on CPU")
        assert await cluster.list("scaledobjects", release.namespace) == []
        await release.upgrade(*SCALED)
        for name in ("forebay-receivers", PROCESSORS):
            await scaled_by_keda(cluster, release.namespace, name)
    assert min(receivers.seen) == floor
    assert min(replicas.seen) >= 1
    assert traffic.answers == {200: traffic.accepted}, traffic.answers
