"""Upgrades under load: no answer but 200 while parts roll; honest 503 while one NATS rolls."""

from support.cluster import Cluster, Helm
from support.tenant import Tenant
from support.wait import eventually

RATE = 100
"""Webhooks a second."""

PAUSE = '{"spec": {"paused": %s}}'


async def test_parts_roll_without_one_answer_but_200_and_nothing_is_lost(
    tenant: Tenant, cluster: Cluster, release: Helm
) -> None:
    await cluster.apply(tenant.secret(), tenant.endpoint())
    # And one that holds a backlog in all streams: what it was sent waits until it goes on.
    await cluster.apply(tenant.endpoint("waiting", paused=True))
    await cluster.wait_ready("meta", tenant.namespace)
    await cluster.wait_ready("waiting", tenant.namespace)
    backlog = await tenant.traffic("waiting")
    await backlog.send(200)
    traffic = await tenant.traffic()
    async with traffic.flowing(RATE):
        await eventually(lambda: traffic.accepted > RATE, saying="traffic")
        # Every part's pods change with it.
        await release.upgrade("--set", "log.level=debug")
        await release.rollback()
    assert traffic.answers == {200: traffic.accepted}, f"slowest {traffic.slowest:.1f} s"
    assert backlog.answers == {200: 200}
    await cluster.kubectl(
        *("patch", "webhookendpoint", "waiting", "-n", tenant.namespace, "--type=merge"),
        *("-p", PAUSE % "false"),
    )
    await tenant.sink.wait_for(traffic.accepted + 200, within=60)


async def test_nats_rolls_with_200_and_503_only_and_nothing_is_lost(
    tenant: Tenant, cluster: Cluster, release: Helm
) -> None:
    await cluster.apply(tenant.secret(), tenant.endpoint())
    await cluster.wait_ready("meta", tenant.namespace)
    traffic = await tenant.traffic()
    async with traffic.flowing(RATE):
        await eventually(lambda: traffic.accepted > RATE, saying="traffic")
        await cluster.kubectl(
            "rollout", "restart", "statefulset/forebay-nats", "-n", release.namespace
        )
        await cluster.wait_rolled("statefulset", "forebay-nats", release.namespace)
        there = traffic.accepted
        await eventually(lambda: traffic.accepted > there + RATE, within=20, saying="200 again")
    assert traffic.answers.keys() <= {200, 503}, traffic.answers
    await tenant.sink.wait_for(traffic.accepted, within=60)
