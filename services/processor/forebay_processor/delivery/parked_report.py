"""What waits in RETRY for each endpoint, for the operator: it asks when that is much.

The operator counts rows itself while they are few; of very many only who owns their partitions
knows at no cost whose they are (docs/design/0041). How many is a running count. The age is that of
the oldest of the first entries in memory, which are read in the order in which they were stored.
"""

from itertools import islice

from forebay.core.endpoint_name import EndpointName
from forebay_processor.delivery.entry import EntryState
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.scaling_backlog import OLDEST_AMONG

__all__ = ["parked_by_endpoint"]


def parked_by_endpoint(queues: DestinationQueues) -> list[dict[str, str | int | float]]:
    """Return the endpoints that have rows there, how many, and the age of the oldest in seconds.

    While a new owner counts, it is what is counted by then.
    """
    now = queues.time.steady()
    items: dict[EndpointName, int] = {}
    since: dict[EndpointName, float] = {}
    for queue in queues:
        if queue.parked <= 0:
            continue
        name = queue.endpoint
        items[name] = items.get(name, 0) + queue.parked
        for entry in islice(queue.conversations.entries.values(), OLDEST_AMONG):
            if entry.state is not EntryState.FINISHED:
                since[name] = min(since.get(name, now), entry.since)
    return [
        {
            "namespace": name.namespace,
            "endpoint": name.name,
            "items": count,
            "oldest_seconds": round(max(now - since.get(name, now), 0.0), 1),
        }
        for name, count in items.items()
    ]
