"""All queues of this process: one for each destination of each endpoint."""

import math
from collections.abc import Iterator
from random import Random

from forebay.core.endpoint_name import EndpointName
from forebay.core.item import rfc3339
from forebay.core.tables import Destination, ProcessorEndpoint
from forebay.runtime.periodic import periodically
from forebay_processor.delivery.circuit_breaker import BreakerState
from forebay_processor.delivery.destination_backlog import MemoryBounds
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.endpoint_limit import EndpointLimit
from forebay_processor.delivery.filters import Filters
from forebay_processor.delivery.incidents import Incidents
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.resting_expressions import RestingExpressions
from forebay_processor.delivery.shares import StreamShares
from forebay_processor.destinations.kinds import limits_of
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["DestinationQueues"]


class DestinationQueues:
    """Makes queues when they are first needed, and follows the tables."""

    def __init__(
        self,
        endpoints: Endpoints,
        destinations: Destinations,
        metrics: ProcessorMetrics,
        time: StreamTime,
    ) -> None:
        self._endpoints = endpoints
        self._destinations = destinations
        self._metrics = metrics
        self.time = time
        """What time it is for items."""

        self._random = Random()  # noqa: S311  # jitter is no secret
        self._queues: dict[tuple[EndpointName, str], DestinationQueue] = {}
        self._endpoint_limits: dict[EndpointName, EndpointLimit] = {}
        self._idle: set[tuple[EndpointName, str]] = set()
        """Queues that were of no use at the last check."""

        self._members = 1
        self.bounds = MemoryBounds()
        """What all of them may have in memory."""

        self.shares = StreamShares()
        """What each may have of RETRY and DEAD."""

        self.incidents = Incidents(time.steady)
        """What goes wrong at them."""

        self.filters = Filters(metrics.filters, time.steady, RestingExpressions(time.steady))
        """Which items go to them."""

        endpoints.on_change(self._follow)

    def __iter__(self) -> Iterator[DestinationQueue]:
        """Go through all queues."""
        return iter(list(self._queues.values()))

    def of(self, endpoint: EndpointName, destination: str) -> DestinationQueue:
        """Return the queue of a destination."""
        there = self._queues.get((endpoint, destination))
        if there is None:
            own = self.incidents.of(endpoint, destination)
            there = DestinationQueue(
                own, self._metrics, self._random, self.time, self.bounds, self.shares
            )
            self._queues[endpoint, destination] = there
            there.share(self._members)
            there.configure(self._settings_of(endpoint, destination))
        return there

    def find(self, endpoint: EndpointName, destination: str) -> DestinationQueue | None:
        """Return the queue of a destination that had something to do; None for any other."""
        return self._queues.get((endpoint, destination))

    def named(self) -> dict[tuple[EndpointName, str], Destination]:
        """Return all destinations that the tables name, by endpoint and name."""
        found = (self._endpoints.find(name) for name in self._endpoints.names())
        return {
            (endpoint.endpoint, each.name): each
            for endpoint in found
            if endpoint is not None
            for each in endpoint.destinations
        }

    def is_paused(self, name: EndpointName) -> bool:
        """Say whether an endpoint is paused."""
        endpoint = self._endpoints.find(name)
        return endpoint is not None and endpoint.paused

    def is_held(self, name: EndpointName) -> bool:
        """Say whether an endpoint's webhooks are to stay in RAW.

        One of its destinations is down, and has all of RETRY and DEAD that it may have.
        """
        return self.shares.is_holding and any(
            queue.backlogs.share.is_held for queue in self.of_endpoint(name)
        )

    def endpoints(self) -> list[EndpointName]:
        """Return the endpoints that the tables name."""
        return self._endpoints.names()

    def of_endpoint(self, name: EndpointName) -> list[DestinationQueue]:
        """Return the queues of all destinations that the tables name of an endpoint."""
        endpoint = self._endpoints.find(name)
        if endpoint is None:
            return []
        return [self.of(name, each.name) for each in endpoint.destinations]

    def open_breakers(self) -> list[dict[str, str | float | None]]:
        """Return what there is to know of each destination that nothing is sent to."""
        return [
            {
                "namespace": queue.endpoint.namespace,
                "endpoint": queue.endpoint.name,
                "destination": queue.name,
                "state": queue.breaker.shown,
                "reason": queue.breaker.reason,
                "since": rfc3339(self.time.to_streams(queue.breaker.opened_at)),
                "next_attempt_seconds": queue.breaker.next_probe,
                "parked": queue.parked,
            }
            for queue in self
            if queue.breaker.state is not BreakerState.CLOSED
        ]

    def paused(self) -> list[EndpointName]:
        """Return the endpoints that are paused, sorted."""
        found = ((name, self._endpoints.find(name)) for name in self._endpoints.names())
        return sorted(name for name, endpoint in found if endpoint is not None and endpoint.paused)

    def taking(self) -> Iterator[DestinationQueue]:
        """Go through the queues of destinations that take what is sent.

        None that is paused or held, of an endpoint that no table names, or whose breaker is open.
        """
        for queue in self:
            endpoint = self._endpoints.find(queue.endpoint)
            if endpoint is None or endpoint.is_held(queue.name):
                continue
            if queue.breaker.is_closed:
                yield queue

    def share(self, members: int) -> None:
        """Share every destination with so many processors, this one included."""
        if members == self._members:
            return
        self._members = members
        self.shares.share(members)
        for queue in self:
            queue.share(members)
        self._follow()

    def wake_rows(self) -> None:
        """Begin to work what waits in RETRY of partitions that have started."""
        for queue in self:
            queue.wake_rows()

    def drop(self, partition: Partition) -> None:
        """Forget what waits of a partition."""
        for queue in self:
            queue.drop(partition)

    async def run(self, keep_seconds: float) -> None:
        """Forget queues that are of no use any more, after so long; until cancelled."""
        await periodically(self.forget_idle, keep_seconds / 2)

    def forget_idle(self) -> None:
        """Forget queues of destinations that no table names and in which nothing is.

        At the second check: whoever got one a moment ago may still be about to use it. One that is
        needed again, for a row that somebody replays, is made again.
        """
        idle = {key for key, queue in self._queues.items() if self._is_idle(queue)}
        for key in idle & self._idle:
            self._drop(key)
        self._idle = idle & self._queues.keys()
        self._forget_endpoint_limits()

    def _drop(self, key: tuple[EndpointName, str]) -> None:
        del self._queues[key]
        self._forget(*key)

    def _forget(self, name: EndpointName, destination: str) -> None:
        """Forget what is kept of a destination besides its queue."""
        self._destinations.forget(name, destination)
        self.incidents.forget((name, destination))

    def _is_idle(self, queue: DestinationQueue) -> bool:
        if self._endpoints.is_named(*queue.endpoint, queue.name) or queue.parked:
            return False
        return not any(queue.conversations) and all(
            lane.is_caught_up and not lane.is_reading for lane in queue.backlogs
        )

    def _follow(self) -> None:
        for key, queue in list(self._queues.items()):
            queue.configure(self._settings_of(*key))
            if self._is_over(queue):
                self._drop(key)
        self._forget_endpoint_limits()

    def _forget_endpoint_limits(self) -> None:
        there = {name for name, _ in self._queues}
        for name in self._endpoint_limits.keys() - there:
            if not self._endpoints.is_named(*name):
                del self._endpoint_limits[name]

    def _is_over(self, queue: DestinationQueue) -> bool:
        """Say whether an endpoint is gone, with all of it that waited or was under way.

        What RETRY still holds of it, as an owner of another partition finds, gets a queue again.
        """
        is_gone = self._endpoints.is_deleted(queue.endpoint)
        return is_gone and not queue.parked and not any(queue.conversations)

    def _settings_of(self, name: EndpointName, destination: str) -> DestinationSettings:
        endpoint = self._endpoints.find(name)
        if endpoint is None:
            is_deleted = self._endpoints.is_deleted(name)
            if is_deleted:
                self._forget(name, destination)
            return DestinationSettings(
                state=DestinationState.DELETED if is_deleted else DestinationState.UNKNOWN
            )
        config = next((one for one in endpoint.destinations if one.name == destination), None)
        if config is None:
            self._forget(name, destination)
            return DestinationSettings(state=DestinationState.REMOVED)
        return DestinationSettings(
            state=(
                DestinationState.PAUSED if endpoint.is_held(destination) else DestinationState.OPEN
            ),
            config=config,
            port=self._destinations.of(name, config),
            own_channel=endpoint.channel,
            is_ordered=endpoint.ordering == "Conversation",
            is_monotonic=endpoint.status_order == "Monotonic",
            other_shards=endpoint.other_shards,
            endpoint_limit=self._endpoint_limit_of(endpoint),
        )

    def _endpoint_limit_of(self, endpoint: ProcessorEndpoint) -> EndpointLimit:
        endpoint_limit = self._endpoint_limits.setdefault(endpoint.endpoint, EndpointLimit())
        members = sum(limits_of(each.target).is_of_endpoint for each in endpoint.destinations)
        endpoint_limit.configure(math.ceil(endpoint.max_in_flight / self._members), members)
        return endpoint_limit
