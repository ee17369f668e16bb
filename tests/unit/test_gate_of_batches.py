"""What a destination with batches is held to: its limits count requests, its places items."""

from random import Random

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from forebay.core.tables import Batch, Destination, HttpTarget
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.endpoint_limit import Budget
from forebay_processor.delivery.gate import BATCH_ITEMS, Gate
from forebay_processor.delivery.limits import Slots
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.stream_time import StreamTime
from support.clocks import HandClock
from support.queue_alone import NAME

TARGET = HttpTarget(url="http://sink", max_in_flight=6, batch=Batch(max_items=10))


def nothing(*, is_open: bool) -> None:
    """Take no notice of the breaker."""
    del is_open


def gate_of(target: HttpTarget, budget: Budget | None = None) -> Gate:
    """Return the gate of a destination."""
    metrics = ProcessorMetrics(CollectorRegistry(), pool="test")
    gate = Gate(NAME, "sink", metrics, Random(1), StreamTime(HandClock()), nothing)
    gate.configure(settings_of(target, budget))
    return gate


def settings_of(target: HttpTarget, budget: Budget | None) -> DestinationSettings:
    config = Destination(name="sink", http=target)
    return DestinationSettings(state=DestinationState.OPEN, config=config, budget=budget)


def taken(slots: Slots) -> int:
    """Take all places there are, and return how many those were."""
    count = 0
    while slots.try_take():
        count += 1
    return count


@pytest.mark.parametrize(("members", "requests", "items"), [(1, 6, 60), (4, 2, 15)])
async def test_places_are_of_items_and_requests_are_of_batches(
    members: int, requests: int, items: int
) -> None:
    gate = gate_of(TARGET)
    gate.share(members)
    assert (taken(gate.requests), taken(gate.slots)) == (requests, items)


async def test_no_more_items_are_under_way_than_may_be_in_memory() -> None:
    gate = gate_of(replace(TARGET, max_in_flight=64, batch=Batch(max_items=1000)))
    assert taken(gate.slots) == BATCH_ITEMS


async def test_the_rate_is_of_requests() -> None:
    gate = gate_of(replace(TARGET, rate_per_second=20.0))
    assert (taken(gate.requests), taken(gate.slots)) == (2, 60)


async def test_the_endpoint_s_share_is_of_requests_and_follows_the_settings() -> None:
    budget = Budget()
    budget.configure(4, 1)
    gate = gate_of(TARGET, budget)
    assert (taken(gate.requests), taken(gate.slots)) == (4, 60)
    for _ in range(4):
        gate.requests.give_back()
    for _ in range(60):
        gate.slots.give_back()
    gate.configure(settings_of(replace(TARGET, batch=None), budget))
    assert taken(gate.slots) == 4
    for _ in range(4):
        gate.slots.give_back()
    gate.configure(settings_of(TARGET, budget))
    assert (taken(gate.requests), taken(gate.slots)) == (4, 60)
