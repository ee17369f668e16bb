"""How many endpoints wait, and their conditions, are read at each scrape: no figure is stale."""

import random
from typing import Any

from forebay.core.endpoint_name import EndpointName
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.services.cluster_cache import SLICE, ClusterCache
from forebay_operator.services.reconcile_queue import ReconcileQueue


def endpoint(name: str, version: int = 1, **conditions: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "acme",
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "resourceVersion": str(version),
        },
        "spec": {},
        "status": {
            "conditions": [{"type": kind, "status": status} for kind, status in conditions.items()]
        },
    }


async def shown(metrics: OperatorMetrics, name: str) -> list[str]:
    text = (await metrics.exposition()).content.decode()
    return [line for line in text.splitlines() if line.startswith(name)]


async def test_the_queue_is_as_long_as_at_the_scrape() -> None:
    metrics, queue = OperatorMetrics(), ReconcileQueue(ClusterCache("fb"), random.Random(1), 300.0)
    metrics.follow_queue(lambda: len(queue))
    for name in ("a", "b"):
        queue.enqueue(EndpointName("acme", name))
    assert await shown(metrics, "forebay_operator_queue_items") == [
        "forebay_operator_queue_items 2"
    ]
    await queue.get()
    assert await shown(metrics, "forebay_operator_queue_items") == [
        "forebay_operator_queue_items 1"
    ]


async def test_conditions_are_those_of_the_scrape() -> None:
    metrics, cache = OperatorMetrics(), ClusterCache("fb")
    metrics.follow_conditions(cache.conditions)
    cache.put_endpoint(endpoint("a", Accepted="True", Ready="False"))
    cache.put_endpoint(endpoint("b", Accepted="True", Ready="True"))
    assert await shown(metrics, "forebay_operator_endpoints{") == [
        'forebay_operator_endpoints{condition="Accepted",status="True"} 2',
        'forebay_operator_endpoints{condition="Ready",status="False"} 1',
        'forebay_operator_endpoints{condition="Ready",status="True"} 1',
    ]
    cache.put_endpoint(endpoint("a", 2, Accepted="True", Ready="True"))
    cache.drop_endpoint(endpoint("b", 2))
    assert await shown(metrics, "forebay_operator_endpoints{") == [
        'forebay_operator_endpoints{condition="Accepted",status="True"} 1',
        'forebay_operator_endpoints{condition="Ready",status="True"} 1',
    ]


def test_others_have_their_turn_while_conditions_of_many_are_read() -> None:
    cache = ClusterCache("fb")
    for number in range(2 * SLICE + 1):
        cache.put_endpoint(endpoint(f"e{number}", Ready="True"))
    read: list[object] = []
    for condition in cache.conditions():
        read.append(condition)
        if condition is None and len(read) < SLICE + 2:
            # What comes and goes meanwhile ends no scrape.
            cache.put_endpoint(endpoint("new", Ready="True"))
            cache.drop_endpoint(endpoint("e7", 2))
    assert read.count(None) == 2
    assert read.count(("Ready", "True")) == 2 * SLICE + 1
