"""Values that `forebay size` writes are taken by the chart, and arrive in what it makes."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from forebay.core.expected_load import ExpectedLoad, Isolation
from forebay.core.sizing import InstallationSize, size
from forebay.core.sizing_values import values_file
from support.cluster.chart import Rendered, operator_config, render, strictly_typed

CUSTOMERS: Final = {
    "one number at 20/s": ExpectedLoad(outgoing=20, incoming=6),
    "twenty at 80": ExpectedLoad(outgoing=1600, incoming=480, channels=20),
    "a thousand quiet ones": ExpectedLoad(
        outgoing=20, incoming=10, channels=1000, busy_minutes=600
    ),
    "one at 1,000/s with campaigns": ExpectedLoad(outgoing=1000, incoming=300, busy_minutes=20),
    "each its own": ExpectedLoad(
        outgoing=400, incoming=0, channels=5, isolation=Isolation.DEDICATED
    ),
    "one server": ExpectedLoad(outgoing=80, incoming=24, servers=1, busy_minutes=10),
    "all that an installation takes": ExpectedLoad(
        outgoing=14_000, incoming=400, channels=14, busy_minutes=5
    ),
}
"""The four customers of the issue, and the edges."""


@pytest.fixture(params=list(CUSTOMERS))
def sized(request: pytest.FixtureRequest) -> InstallationSize:
    """Give the size of each customer's installation in turn."""
    return size(CUSTOMERS[request.param])


def rendered_with(sized: InstallationSize) -> Rendered:
    values: dict[str, Any] = yaml.safe_load(values_file(sized, host="hooks.example.com"))
    return render(values)


def test_every_object_is_one_that_kubernetes_takes(sized: InstallationSize) -> None:
    objects = rendered_with(sized).objects
    assert objects
    for each in objects:
        strictly_typed(each)


def test_pods_and_servers_are_as_many_and_as_large_as_it_said(sized: InstallationSize) -> None:
    found = rendered_with(sized)
    nats = found.one("StatefulSet", "acme-forebay-nats")["spec"]
    assert nats["replicas"] == sized.nats.servers
    (server,) = (each for each in nats["template"]["spec"]["containers"] if each["name"] == "nats")
    assert server["resources"]["requests"]["memory"] == f"{sized.nats.memory}Mi"
    assert server["resources"]["limits"]["memory"] == f"{sized.nats.memory_limit}Mi"
    claim = nats["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
    assert claim == f"{sized.nats.volume}Gi"


def test_the_operator_scales_and_makes_streams_of_that_size(
    sized: InstallationSize, tmp_path: Path
) -> None:
    config = operator_config(rendered_with(sized), tmp_path)
    assert config.processors.scaling is not None
    assert config.processors.scaling.min == sized.processors.pods
    assert config.processors.scaling.max == sized.processors.most_pods
    if sized.load.isolation is Isolation.SHARED:
        assert config.shared_receivers is not None
        assert config.shared_receivers.scaling is not None
        assert config.shared_receivers.scaling.min == sized.receivers.pods
        assert config.shared_receivers.scaling.max == sized.receivers.most_pods
    else:
        assert config.shared_receivers is None
        assert config.receiver.webhook_microseconds >= sized.webhook_cpu
    assert len(config.shards) == sized.shards
    for shard in config.shards:
        assert shard.raw_max_bytes == sized.shard.raw * 1024**2
        assert shard.events_max_bytes == sized.shard.events * 1024**2
    assert config.receiver.webhooks_per_second == sized.receivers.rate
