"""What one endpoint brings into the tables that all share never keeps another one out of them."""

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from support.operator.operator_process import Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually

Json = Any

SHARED = {"isolation": "Shared"}
POLICIES = "/apis/admissionregistration.k8s.io/v1"


def authority(kib: float) -> str:
    """Return text that passes as certificates, of so many KiB."""
    return "-----BEGIN CERTIFICATE-----\n" + "M" * (int(kib * 1024) - 28)


def trusting(forebay: Forebay, name: str, secret: str = "ca", **spec: Json) -> Json:
    """Return a Shared endpoint whose one destination has an authority of its own."""
    tls = {"ca": {"secretKeyRef": {"name": secret, "key": "ca.crt"}}}
    http = {"url": "https://crm.example.com/in", "tls": tls}
    destinations = [{"name": "crm", "http": http}]
    return manifest(forebay.tenant, name, receiver=SHARED, destinations=destinations, **spec)


def names_by_table(forebay: Forebay, pool: str) -> list[list[str]]:
    field = "endpoints" if pool == "processors" else "routes"
    return [sorted(each["name"] for each in table[field]) for table in forebay.tables(pool)]


@contextlib.asynccontextmanager
async def pods(forebay: Forebay) -> AsyncIterator[list[PlayedPod]]:
    played = [
        PlayedPod(forebay, "receiver", {"pool": "receivers"}),
        PlayedPod(forebay, "processor", {"pool": "processors"}),
    ]
    for pod in played:
        await pod.start()
    try:
        yield played
    finally:
        for pod in played:
            await pod.stop()


async def test_an_authority_of_888_kib_is_reported_and_its_neighbour_goes_on(
    forebay: Forebay,
) -> None:
    forebay.secret()
    forebay.secret(name="ca", **{"ca.crt": authority(888)})
    async with pods(forebay):
        forebay.apply(manifest(forebay.tenant, "neighbour", receiver=SHARED))
        operator = forebay.operator(tables={"count": 1})
        await operator.start()
        await forebay.wait_condition("neighbour", "Ready", "Ready")

        forebay.apply(trusting(forebay, "large"))
        condition = await forebay.wait_condition("large", "SecretsReady", "LimitExceeded")
        assert condition["status"] == "False"
        assert (
            "spec.destinations[0].http.tls.ca: key 'ca.crt' of Secret 'ca' has 888 KiB"
            in (condition["message"])
        )
        assert "`limits.tableKiB`" in condition["message"]
        await eventually(lambda: "LimitExceeded" in forebay.events("large"), saying="the Event")

        forebay.apply(manifest(forebay.tenant, "neighbour", receiver=SHARED, paused=True))
        await eventually(
            lambda: forebay.tables("processors")[0]["endpoints"][0]["paused"],
            saying="the neighbour's change to be written",
        )
        forebay.secret(name="ca", **{"ca.crt": authority(2)})
        await forebay.wait_condition("large", "Ready", "Ready")


async def test_only_the_latest_deleted_endpoints_are_listed(forebay: Forebay) -> None:
    """A tenant who makes and deletes endpoints must not fill the table that all share."""
    began = int(time.time())
    listed = {f"{forebay.other}/e{number}": began - 2000 + number for number in range(1200)}
    table = {"format": 1, "generation": "before", "endpoints": [], "deleted": sorted(listed)}
    forebay.api.create(
        forebay.path("secrets", "").rstrip("/"),
        {
            "metadata": {
                "name": "fb-processors-00",
                "labels": {"forebay.dev/operator": "fb"},
                "annotations": {"forebay.dev/deleted": json.dumps(listed)},
            },
            "type": "forebay.dev/table",
            "data": {"processors-00.json": base64.b64encode(json.dumps(table).encode()).decode()},
        },
    )
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "gone", receiver=SHARED))
    async with pods(forebay):
        await forebay.operator(tables={"count": 1}).start()
        await forebay.wait_condition("gone", "Ready", "Ready")
        forebay.delete("gone")
        await eventually(lambda: forebay.endpoint("gone") is None, saying="the deletion", within=60)
    (now,) = forebay.tables("processors")
    assert len(now["deleted"]) == 1000
    assert f"{forebay.tenant}/gone" in now["deleted"]
    assert f"{forebay.other}/e0" not in now["deleted"], "the oldest goes first"


async def test_many_uses_of_a_certificate_count_each(forebay: Forebay) -> None:
    forebay.secret()
    forebay.secret(name="ca", **{"ca.crt": authority(10)})
    document = trusting(forebay, "many")
    (one,) = document["spec"]["destinations"]
    document["spec"]["destinations"] = [{**one, "name": f"d{number}"} for number in range(8)]
    forebay.apply(document)
    await forebay.operator().start()
    condition = await forebay.wait_condition("many", "SecretsReady", "LimitExceeded")
    assert "in the processors' table, and 64 KiB are for one" in condition["message"]


async def test_large_endpoints_spread_over_the_tables_until_none_has_room(forebay: Forebay) -> None:
    """A Secret takes 1 MiB, so at most two of 440 KiB fit into one."""
    forebay.secret()
    forebay.secret(name="ca", **{"ca.crt": authority(440)})
    names = ["a", "b", "c", "d"]
    for name in names:
        forebay.apply(trusting(forebay, name))
    async with pods(forebay):
        # Nobody looks by the clock: who waits for room is looked at because some came free.
        settings = {
            "tables": {"count": 2},
            "tenantLimits": {"tableKib": 448},
            "limits": {"statusSeconds": 3600},
        }
        await forebay.operator(**settings).start()
        for name in names:
            await forebay.wait_condition(name, "Ready", "Ready")
        tables = names_by_table(forebay, "processors")
        assert [len(table) for table in tables] == [2, 2]
        assert sorted(name for table in tables for name in table) == names

        forebay.apply(trusting(forebay, "fifth"))
        condition = await forebay.wait_condition("fifth", "Accepted", "TablesFull")
        assert "`tables.count`" in condition["message"]
        assert names_by_table(forebay, "processors") == tables

        # Places are kept by those who are there, and by an operator that starts anew.
        forebay.delete("b")
        await forebay.wait_condition("fifth", "Ready", "Ready")
        await eventually(lambda: forebay.endpoint("b") is None, saying="the deletion", within=60)
        kept = [[name for name in table if name != "b"] for table in tables]
        now = names_by_table(forebay, "processors")
        assert [[name for name in table if name != "fifth"] for table in now] == kept
        before = forebay.versions()
        again = forebay.operator(**settings)
        await again.start()
        await again.settle()
        assert forebay.versions() == before


async def test_who_grows_out_of_a_table_is_in_both_until_the_pods_have_read_the_new_one(
    forebay: Forebay,
) -> None:
    forebay.secret()
    forebay.secret(name="ca", **{"ca.crt": authority(440)})
    forebay.secret(name="grows", **{"ca.crt": authority(1)})
    for name in ("a", "b", "c"):
        forebay.apply(trusting(forebay, name))
    async with pods(forebay) as played:
        await forebay.operator(tables={"count": 2}, tenantLimits={"tableKib": 448}).start()
        for name in ("a", "b", "c"):
            await forebay.wait_condition(name, "Ready", "Ready")
        # Its home may be either: it starts beside two of the large ones, by being made to.
        full = next(table for table in names_by_table(forebay, "processors") if len(table) == 2)
        number = 0
        while True:
            name = f"g{number}"
            forebay.apply(trusting(forebay, name, "grows"))
            await forebay.wait_condition(name, "Ready", "Ready")
            here = next(table for table in names_by_table(forebay, "processors") if name in table)
            if set(full) <= set(here):
                break
            forebay.delete(name)
            number += 1

        played[1].is_slow = True
        forebay.secret(name="grows", **{"ca.crt": authority(100)})
        await forebay.wait_condition(name, "ProcessorsReady", "TablePending")
        assert all(name in table for table in names_by_table(forebay, "processors"))
        played[1].is_slow = False
        await forebay.wait_condition(name, "Ready", "Ready")
        places = [name in table for table in names_by_table(forebay, "processors")]
        assert sorted(places) == [False, True]


@contextlib.contextmanager
def secrets_refused_above(forebay: Forebay, size: int) -> Iterator[None]:
    """Have the API server refuse large Secrets in Forebay's namespace, as a policy may.

    It quotes what it refuses, which none of our messages may do.
    """
    name = f"small-secrets-{forebay.namespace}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": forebay.namespace}
                },
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["secrets"],
                    }
                ],
            },
            "validations": [
                {
                    "expression": f"object.data.all(key, size(object.data[key]) < {size})",
                    "message": "this cluster keeps its Secrets small",
                    "messageExpression": (
                        "'this cluster keeps its Secrets small, unlike ' + "
                        "object.data.map(key, string(object.data[key])).join(' ')"
                    ),
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    kinds = {"validatingadmissionpolicies": policy, "validatingadmissionpolicybindings": binding}
    for plural, document in kinds.items():
        forebay.api.create(f"{POLICIES}/{plural}", document)
    try:
        yield
    finally:
        for plural in kinds:
            forebay.api.delete(f"{POLICIES}/{plural}/{name}")


async def test_a_table_that_is_refused_for_one_endpoint_is_written_for_the_others(
    forebay: Forebay,
) -> None:
    forebay.secret()
    forebay.secret(name="ca", **{"ca.crt": authority(2.6)})
    with secrets_refused_above(forebay, 3000):
        path = f"{forebay.path('secrets', '')}?dryRun=All".replace("/?", "?")
        large = {"metadata": {"name": "probe"}, "stringData": {"key": "x" * 2700}}
        await eventually(
            lambda: forebay.api.ask("POST", path, large).status == 422,
            saying="the policy to be in force",
        )
        async with pods(forebay):
            await forebay.operator(tables={"count": 1}).start()
            forebay.apply(trusting(forebay, "culprit"))
            condition = await forebay.wait_condition("culprit", "ProcessorsReady", "ApiRefused")
            # Who refused it is named, and nothing of what it quotes.
            assert f"'small-secrets-{forebay.namespace}'" in condition["message"]
            assert "denied request (its words may quote a secret" in condition["message"]
            assert "MMMM" not in condition["message"]
            for number in range(3):
                name = f"neighbour-{number}"
                forebay.apply(manifest(forebay.tenant, name, receiver=SHARED))
                await forebay.wait_condition(name, "Ready", "Ready")
            forebay.delete("neighbour-0")
            await eventually(
                lambda: forebay.endpoint("neighbour-0") is None, saying="the deletion", within=60
            )
            assert names_by_table(forebay, "processors") == [["neighbour-1", "neighbour-2"]]
            assert forebay.condition("culprit", "ProcessorsReady")["reason"] == "ApiRefused"

            forebay.secret(name="ca", **{"ca.crt": authority(0.5)})
            await forebay.wait_condition("culprit", "Ready", "Ready")


async def test_who_leaves_full_shared_tables_for_receivers_of_its_own_may(
    forebay: Forebay,
) -> None:
    forebay.secret()
    forebay.secret(name="grows", token="a")
    values = [{"secretKeyRef": {"name": "grows", "key": "token"}}] * 2
    large = {"headers": [{"name": "Authorization", "values": values}]}
    for name, size in (("a", 440), ("b", 440)):
        forebay.secret(name=name, token="x" * (size * 1024))
    limits = {"tableKib": 448}
    await forebay.operator(tables={"count": 1}, tenantLimits=limits).start()
    for name in ("a", "b"):
        held = [{"secretKeyRef": {"name": name, "key": "token"}}]
        authentication = {"headers": [{"name": "Authorization", "values": held}]}
        forebay.apply(
            manifest(forebay.tenant, name, receiver=SHARED, authentication=authentication)
        )
    forebay.apply(manifest(forebay.tenant, "leaves", receiver=SHARED, authentication=large))
    for name in ("a", "b", "leaves"):
        await forebay.wait_condition(name, "ReceiversReady", "NoPodReady")

    forebay.secret(name="grows", token="x" * 20 * 1024)
    await forebay.wait_condition("leaves", "Accepted", "TablesFull")
    assert names_by_table(forebay, "receivers") == [["a", "b", "leaves"]]
    forebay.apply(manifest(forebay.tenant, "leaves", authentication=large))
    await forebay.wait_condition("leaves", "Accepted", "Accepted")
    await eventually(lambda: forebay.objects("deployments", "leaves"), saying="its receivers")
