"""Destinations in trouble, as the admin port shows them."""

from typing import Final

from forebay_processor.delivery.circuit_breaker import BreakerState, CircuitBreaker
from forebay_processor.delivery.incidents import Failing
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.queues import DestinationQueues

__all__ = ["next_attempt_of", "troubles_of"]

MOST: Final = 1000
"""Destinations, and paused endpoints, that are listed: 300 kB."""


def troubles_of(queues: DestinationQueues) -> dict[str, object]:
    """Return destinations that fail or that nothing is sent to, and endpoints that are paused.

    What fails for longest comes first; `more` says how many are left out.
    """
    now = queues.incidents.clock()
    found = [
        (queue, failing)
        for queue in queues
        if (failing := queues.incidents.find(queue.endpoint, queue.name)) is not None
        or queue.breaker.state is not BreakerState.CLOSED
    ]
    found.sort(key=lambda each: now if each[1] is None else each[1].since)
    paused = queues.paused()
    return {
        "destinations": [_entry(queue, failing, now) for queue, failing in found[:MOST]],
        "paused": [str(name) for name in paused[:MOST]],
        "more": max(len(found) - MOST, 0) + max(len(paused) - MOST, 0),
    }


def _entry(queue: DestinationQueue, failing: Failing | None, now: float) -> dict[str, object]:
    breaker = queue.breaker
    return {
        "namespace": queue.endpoint.namespace,
        "endpoint": queue.endpoint.name,
        "destination": queue.name,
        "state": "Failing" if breaker.is_closed else breaker.shown.value,
        "reason": breaker.reason or ("" if failing is None else failing.error),
        "failures": 0 if failing is None else failing.failures,
        "failing_seconds": None if failing is None else round(now - failing.since, 1),
        "next_attempt_seconds": next_attempt_of(breaker, failing, now),
        "parked": queue.parked,
    }


def next_attempt_of(breaker: CircuitBreaker, failing: Failing | None, now: float) -> float | None:
    """Return seconds; None while the one probe of an open breaker is under way.

    Where a breaker's pause is over, its probe is the item that is due first.
    """
    if not breaker.is_closed and breaker.next_probe != 0:
        return breaker.next_probe
    return breaker.next_probe if failing is None else round(max(failing.next_at - now, 0.0), 1)
