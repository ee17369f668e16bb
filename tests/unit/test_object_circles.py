"""Which living objects of a lower room hold one of a higher room that leads back to them.

Imports go one way, and `make imports` holds that; a callback or a port can still lead back up, as
an object. Each that is there is named here, so that no other comes unseen.
"""

from typing import Final

import pytest

from forebay_operator.services.pass_places import PassPlaces
from forebay_operator.services.watch_events import WatchEventHandler
from forebay_operator.services.workers import Workers
from forebay_processor.destinations.port import Delivered
from support.operator.operator_alone import OperatorAlone
from support.processor.shard_alone import ShardAlone
from support.programs.object_circles import references_in_circles
from support.receiver.receiver_in_process import InProcessReceiver
from support.timing.wait import eventually

FLOORS: Final = {
    "ownership": 3,
    "splitting": 2,
    "delivery": 2,
    "maintenance": 2,
    "destinations": 1,
    "adapters": 1,
    "shared": 0,
}
"""The processor's rooms from the bottom up, as `pyproject.toml` has them."""

UP: Final = {
    # What waits or is being worked knows its partition, by the ports of `shared.partition_view`.
    ("delivery.Backlogs", "ownership.OwnedPartition"),
    ("delivery.Dispatcher", "ownership.OwnedPartition"),
    ("delivery.LaneCursor", "ownership.OwnedPartition"),
    ("delivery.PendingDelivery", "ownership.OwnedPartition"),
    ("delivery.RetryEntry", "ownership.OwnedPartition"),
    ("splitting.ClaimJudge", "ownership.OwnedPartition"),
    ("splitting.ClaimsElsewhere", "ownership.OwnedPartition"),
    ("splitting.Splitter", "ownership.OwnedPartition"),
    ("splitting.WaveStore", "ownership.OwnedPartition"),
    # Callbacks to an owner: these are to become return values.
    ("delivery.DestinationQueues", "ownership.Membership"),
    ("delivery.DestinationQueues", "ownership.PartitionFactory"),
    ("delivery.DestinationQueues", "ownership.ShardRunner"),
    ("shared.Endpoints", "delivery.DestinationQueues"),
}
"""Who holds whom."""

ASKED_AT_A_SCRAPE: Final = {
    ("metrics.OperatorMetrics", "services.Reconciler"),
    ("services.Applier", "metrics.OperatorMetrics"),
    ("services.Shards", "metrics.OperatorMetrics"),
}
"""The operator's metrics are counted by services, and ask one of them for ages."""

HANDED_OUT: Final = 5
"""Items at work while it is looked."""


async def test_no_other_object_of_the_processor_leads_back_to_a_higher_room() -> None:
    shard = ShardAlone()
    async with shard.working():
        for sequence in range(1, HANDED_OUT + 1):
            shard.hand_out(sequence, f"key-{sequence}")
        await eventually(lambda: shard.door.tried, saying="an attempt")
        found = references_in_circles(shard)
        shard.door.answer.set_result(Delivered())
    up = {
        (holder, held)
        for holder, held in found
        if FLOORS[held.partition(".")[0]] > FLOORS[holder.partition(".")[0]]
    }
    assert ("shared.Endpoints", "delivery.DestinationQueues") in up
    assert up <= UP


async def test_no_object_of_the_receiver_is_in_a_circle_of_two_rooms() -> None:
    receiver = InProcessReceiver()
    protocol, transport = receiver.connect()
    protocol.data_received(b"POST /v1/webhooks/acme/shop HTTP/1.1\r\nHost: a\r\n")
    assert references_in_circles(receiver, protocol, transport) == set()


async def test_no_object_of_the_operator_but_its_metrics_leads_back_to_another_room() -> None:
    operator = OperatorAlone()
    await operator.start()
    cache, queue, metrics = operator.cache, operator.queue, operator.metrics
    handler = WatchEventHandler(cache, queue)
    limits = operator.config.limits
    places = PassPlaces(limits.workers)
    workers = Workers(places, cache, operator.reconciler, operator.shared, metrics, queue)
    # As `main` has it: what is measured is asked for by functions that hold what they ask.
    metrics.follow_queue(lambda: len(queue))
    metrics.follow_conditions(cache.conditions)
    own = operator.apply("sales")
    operator.own_pod(own)
    await operator.settle(own)
    await operator.reconcile_routes()
    assert references_in_circles(operator, handler, workers) == set()
    metrics.follow_ages(operator.reconciler.ages, lambda: None)
    assert references_in_circles(operator, handler, workers) == ASKED_AT_A_SCRAPE


@pytest.mark.parametrize("by", ["itself", "a list", "a method", "a closure"])
async def test_a_circle_between_rooms_is_found(by: str) -> None:
    receiver = InProcessReceiver()
    rules = receiver.rules
    leads_back: dict[str, object] = {
        "itself": rules,
        "a list": [rules],
        "a method": rules.__repr__,
        "a closure": lambda: rules,
    }
    receiver.store.bodies.append(leads_back[by])  # type: ignore[arg-type]  # what no part does
    found = references_in_circles(receiver)
    assert ("services.Intake", "handlers.ConnectionRules") in found
