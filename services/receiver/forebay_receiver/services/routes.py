"""The endpoints that this receiver serves, by path: one dictionary, replaced as a whole."""

import hashlib
from collections.abc import Mapping

from forebay.core.naming import EndpointName
from forebay.core.subjects import Lane, RawSubject, endpoint_partition
from forebay.core.tables import ReceiverRoute, ReceiverTable
from forebay_receiver.metrics import EndpointMetrics, ReceiverMetrics
from forebay_receiver.policies.authentication import Credentials

__all__ = ["PATH_PREFIX", "Routes", "ServedEndpoint"]

PATH_PREFIX = "/v1/webhooks/"


class ServedEndpoint:
    """One endpoint with all that its webhooks need, made once for each change of the table."""

    __slots__ = (
        "credentials",
        "digest",
        "in_flight",
        "label",
        "metrics",
        "name",
        "route",
        "subjects",
    )

    def __init__(self, route: ReceiverRoute, metrics: EndpointMetrics) -> None:
        self.route = route
        self.metrics = metrics
        self.name = route.endpoint
        self.label = str(self.name)
        self.digest = hashlib.sha256(self.label.encode() + b"\n")
        """Of the endpoint's name; copied and fed with a body, it gives a webhook's message id."""

        self.credentials = Credentials(route.authentication)
        partition = endpoint_partition(self.name)
        self.subjects = {
            lane: str(RawSubject(route.shard, partition, lane, self.name)) for lane in Lane
        }
        self.in_flight = 0
        """Its webhooks that are being stored at this moment."""


class Routes:
    """Finds the endpoint of a path; a lookup costs the same for 10 endpoints or 10,000."""

    def __init__(self, metrics: ReceiverMetrics) -> None:
        self._metrics = metrics
        self._by_path: dict[str, ServedEndpoint] = {}
        self._by_file: dict[str, tuple[ReceiverTable, dict[str, ServedEndpoint]]] = {}

    def __len__(self) -> int:
        """Return how many endpoints there are."""
        return len(self._by_path)

    def find(self, path: str) -> ServedEndpoint | None:
        """Return the endpoint of a request's path, or None."""
        return self._by_path.get(path)

    def names(self) -> list[EndpointName]:
        """Return all endpoints' names, sorted."""
        return sorted(endpoint.name for endpoint in self._by_path.values())

    def replace(self, tables: Mapping[str, ReceiverTable]) -> None:
        """Take these tables from now on; what did not change keeps its state."""
        by_file: dict[str, tuple[ReceiverTable, dict[str, ServedEndpoint]]] = {}
        by_path: dict[str, ServedEndpoint] = {}
        for file, table in tables.items():
            known = self._by_file.get(file)
            if known is None or known[0] is not table:
                known = (table, {_path(route): self._serve(route) for route in table.routes})
            by_file[file] = known
            by_path |= known[1]
        self._by_file, self._by_path = by_file, by_path

    def _serve(self, route: ReceiverRoute) -> ServedEndpoint:
        there = self._by_path.get(_path(route))
        if there is not None and there.route == route:
            return there
        metrics = self._metrics.of(route.endpoint) if there is None else there.metrics
        return ServedEndpoint(route, metrics)


def _path(route: ReceiverRoute) -> str:
    return f"{PATH_PREFIX}{route.namespace}/{route.name}"
