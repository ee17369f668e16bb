"""What an endpoint may ask for has limits; a condition says which is exceeded and what to do."""

from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually


async def test_what_is_above_a_limit_is_reported_and_recovers_with_the_spec(
    forebay: Forebay,
) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "greedy", receiver={"replicas": {"min": 2, "max": 80}}))
    await forebay.operator().start()
    condition = await forebay.wait_condition("greedy", "Accepted", "LimitExceeded")
    assert condition["status"] == "False"
    assert "receiver.replicas.max is 80, and this installation gives 20" in condition["message"]
    await eventually(lambda: "LimitExceeded" in forebay.events("greedy"), saying="the Event")
    assert forebay.objects("deployments") == []

    forebay.apply(manifest(forebay.tenant, "greedy", receiver={"replicas": {"min": 2, "max": 20}}))
    await forebay.wait_condition("greedy", "Accepted", "Accepted")


async def test_a_host_that_is_not_allowed_is_refused_and_held_by_nobody(forebay: Forebay) -> None:
    host = f"hooks.{forebay.other}.example.com"
    forebay.secret()
    forebay.secret(forebay.other)
    forebay.apply(manifest(forebay.tenant, "first", host=host))
    limits = {"hosts": ["*.{namespace}.example.com"]}
    await forebay.operator(tenantLimits=limits).start()
    condition = await forebay.wait_condition("first", "Accepted", "HostNotAllowed")
    assert "`limits.hosts`" in condition["message"]
    assert forebay.objects("ingresses") == []

    # Who named it first may not have it, so it is free for the one who may.
    forebay.apply(manifest(forebay.other, "second", host=host))
    await forebay.wait_condition("second", "Accepted", "Accepted", forebay.other)


async def test_what_was_served_goes_on_when_a_limit_is_lowered(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "old", throughput={"messagesPerSecond": 900}))
    first = forebay.operator()
    await first.start()
    await eventually(lambda: forebay.objects("deployments", "old"), saying="its receivers")
    await first.stop()
    second = forebay.operator(tenantLimits={"messagesPerSecond": 100})
    await second.start()
    await forebay.wait_condition("old", "Accepted", "LimitExceeded")
    await second.settle()
    assert len(forebay.objects("deployments", "old")) == 1
    assert [each["name"] for table in forebay.tables("processors") for each in table["endpoints"]]
