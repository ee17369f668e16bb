"""The endpoints that this processor serves, and what each of their destinations is."""

from collections.abc import Callable, Mapping

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import ProcessorEndpoint, ProcessorTable

__all__ = ["Endpoints"]


class Endpoints:
    """Finds endpoints by name; a change of the tables replaces all at once."""

    def __init__(self) -> None:
        self._by_name: dict[EndpointName, ProcessorEndpoint] = {}
        self._deleted: frozenset[EndpointName] = frozenset()
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this after each change of the tables."""
        self._listeners.append(listener)

    def find(self, name: EndpointName) -> ProcessorEndpoint | None:
        """Return an endpoint, or None where the tables do not know it (yet)."""
        return self._by_name.get(name)

    def names(self) -> list[EndpointName]:
        """Return the names of all that the tables know."""
        return list(self._by_name)

    def other_shards(self, name: EndpointName) -> tuple[str, ...]:
        """Return the shards besides its own in which an endpoint may have claims."""
        found = self._by_name.get(name)
        return () if found is None else found.other_shards

    def is_named(self, namespace: str, endpoint: str, destination: str | None = None) -> bool:
        """Say whether the tables name an endpoint, or a destination of one."""
        found = self._by_name.get(EndpointName(namespace, endpoint))
        if found is None or destination is None:
            return found is not None
        return any(each.name == destination for each in found.destinations)

    def is_deleted(self, name: EndpointName) -> bool:
        """Say whether the tables list the endpoint as gone."""
        return name in self._deleted

    def replace(self, tables: Mapping[str, ProcessorTable]) -> None:
        """Take these tables from now on."""
        self._by_name = {
            endpoint.endpoint: endpoint for table in tables.values() for endpoint in table.endpoints
        }
        self._deleted = frozenset(
            EndpointName.parse(name) for table in tables.values() for name in table.deleted
        )
        for listener in self._listeners:
            listener()
