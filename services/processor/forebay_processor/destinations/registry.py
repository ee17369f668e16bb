"""Makes the destination that a manifest names, and keeps it while its settings stay the same."""

from collections.abc import Callable

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import Destination
from forebay_processor.destinations.kinds import made_of
from forebay_processor.destinations.port import DestinationPort
from forebay_processor.destinations.shared_clients import Clients

__all__ = ["Destinations"]


class Destinations:
    """All destinations of this process, over the clients that they share."""

    def __init__(self, clients: Clients, now: Callable[[], float]) -> None:
        """Prepare; what is made later reads the time by `now`, seconds since the epoch."""
        self._clients = clients
        self._now = now
        self._made: dict[tuple[EndpointName, str], tuple[Destination, DestinationPort]] = {}

    def of(self, endpoint: EndpointName, config: Destination) -> DestinationPort:
        """Return the destination with these settings."""
        there = self._made.get((endpoint, config.name))
        if there is not None and there[0] == config:
            return there[1]
        port = made_of(config.target, self._clients, self._now)
        self._made[endpoint, config.name] = (config, port)
        if there is not None:
            there[1].close()
        return port

    def forget(self, endpoint: EndpointName, name: str) -> None:
        """Forget a destination that no table names any more, and its secrets."""
        there = self._made.pop((endpoint, name), None)
        if there is not None:
            there[1].close()
