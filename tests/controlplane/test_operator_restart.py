"""An operator that dies leaves nothing half done, and one that begins anew writes nothing."""

import pytest

from support.operator.operator_process import OBJECTS, Forebay, manifest
from support.timing.wait import eventually

COUNT = 50


def everything_is_made(forebay: Forebay, count: int) -> bool:
    return all(
        sum("forebay.dev/endpoint-name" in each["metadata"]["labels"] for each in found) == count
        for found in (forebay.objects(plural) for plural in OBJECTS)
    )


@pytest.mark.timeout(120)
async def test_killed_in_the_middle_makes_everything_once(forebay: Forebay) -> None:
    forebay.secret()
    for number in range(COUNT):
        forebay.apply(manifest(forebay.tenant, f"e{number}"))
    operator = forebay.operator()
    operator.launch()
    # The last that is made of an endpoint; many are on their way at a time.
    await eventually(lambda: forebay.objects("ingresses"), within=30, saying="some to be made")
    await operator.kill()
    assert 0 < len(forebay.objects("ingresses")) < COUNT

    await operator.start()
    await eventually(
        lambda: everything_is_made(forebay, COUNT), within=60, saying="all to be made, each once"
    )
    await operator.settle()
    await eventually(
        lambda: all(
            forebay.condition(f"e{number}", "StreamsReady")["reason"] == "StreamsThere"
            for number in range(COUNT)
        ),
        within=30,
        saying="all to be reported",
    )
    listed = [each["name"] for table in forebay.tables("processors") for each in table["endpoints"]]
    assert sorted(listed) == sorted(f"e{number}" for number in range(COUNT))

    before = forebay.versions()
    await operator.stop()
    await operator.start()
    await operator.settle()
    assert forebay.versions() == before


async def test_second_operator_does_no_harm(forebay: Forebay) -> None:
    forebay.secret()
    first, second = forebay.operator(), forebay.operator()
    await first.start()
    await second.start()
    for number in range(5):
        forebay.apply(manifest(forebay.tenant, f"e{number}"))
    await eventually(lambda: everything_is_made(forebay, 5), within=30, saying="all to be made")
    for number in range(5):
        await forebay.wait_condition(f"e{number}", "StreamsReady", "StreamsThere")
    forebay.delete("e0")
    await eventually(lambda: forebay.endpoint("e0") is None, within=20, saying="the end of one")
    await eventually(lambda: everything_is_made(forebay, 4), saying="its objects to be gone")

    before = {key: value for key, value in forebay.versions().items() if key[0] != "events"}
    forebay.apply(manifest(forebay.tenant, "last"))
    await forebay.wait_condition("last", "ReceiversReady", "NoPodReady")
    after = forebay.versions()
    changed = {
        name
        for (kind, name), version in before.items()
        if after.get((kind, name)) != version and not (kind == "secrets" and "processors" in name)
    }
    assert changed == set()


@pytest.mark.parametrize("why", ["HostNotAllowed", "SecretMissing"])
async def test_the_route_of_an_endpoint_that_is_rejected_stays_over_a_restart(
    forebay: Forebay, why: str
) -> None:
    host = f"hooks.{forebay.tenant}.example.com"
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "old", receiver={"isolation": "Shared"}, host=host))
    first = forebay.operator(tenantLimits={"hosts": ["*.example.com"]})
    await first.start()
    await eventually(lambda: served(forebay, host), saying="the route to the shared receivers")
    await forebay.wait_condition("old", "ReceiversReady", "NoPodReady")
    await first.stop()

    if why == "SecretMissing":
        forebay.api.delete(forebay.path("secrets", "crm", forebay.tenant))
    allowed = ["*.example.com"] if why == "SecretMissing" else ["*.example.org"]
    second = forebay.operator(tenantLimits={"hosts": allowed})
    await second.start()
    kind = "SecretsReady" if why == "SecretMissing" else "Accepted"
    await forebay.wait_condition("old", kind, why)
    await second.settle()
    # The routes are looked at once more for a new host: by then all are known.
    forebay.secret(name="other")
    values = [{"secretKeyRef": {"name": "other", "key": "token"}}]
    authentication = {"headers": [{"name": "Authorization", "values": values}]}
    shared = {"isolation": "Shared"}
    forebay.apply(manifest(forebay.tenant, "next", receiver=shared, authentication=authentication))
    await forebay.wait_condition("next", "ReceiversReady", "NoPodReady")
    assert served(forebay, host)


async def test_the_shared_route_stays_until_receivers_of_its_own_serve(forebay: Forebay) -> None:
    host = f"hooks.{forebay.tenant}.example.com"
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "moves", receiver={"isolation": "Shared"}, host=host))
    await forebay.operator(tenantLimits={"hosts": ["*.example.com"]}).start()
    await eventually(lambda: served(forebay, host), saying="the route to the shared receivers")
    forebay.apply(manifest(forebay.tenant, "moves", host=host))
    await eventually(lambda: forebay.objects("deployments", "moves"), saying="its receivers")
    # The routes are looked at once more for a new host.
    other = f"more.{forebay.tenant}.example.com"
    forebay.apply(manifest(forebay.tenant, "next", receiver={"isolation": "Shared"}, host=other))
    await eventually(lambda: served(forebay, other), saying="the other route")
    await forebay.wait_condition("next", "ReceiversReady", "NoPodReady")
    assert served(forebay, host)


def served(forebay: Forebay, host: str) -> bool:
    rules = [rule for each in forebay.objects("ingresses") for rule in each["spec"]["rules"]]
    return host in [rule["host"] for rule in rules]
