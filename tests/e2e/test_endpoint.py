"""`kubectl apply` makes an endpoint, and webhooks flow to a destination that runs as a pod."""

import pytest

from support.cluster.chart import CHART
from support.cluster.cluster import Cluster
from support.cluster.cluster_nats import ClusterNats
from support.cluster.tenant import SECRET, Tenant
from support.timing.wait import eventually

EXAMPLES = CHART.parents[1] / "examples"


@pytest.mark.parametrize("isolation", ["Shared", "Dedicated"])
async def test_signed_webhooks_are_answered_200_and_reach_the_destination(
    tenant: Tenant, isolation: str
) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint(isolation=isolation))
    await tenant.cluster.wait_ready("meta", tenant.namespace, within=30)
    traffic = await tenant.traffic(shared=isolation == "Shared")
    await traffic.send(50)
    assert traffic.answers == {200: 50}
    await tenant.sink.wait_for(50)
    async with ClusterNats(tenant.cluster, tenant.forebay) as store:

        async def is_worked_off() -> bool:
            return await store.behind("RAW") + await store.behind("EVENTS") == 0

        # From then on nothing can come twice.
        await eventually(is_worked_off, saying="nothing to be left")
    assert await tenant.sink.arrivals() == dict.fromkeys(traffic.keys, 1)


async def test_a_wrong_signature_is_refused(tenant: Tenant) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint())
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    traffic = await tenant.traffic()
    traffic.secret = "another-secret"
    await traffic.send(3)
    assert traffic.answers == {401: 3}
    traffic.secret = SECRET
    await traffic.send(1)
    # What the endpoint got later is there, and nothing else.
    assert (await tenant.sink.wait_for(1)).keys() == traffic.keys


async def test_get_shows_url_readiness_and_backlog(tenant: Tenant) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint())
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    table = await tenant.cluster.kubectl("get", "whe", "-n", tenant.namespace)
    heads, row = table.splitlines()
    assert heads.split() == ["NAME", "URL", "READY", "RECEIVERS", "BACKLOG", "AGE"]
    name, url, ready, _, backlog, _ = row.split()
    assert url.endswith(f"/v1/webhooks/{tenant.namespace}/meta")
    assert (name, ready, backlog) == ("meta", "True", "0")


async def test_describe_shows_what_happened(tenant: Tenant) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint())
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    story = await tenant.cluster.kubectl("describe", "whe", "meta", "-n", tenant.namespace)
    events = story[story.index("Events:") :]
    for reason in ("Accepted", "SecretsFound", "Ready"):
        assert reason in events


async def test_the_examples_are_ready_within_half_a_minute(
    cluster: Cluster, tenant: Tenant
) -> None:
    for name in ("meta", "d360"):
        text = (EXAMPLES / f"{name}.yaml").read_text()
        text = text.replace("namespace: demo", f"namespace: {tenant.namespace}")
        await cluster.kubectl("apply", "-f", "-", text=text)
    for name in ("meta", "d360"):
        await cluster.wait_ready(name, tenant.namespace, within=30)
