"""Objects follow the spec, come back when they are lost, and go with it."""

import json

from support.cluster.cluster_nats import ClusterNats
from support.cluster.tenant import SECRET, Tenant
from support.timing.wait import eventually

MADE = "deployment,service,horizontalpodautoscaler,poddisruptionbudget,networkpolicy,serviceaccount"


async def kinds(tenant: Tenant, name: str = "meta") -> set[str]:
    """Return the kinds of what is there for an endpoint."""
    found = await tenant.cluster.list(MADE, tenant.forebay, tenant.labels(name))
    return {each["kind"] for each in found}


async def test_objects_follow_the_spec(tenant: Tenant) -> None:
    replicas = {"isolation": "Dedicated", "replicas": {"min": 1, "max": 2}}
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint(receiver=replicas))
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    changed = {"isolation": "Dedicated", "replicas": {"min": 2, "max": 5}}
    await tenant.cluster.apply(tenant.endpoint(receiver=changed))

    async def bounds() -> bool:
        (scaler,) = await tenant.cluster.list(
            "horizontalpodautoscaler", tenant.forebay, tenant.labels("meta")
        )
        return (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 5)

    await eventually(bounds, within=20, saying="the autoscaler's new bounds")
    await tenant.cluster.wait_ready("meta", tenant.namespace)


async def test_a_child_that_was_deleted_by_hand_comes_back(tenant: Tenant) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint(isolation="Dedicated"))
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    before = await kinds(tenant)
    assert "Service" in before
    for kind in ("service", "poddisruptionbudget", "deployment"):
        await tenant.cluster.kubectl(
            "delete", kind, "-n", tenant.forebay, "-l", tenant.labels("meta")
        )

    async def repaired() -> bool:
        return await kinds(tenant) == before

    await eventually(repaired, within=20, saying="all objects to be there again")
    await tenant.cluster.wait_ready("meta", tenant.namespace)


async def test_a_field_that_was_changed_by_hand_is_put_right(tenant: Tenant) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint(isolation="Dedicated"))
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    (service,) = await tenant.cluster.list("service", tenant.forebay, tenant.labels("meta"))
    patch = json.dumps({"spec": {"selector": {"forebay.dev/endpoint-name": "another"}}})
    name = service["metadata"]["name"]
    await tenant.cluster.kubectl("patch", "service", name, "-n", tenant.forebay, "-p", patch)

    async def repaired() -> bool:
        found = await tenant.cluster.get("service", name, tenant.forebay)
        return bool(found["spec"]["selector"] == service["spec"]["selector"])

    await eventually(repaired, within=20, saying="the selector to be right again")


async def test_a_secret_rotates_without_one_refused_webhook(tenant: Tenant) -> None:
    cluster = tenant.cluster
    await cluster.apply(tenant.secret(), tenant.endpoint())
    await cluster.wait_ready("meta", tenant.namespace)
    pods = await cluster.list("pods", tenant.forebay, "app.kubernetes.io/component=receivers")
    traffic = await tenant.traffic()
    async with traffic.flowing(rate=50):
        await cluster.apply(tenant.secret(next_secret="example-next-secret"))
        await cluster.apply(tenant.endpoint(keys=("app-secret", "next-secret")))
        await cluster.wait_ready("meta", tenant.namespace)
        traffic.secret = "example-next-secret"
        await eventually(lambda: traffic.accepted > 200, saying="webhooks with the new secret")
        # What was in flight with the old one has its answer by now.
        await cluster.apply(tenant.endpoint(keys=("next-secret",)))
        await cluster.wait_ready("meta", tenant.namespace)
    assert traffic.answers == {200: traffic.accepted}
    traffic.secret = SECRET
    await traffic.send(1)
    assert traffic.answers[401] == 1
    after = await cluster.list("pods", tenant.forebay, "app.kubernetes.io/component=receivers")
    started = [{each["metadata"]["uid"] for each in found} for found in (pods, after)]
    assert started[0] == started[1], "no receiver was started anew"
    await tenant.sink.wait_for(traffic.accepted)


async def test_a_changed_value_of_a_secret_needs_no_edit(tenant: Tenant) -> None:
    await tenant.cluster.apply(tenant.secret(), tenant.endpoint())
    await tenant.cluster.wait_ready("meta", tenant.namespace)
    traffic = await tenant.traffic()
    await tenant.cluster.apply(tenant.secret(app_secret="example-other-secret"))
    traffic.secret = "example-other-secret"

    async def taken() -> bool:
        await traffic.send(1)
        return traffic.accepted > 0

    await eventually(taken, within=20, saying="the new value to be in force")


async def test_a_deleted_endpoint_leaves_nothing_but_its_dead_letters(tenant: Tenant) -> None:
    cluster = tenant.cluster
    gone = {"name": "gone", "http": {"url": "http://nobody.invalid:1/"}}
    endpoint = tenant.endpoint(isolation="Dedicated", destinations=[gone])
    endpoint["spec"]["destinations"][0]["retry"] = {"initialDelay": "100ms", "maxAge": "3s"}
    await cluster.apply(tenant.secret(), endpoint)
    await cluster.wait_ready("meta", tenant.namespace)
    traffic = await tenant.traffic(shared=False)
    await traffic.send(5)
    async with ClusterNats(cluster, tenant.forebay) as store:

        async def all_dead() -> bool:
            return (await store.held(tenant.namespace))["DEAD"] == 5

        await eventually(all_dead, within=30, saying="5 dead letters")
        await cluster.delete("webhookendpoint", "meta", tenant.namespace, within=40)
        assert await kinds(tenant) == set()
        held = await store.held(tenant.namespace)
    assert held == {"RAW": 0, "EVENTS": 0, "RETRY": 0, "DEAD": 5}
