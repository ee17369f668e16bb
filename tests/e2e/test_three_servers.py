"""Three servers of NATS, as shipped: they roll one after the other at load, and nothing is lost.

The long form: `make e2e-long`. Each server hands its clients over for half a minute.
"""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.cluster.cluster import Cluster, Helm
from support.cluster.cluster_nats import ClusterNats
from support.cluster.release import Release, fresh_release
from support.cluster.tenant import Tenant
from support.timing.wait import eventually

RATE = 100
"""Webhooks a second."""

THREE = ("--set", "nats.replicas=3", "--set", "nats.syncInterval=always")

pytestmark = pytest.mark.long


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def three(cluster: Cluster) -> AsyncIterator[Release]:
    """Give a fresh release with three servers."""
    release = await fresh_release(cluster, *THREE)
    yield release
    await release.uninstall()


@pytest_asyncio.fixture(loop_scope="session")
async def own(cluster: Cluster, three: Release) -> AsyncIterator[Tenant]:
    """Give a namespace of the test's own, with a sink in it."""
    async with Tenant.running(cluster, three.namespace) as tenant:
        yield tenant


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["rollout restart", "helm upgrade"])
async def test_servers_roll_and_nothing_is_lost(
    own: Tenant, cluster: Cluster, three: Helm, way: str
) -> None:
    await cluster.apply(own.secret(), own.endpoint())
    await cluster.wait_ready("meta", own.namespace, within=60)
    traffic = await own.traffic()
    async with traffic.flowing(RATE):
        await eventually(lambda: traffic.accepted > RATE, saying="traffic")
        began = time.monotonic()
        if way == "rollout restart":
            servers = ("statefulset/forebay-nats", "-n", three.namespace)
            await cluster.kubectl("rollout", "restart", *servers)
            await cluster.kubectl("rollout", "status", *servers, "--timeout=400s", within=410)
        else:
            changed = ("--set-string", "nats.podAnnotations.example\\.com/round=2")
            await three.upgrade(*THREE, *changed)
        seconds = time.monotonic() - began
        there = traffic.accepted
        await eventually(lambda: traffic.accepted > there + RATE, within=20, saying="200 still")
    print(  # noqa: T201  # the result that docs/results has
        f"{way}: {seconds:.0f} s, answers {dict(traffic.answers)}, slowest "
        f"{traffic.slowest:.2f} s, refused {await own.refusals('meta', shared=True)}"
    )
    assert traffic.answers.keys() <= {200, 503}, traffic.answers
    await own.sink.wait_keys(traffic.keys)
    async with ClusterNats(cluster, three.namespace) as store:
        assert await store.replicas() == {"RAW": 3, "EVENTS": 3, "RETRY": 3, "DEAD": 3}
