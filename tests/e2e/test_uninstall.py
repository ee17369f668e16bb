"""`helm uninstall` with endpoints present ends cleanly, and an install takes them up again."""

from support.cluster.cluster import Cluster, Helm
from support.cluster.tenant import Tenant


async def test_endpoints_and_volumes_outlive_the_release(
    tenant: Tenant, cluster: Cluster, release: Helm
) -> None:
    await cluster.apply(tenant.secret(), tenant.endpoint(isolation="Dedicated", paused=True))
    await cluster.wait_ready("meta", tenant.namespace)
    traffic = await tenant.traffic(shared=False)
    await traffic.send(20)
    assert traffic.accepted == 20

    await release.uninstall()

    endpoint = await cluster.get("webhookendpoint", "meta", tenant.namespace)
    assert "finalizers" not in endpoint["metadata"]
    await cluster.get("pvc", "data-forebay-nats-0", release.namespace)
    left = await cluster.list("deployment,service", release.namespace, tenant.labels("meta"))
    assert not left

    await release.install()
    await cluster.apply(tenant.endpoint(isolation="Dedicated", paused=False))
    await cluster.wait_ready("meta", tenant.namespace, within=60)
    await tenant.sink.wait_for(20)
