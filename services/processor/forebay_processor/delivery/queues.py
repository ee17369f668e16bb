"""All channels of this process: one for each destination of each endpoint."""

import math
from collections.abc import Iterator
from random import Random

from forebay.core.naming import EndpointName
from forebay.core.tables import ProcessorEndpoint
from forebay_processor.delivery.circuit_breaker import BreakerState
from forebay_processor.delivery.destination_settings import ChannelSettings, ChannelState
from forebay_processor.delivery.endpoint_limit import Budget
from forebay_processor.delivery.queue import Channel
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.partition import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Channels"]


class Channels:
    """Makes channels when they are first needed, and follows the tables."""

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
        self._channels: dict[tuple[EndpointName, str], Channel] = {}
        self._budgets: dict[EndpointName, Budget] = {}
        self._members = 1
        endpoints.on_change(self._follow)

    def __iter__(self) -> Iterator[Channel]:
        """Go through all channels."""
        return iter(list(self._channels.values()))

    def of(self, endpoint: EndpointName, destination: str) -> Channel:
        """Return the channel of a destination."""
        there = self._channels.get((endpoint, destination))
        if there is None:
            there = Channel(endpoint, destination, self._metrics, self._random, self.time)
            self._channels[endpoint, destination] = there
            there.share(self._members)
            there.configure(self._settings_of(endpoint, destination))
        return there

    def open_breakers(self) -> list[dict[str, str | int]]:
        """Return what there is to know of each destination that nothing is sent to."""
        return [
            {
                "namespace": channel.endpoint.namespace,
                "endpoint": channel.endpoint.name,
                "destination": channel.name,
                "state": channel.breaker.state,
                "reason": channel.breaker.reason,
                "parked": channel.parked,
            }
            for channel in self
            if channel.breaker.state is not BreakerState.CLOSED
        ]

    def share(self, members: int) -> None:
        """Share every destination with so many processors, this one included."""
        if members == self._members:
            return
        self._members = members
        for channel in self:
            channel.share(members)
        self._follow()

    def wake_rows(self) -> None:
        """Begin to work what waits in RETRY of partitions that have started."""
        for channel in self:
            channel.wake_rows()

    def drop(self, partition: Partition) -> None:
        """Forget what waits of a partition."""
        for channel in self:
            channel.drop(partition)

    def _follow(self) -> None:
        for channel in self:
            channel.configure(self._settings_of(channel.endpoint, channel.name))

    def _settings_of(self, name: EndpointName, destination: str) -> ChannelSettings:
        endpoint = self._endpoints.find(name)
        if endpoint is None:
            is_deleted = self._endpoints.is_deleted(name)
            return ChannelSettings(
                state=ChannelState.DELETED if is_deleted else ChannelState.UNKNOWN
            )
        config = next((one for one in endpoint.destinations if one.name == destination), None)
        if config is None:
            return ChannelSettings(state=ChannelState.REMOVED)
        return ChannelSettings(
            state=ChannelState.PAUSED if endpoint.paused else ChannelState.OPEN,
            config=config,
            port=self._destinations.of(name, config),
            own_channel=endpoint.channel,
            is_ordered=endpoint.ordering == "Conversation",
            is_monotonic=endpoint.status_order == "Monotonic",
            budget=self._budget_of(endpoint),
        )

    def _budget_of(self, endpoint: ProcessorEndpoint) -> Budget:
        budget = self._budgets.setdefault(endpoint.endpoint, Budget())
        members = sum(1 for each in endpoint.destinations if each.http is not None)
        budget.configure(math.ceil(endpoint.max_in_flight / self._members), members)
        return budget
