"""Upgrades under load: no answer but 200 while parts roll; honest 503 while one NATS rolls."""

import pytest

from support.cluster.cluster import Cluster, Helm
from support.cluster.cluster_nats import ClusterNats
from support.cluster.tenant import Tenant
from support.timing.wait import eventually

RATE = 100
"""Webhooks a second."""

BACKLOG = 200
"""Webhooks that wait in each stream when the upgrade begins."""

PAUSE_SECONDS = 240
"""Longer than the test."""

LATE_CHECKS = (
    "--set=operator.limits.resyncSeconds=3600",
    "--set-string=processors.env.FOREBAY_PROCESSOR_STREAM_CHECK_SECONDS=3600",
)
"""Paused consumers stay so: processors end a pause at their next check, every few seconds."""


@pytest.mark.timeout(240)
async def test_upgrade_and_rollback_with_a_backlog_in_all_streams(
    tenant: Tenant, cluster: Cluster, release: Helm
) -> None:
    retry = {"initialDelay": "500ms", "maxDelay": "2s"}
    refusing = {"name": "refusing", "http": {"url": tenant.sink.path("refusing")}}
    ill = {"name": "ill", "http": {"url": tenant.sink.path("ill")}, "retry": retry}
    names = ("meta", "refused", "failing", "split", "unsplit")
    await tenant.sink.answer("refusing", 400)
    await tenant.sink.answer("ill", 503)
    await cluster.apply(
        tenant.secret(),
        tenant.endpoint("meta"),
        tenant.endpoint("refused", destinations=[refusing]),
        tenant.endpoint("failing", destinations=[ill]),
        tenant.endpoint("split"),
        tenant.endpoint("unsplit"),
    )
    first = await release.revision()
    await release.upgrade(*LATE_CHECKS)
    for name in names:
        await cluster.wait_ready(name, tenant.namespace)
    traffic, refused, failing, split, unsplit = [await tenant.traffic(name) for name in names]

    async with ClusterNats(cluster, release.namespace) as store, store.pausing():
        # DEAD: an answer that means never. RETRY: a destination that is ill. EVENTS: split and not
        # handed out. RAW: not even split.
        for each in (refused, failing):
            await each.send(BACKLOG)
        await _holds(store, tenant, "DEAD", BACKLOG)
        await _holds(store, tenant, "RETRY", BACKLOG)
        await _is_behind(store, "EVENTS", 0)
        await store.pause("EVENTS", PAUSE_SECONDS)
        await split.send(BACKLOG)
        await _holds(store, tenant, "EVENTS", 3 * BACKLOG)
        await _is_behind(store, "RAW", 0)
        await store.pause("RAW", PAUSE_SECONDS)
        await unsplit.send(BACKLOG)
        assert await store.behind("RAW") == BACKLOG, "webhooks that nobody split"
        assert await store.behind("EVENTS") == BACKLOG, "items that nobody delivered"
        held = await store.held(tenant.namespace)
        assert (held["RETRY"], held["DEAD"]) == (BACKLOG, BACKLOG)

        async with traffic.flowing(RATE):
            await eventually(lambda: traffic.accepted > RATE, saying="traffic")
            # Every part's pods change with it. The new operator and processors end the pauses, as
            # anything else that consumers should not have.
            await release.upgrade("--set", "log.level=debug")
            await store.pause("EVENTS", 0)
            await store.pause("RAW", 0)
            # Both would take everything now: what is dead stays so, what failed comes.
            for path in ("ill", "refusing"):
                await tenant.sink.answer(path, 200)
            # The backlog is worked off while all rolls back.
            await release.rollback(first)

        sent = (traffic, refused, failing, split, unsplit)
        for each in sent:
            assert each.answers == {200: each.accepted}, f"slowest {each.slowest:.1f} s"
        wanted = set().union(*(each.keys for each in sent)) - refused.keys
        await tenant.sink.wait_keys(wanted)
        assert not refused.keys & (await tenant.sink.arrivals()).keys()
        await _holds(store, tenant, "RETRY", 0)
        await _holds(store, tenant, "DEAD", BACKLOG)


async def _is_behind(store: ClusterNats, stream: str, count: int) -> None:
    async def look() -> bool:
        return await store.behind(stream) == count

    await eventually(look, within=30, saying=f"{count} messages of {stream} to wait")


async def _holds(store: ClusterNats, tenant: Tenant, stream: str, count: int) -> None:
    async def look() -> bool:
        return (await store.held(tenant.namespace))[stream] == count

    await eventually(look, within=30, saying=f"{count} of the test's messages in {stream}")


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
    await tenant.sink.wait_keys(traffic.keys)
