"""A Dedicated receiver asks for what its endpoint's webhooks cost; the docs say what that is."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.expected_load import ExpectedLoad, Isolation
from forebay.core.receiver_cpu import AT_REST_MILLICORES
from forebay.core.resource import WebhookEndpoint
from forebay.core.sizing import size
from forebay_operator.builders.receiver_size import receiver_size
from forebay_operator.models.quantities import amount
from forebay_operator.settings.config import OperatorConfig, TenantLimits
from forebay_operator.settings.receivers import ResourceNeeds
from support.operator.operator_inputs import installation, read_manifest

PAGE = Path(__file__).parents[2] / "docs" / "kubernetes.md"


def endpoint(
    messages: int = 80,
    replies: float = 0.3,
    *,
    replicas: tuple[int, int] = (2, 20),
    resources: object = None,
) -> WebhookEndpoint:
    manifest = read_manifest("small")
    document = manifest.model_dump(by_alias=True, exclude_unset=True)
    document["spec"] |= {
        "throughput": {"messagesPerSecond": messages, "replyRatio": replies},
        "receiver": {
            "isolation": "Dedicated",
            "replicas": {"min": replicas[0], "max": replicas[1]},
            **({"resources": resources} if resources is not None else {}),
        },
    }
    return WebhookEndpoint.model_validate(document)


def receivers(config: OperatorConfig, **changes: object) -> OperatorConfig:
    return config.model_copy(update={"receiver": config.receiver.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("messages", "webhooks", "low", "cpu"),
    [(20, 66, 2, "12m"), (80, 264, 2, "18m"), (1000, 3300, 4, "59m")],
)
def test_the_providers_numbers(messages: int, webhooks: int, low: int, cpu: str) -> None:
    size = receiver_size(endpoint(messages), installation())
    assert (size.webhooks_per_second, size.low, size.cpu) == (webhooks, low, cpu)


@pytest.mark.parametrize("messages", [20, 80, 1000])
def test_forebay_size_says_what_the_operator_asks_for(messages: int) -> None:
    load = ExpectedLoad(
        outgoing=messages, incoming=messages * 3 // 10, isolation=Isolation.DEDICATED
    )
    sized = size(load)
    config = receivers(  # as its values say
        installation(),
        webhook_microseconds=sized.webhook_cpu,
        webhooks_per_second=sized.receivers.rate,
    )
    found = receiver_size(endpoint(messages, replicas=(sized.receivers.pods, 20)), config)
    assert (found.low, found.cpu) == (sized.receivers.pods, f"{sized.receivers.cpu}m")


@given(
    throughput=st.tuples(st.integers(1, 10_000), st.floats(0, 10)),
    replicas=st.tuples(st.integers(1, 100), st.integers(1, 100)).map(sorted),
    most=st.integers(1, 100),
    cost=st.floats(1, 1000),
    percent=st.integers(10, 95),
)
def test_at_full_speed_a_pod_is_where_the_scaler_wants_it_or_has_a_whole_core(
    throughput: tuple[int, float], replicas: list[int], most: int, cost: float, percent: int
) -> None:
    messages, replies = throughput
    low, high = replicas
    limits = TenantLimits(replicas=most, cpu="16", messages_per_second=10_000)
    config = receivers(
        installation(tenant_limits=limits), webhook_microseconds=cost, target_cpu_percent=percent
    )
    manifest = endpoint(messages, replies, replicas=(low, high))
    size = receiver_size(manifest, config)
    assert 1 <= size.low <= size.high <= min(100, most)
    cpu = float(amount(size.cpu) or 0) * 1000
    rate = messages * (3 + replies)
    used = AT_REST_MILLICORES + rate / size.low * cost / 1000
    assert cpu == 1000 or used <= cpu * percent / 100 + 1e-6
    # Nor much more than that.
    assert (cpu - 1) * percent / 100 <= used + 1e-6


def test_what_is_asked_for_goes_before_it() -> None:
    named = endpoint(resources={"requests": {"cpu": "300m"}})
    config = installation()
    for_all = receivers(config, resources=ResourceNeeds(requests={"cpu": "0.2", "memory": "1Gi"}))
    assert receiver_size(named, config).cpu == "300m"
    assert receiver_size(endpoint(), for_all).cpu == "0.2"
    assert receiver_size(named, for_all).cpu == "300m"


def test_no_more_is_asked_for_than_may_be_used() -> None:
    limited = endpoint(1000, resources={"limits": {"cpu": "10m"}})
    assert receiver_size(limited, installation()).cpu == "10m"
    limits = TenantLimits(cpu="20m")
    assert receiver_size(endpoint(1000), installation(tenant_limits=limits)).cpu == "20m"


def test_the_page_says_what_channels_reserve() -> None:
    size = receiver_size(endpoint(), installation())
    cpu = float(amount(size.cpu) or 0)
    memory = float(amount(installation().receiver.resources.requests["memory"]) or 0)
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d,]+) \| ([^|]+) \| ([^|]+) GiB \| 2 ", PAGE.read_text(), re.MULTILINE
    )
    assert [row[0] for row in rows] == ["10", "100", "1,000"]
    for channels, pods, cores, gib in rows:
        count = int(channels.replace(",", "")) * size.low
        assert int(pods.replace(",", "")) == count
        told = cores.removesuffix(" cores")
        assert float(amount(told) or 0) == pytest.approx(count * cpu)
        assert float(gib) == pytest.approx(count * memory / 2**30)
