"""The operator dies in the middle of much work, and goes on where it was."""

import json

from support.cluster.cluster import Cluster, Helm, is_ready
from support.cluster.tenant import Tenant
from support.timing.wait import eventually

COUNT = 50

OPERATOR = "app.kubernetes.io/component=operator"


async def test_killed_in_the_middle_of_fifty_endpoints_it_finishes_them(
    tenant: Tenant, cluster: Cluster, release: Helm
) -> None:
    names = [f"whe-{number:02d}" for number in range(COUNT)]

    async def ready() -> int:
        arguments = ("get", "webhookendpoints", "-n", tenant.namespace, "-o", "json")
        found = json.loads(await cluster.kubectl(*arguments))["items"]
        return sum(is_ready(each) for each in found)

    async def versions() -> dict[str, str]:
        arguments = ("get", "webhookendpoints", "-n", tenant.namespace, "-o", "json")
        endpoints = json.loads(await cluster.kubectl(*arguments))["items"]
        kinds = "secrets,services,networkpolicies,poddisruptionbudgets,serviceaccounts"
        made = await cluster.list(kinds, release.namespace, "forebay.dev/operator=forebay")
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
            for each in (*endpoints, *made)
        }

    async def kill() -> None:
        arguments = ("delete", "pods", "-n", release.namespace, "-l", OPERATOR)
        await cluster.kubectl(*arguments, "--grace-period=0", "--force")
        await cluster.wait_rolled("deployment", "forebay-operator", release.namespace)

    await cluster.apply(tenant.secret(), *(tenant.endpoint(name) for name in names))
    await eventually(ready, within=60, saying="the first to be ready")
    await kill()

    async def all_ready() -> bool:
        return await ready() == COUNT

    await eventually(all_ready, within=120, saying=f"all {COUNT} to be ready")
    tables = await cluster.list("secrets", release.namespace, "forebay.dev/operator=forebay")
    assert len(tables) == len({each["metadata"]["name"] for each in tables})

    before = await versions()
    await kill()

    async def has_looked_at_all() -> bool:
        pods = await cluster.list("pods", release.namespace, OPERATOR)
        (pod,) = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
        samples = await cluster.samples(pod["metadata"]["name"], release.namespace)
        looks = [each for each in samples if each.name == "forebay_operator_reconciles_total"]
        return sum(each.value for each in looks if each.labels["result"] == "ok") >= COUNT

    await eventually(has_looked_at_all, within=60, saying="the new operator to look at all of them")
    assert await all_ready()
    assert await versions() == before, "a restart with nothing to change wrote something"
