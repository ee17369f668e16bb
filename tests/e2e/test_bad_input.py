"""Bad input is a condition with a reason and an Event; others are served; mended, it is ready."""

import json

import pytest

from support.cluster.cluster import Cluster, Helm, condition
from support.cluster.tenant import Tenant
from support.programs.command import CommandFailedError
from support.timing.wait import eventually


async def has_event(tenant: Tenant, reason: str) -> None:
    """Wait for an Event of this reason; it is written after the condition."""

    async def is_there() -> bool:
        found = await tenant.cluster.kubectl(
            "get", "events", "-n", tenant.namespace, "-o", "jsonpath={.items[*].reason}"
        )
        return reason in found.split()

    await eventually(is_there, saying=f"an Event {reason}")


async def test_a_missing_secret_is_named_and_its_coming_is_enough(tenant: Tenant) -> None:
    cluster = tenant.cluster
    await cluster.apply(tenant.endpoint("lonely", secret="missing"))
    await cluster.apply(tenant.secret(), tenant.endpoint("meta"))
    found = await cluster.wait_condition(
        "lonely", tenant.namespace, "SecretsReady", ["SecretMissing", "SecretNotFound"]
    )
    assert found["status"] == "False"
    assert "missing" in found["message"]
    await has_event(tenant, found["reason"])
    # The neighbour does not mind.
    await cluster.wait_ready("meta", tenant.namespace)
    await cluster.apply(tenant.secret("missing"))
    await cluster.wait_ready("lonely", tenant.namespace)


async def test_a_host_that_another_namespace_holds_is_refused(tenant: Tenant) -> None:
    cluster = tenant.cluster
    other = Tenant(cluster, tenant.forebay, f"{tenant.namespace}-b")
    await other.start()
    host = f"{tenant.namespace}.example.com"
    try:
        await cluster.apply(tenant.secret(), tenant.endpoint(host=host))
        await cluster.wait_ready("meta", tenant.namespace)
        await cluster.apply(other.secret(), other.endpoint(host=host))

        async def refused() -> bool:
            endpoint = await cluster.get("webhookendpoint", "meta", other.namespace)
            return condition(endpoint, "Accepted").get("status") == "False"

        await eventually(refused, within=20, saying="the second one to be refused")
        await cluster.wait_ready("meta", tenant.namespace)
        await cluster.delete("webhookendpoint", "meta", tenant.namespace)
        await cluster.wait_ready("meta", other.namespace)
    finally:
        await other.stop()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"destination": []}, "destination"),
        ({"destinations": [{"name": "sink", "http": {}}]}, "url"),
    ],
    ids=["unknown field", "destination without URL"],
)
async def test_what_cannot_be_used_is_reported_with_its_field_until_it_is_mended(
    tenant: Tenant, spec: dict[str, object], said: str
) -> None:
    cluster = tenant.cluster
    endpoint = tenant.endpoint()
    endpoint["spec"].update(spec)
    await cluster.apply(tenant.secret(), endpoint)
    found = await cluster.wait_condition(
        "meta", tenant.namespace, "Accepted", ["InvalidSpec"], within=20
    )
    assert found["status"] == "False"
    assert said in found["message"]
    await has_event(tenant, "InvalidSpec")
    await cluster.kubectl("replace", "-f", "-", text=json.dumps(tenant.endpoint()))
    await cluster.wait_ready("meta", tenant.namespace)


async def test_a_host_that_the_provider_would_not_take_is_refused_at_once(tenant: Tenant) -> None:
    endpoint = tenant.endpoint(provider="360dialog", host="with_underscore.example.com")
    with pytest.raises(CommandFailedError, match="underscore"):
        await tenant.cluster.apply(endpoint)


async def test_without_nats_endpoints_say_so_and_recover_by_themselves(
    tenant: Tenant, cluster: Cluster, release: Helm
) -> None:
    await cluster.apply(tenant.secret(), tenant.endpoint())
    await cluster.wait_ready("meta", tenant.namespace)
    scale = ("scale", "statefulset/forebay-nats", "-n", release.namespace)
    await cluster.kubectl(*scale, "--replicas=0")
    try:
        found = await cluster.wait_condition(
            "meta", tenant.namespace, "StreamsReady", ["NatsUnreachable"], within=60
        )
        assert found["status"] == "False"
        await has_event(tenant, "NatsUnreachable")
    finally:
        await cluster.kubectl(*scale, "--replicas=1")
    await cluster.wait_ready("meta", tenant.namespace, within=60)
    traffic = await tenant.traffic()

    async def taken() -> bool:
        await traffic.send(1)
        return traffic.accepted > 0

    await eventually(taken, within=30, saying="webhooks to be taken again")
