"""Load raises a Dedicated endpoint's receivers by the real autoscaler, and they go again."""

import pytest

from support.cluster.cluster import Cluster
from support.cluster.tenant import Tenant
from support.timing.wait import eventually

THROUGHPUT = {"messagesPerSecond": 130, "replyRatio": 0.3}
"""What the endpoint says of itself: 429 webhooks/s by the provider's formula. A receiver holds two
seconds' worth of that at once, so that the only receiver that there is at first bears it when NATS
or the machine stands still for a moment. An endpoint that gets more than it declares is refused
(`endpoint_overloaded`)."""

RESOURCES = {"requests": {"cpu": "30m", "memory": "64Mi"}}
"""60 % of it, 18m, is what the autoscaler wants of a receiver: two that are idle, 5m to 6m each,
have to be clearly below that together, or they never become one."""

RATE = 300
"""Webhooks a second: about 30m of CPU."""


@pytest.mark.timeout(400)
async def test_receivers_come_and_go_with_the_load_and_every_answer_is_200(
    tenant: Tenant, cluster: Cluster
) -> None:
    receiver = {"isolation": "Dedicated", "replicas": {"min": 1, "max": 3}, "resources": RESOURCES}
    await cluster.apply(tenant.secret(), tenant.endpoint(receiver=receiver, throughput=THROUGHPUT))
    await cluster.wait_ready("meta", tenant.namespace)

    async def pods() -> int:
        (found,) = await cluster.list("deployment", tenant.forebay, tenant.labels("meta"))
        return int(found["status"].get("readyReplicas", 0))

    async def more() -> bool:
        return await pods() > 1

    async def one() -> bool:
        return await pods() == 1

    traffic = await tenant.traffic(shared=False)
    async with traffic.flowing(RATE):
        await eventually(more, within=120, saying="a second receiver")
    refused = await tenant.refusals("meta")
    async with traffic.flowing(5):
        await eventually(one, within=180, saying="one receiver again")
    seen = f"slowest {traffic.slowest:.1f} s, refused: {refused}"
    assert traffic.answers == {200: traffic.accepted}, seen
    await tenant.sink.wait_keys(traffic.keys)
