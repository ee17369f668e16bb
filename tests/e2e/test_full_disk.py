"""NATS' disk is full, and has room again: its probe starts it anew, and webhooks are taken."""

import pytest

from support.cluster.cluster import Cluster, Helm
from support.cluster.small_volume import SmallVolume
from support.cluster.tenant import Tenant
from support.timing.wait import eventually

RATE = 20
"""Webhooks a second."""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("room", ["before the restart", "after the restart"])
async def test_a_server_whose_disk_was_full_is_healed_and_nothing_is_lost(
    tenant: Tenant, cluster: Cluster, release: Helm, room: str
) -> None:
    volume = SmallVolume(cluster, release=release.namespace, tenant=tenant.namespace, mebibytes=48)
    try:
        await volume.begin()
        await cluster.apply(tenant.secret(), tenant.endpoint())
        await cluster.wait_ready("meta", tenant.namespace, within=60)
        traffic = await tenant.traffic()
        before = await volume.restarts()

        async def restarted() -> bool:
            return await volume.restarts() > before

        async with traffic.flowing(RATE):
            await eventually(lambda: traffic.accepted > RATE, saying="traffic")
            await volume.fill()
            await eventually(lambda: traffic.answers[503] > RATE, saying="honest answers")
            there = traffic.accepted
            if room == "before the restart":
                await volume.make_room()
            await eventually(restarted, within=90, saying="the probe to start NATS anew")
            if room == "after the restart":
                await volume.make_room()
            await eventually(lambda: traffic.accepted > there + RATE, within=60, saying="200 again")
        assert await volume.is_killed_by_probe()
        assert traffic.answers.keys() <= {200, 503}, traffic.answers
        await tenant.sink.wait_keys(traffic.keys)
    finally:
        await volume.end()
