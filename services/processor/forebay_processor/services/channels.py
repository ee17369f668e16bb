"""All channels of this process: one for each destination of each endpoint."""

from collections.abc import Iterator
from random import Random

from forebay.core.naming import EndpointName
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.delivery import Channel, Table
from forebay_processor.services.endpoints import Endpoints

__all__ = ["Channels"]


class Channels:
    """Makes channels when they are first needed, and follows the tables."""

    def __init__(
        self,
        endpoints: Endpoints,
        destinations: Destinations,
        table: Table,
        metrics: ProcessorMetrics,
    ) -> None:
        self._endpoints = endpoints
        self._destinations = destinations
        self._table = table
        self._metrics = metrics
        self._random = Random()  # noqa: S311  # jitter is no secret
        self._channels: dict[tuple[EndpointName, str], Channel] = {}
        endpoints.on_change(self._follow)

    def __iter__(self) -> Iterator[Channel]:
        """Go through all channels."""
        return iter(list(self._channels.values()))

    def of(self, endpoint: EndpointName, destination: str) -> Channel:
        """Return the channel of a destination."""
        there = self._channels.get((endpoint, destination))
        if there is None:
            there = Channel(endpoint, destination, self._table, self._metrics, self._random)
            self._channels[endpoint, destination] = there
            self._configure(there)
        return there

    def start(self) -> None:
        """Begin to work what waits in RETRY."""
        for channel in self:
            channel.start()

    def _follow(self) -> None:
        for channel in self:
            self._configure(channel)

    def _configure(self, channel: Channel) -> None:
        endpoint = self._endpoints.find(channel.endpoint)
        if endpoint is None and not self._endpoints.is_deleted(channel.endpoint):
            # Not known yet, or a table could not be read: what waits goes on waiting.
            return
        config = self._endpoints.destination(channel.endpoint, channel.name)
        channel.configure(
            config,
            None if config is None else self._destinations.of(channel.endpoint, config),
            own_channel=endpoint.channel if endpoint else None,
            is_ordered=endpoint is None or endpoint.ordering == "Conversation",
            is_paused=endpoint is not None and endpoint.paused,
        )
