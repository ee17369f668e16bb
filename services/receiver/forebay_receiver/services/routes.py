"""The endpoints that this receiver serves, by path: one dictionary, replaced as a whole.

A table may hold 10,000 endpoints. So a lookup is one access to a dictionary, what an endpoint needs
for its webhooks is made when its first one comes, and a change is worked through in slices between
which webhooks are served.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.providers.registry import provider_of
from forebay.core.subjects import Lane, RawSubject, StreamKind, endpoint_partition, stream_name
from forebay.core.tables import ReceiverRoute, ReceiverTable
from forebay_receiver.metrics import EndpointMetrics, ReceiverMetrics
from forebay_receiver.policies.authentication import credentials_of
from forebay_receiver.policies.proxy_certificate_header import CertificateProxy
from forebay_receiver.settings import ReceiverSettings

__all__ = ["PATH_PREFIX", "Routes", "ServedEndpoint"]

_log = structlog.get_logger(__name__)

PATH_PREFIX = "/v1/webhooks/"

SLICE: Final = 200
"""Routes that are worked through at once: about a millisecond, in which no webhook is served."""

WEBHOOK_BYTES: Final = 64 * 1024
"""Bytes that are counted for each of the webhooks that an endpoint may have in flight: about a
hundred items. Most have one."""

LARGEST_BODIES: Final = 4
"""Bodies of the largest size that every endpoint may have in flight, however small its channel:
histories come in large ones."""

ENDPOINT_SHARE: Final = 0.75
"""Of what the process may have in flight, the most that one endpoint gets: the rest is always there
for the others."""

RESERVED_SHARE: Final = 1 / 8
"""Of what may be half read, the most that is for one endpoint: anybody can begin a body, and who
begins many takes nothing from the others' large webhooks. One of the largest always fits."""

MOST_NAMED: Final = 5
"""Endpoints that a line of the log names: there may be thousands."""

TURN_ON: Final = (
    "set FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER, or the chart's "
    "`receivers.clientCertificate.header`"
)


class ServedEndpoint:
    """One endpoint with all that its webhooks need."""

    __slots__ = (
        "body_format",
        "challenge",
        "credentials",
        "digest",
        "id_headers",
        "in_flight",
        "in_flight_bytes",
        "label",
        "max_in_flight",
        "max_in_flight_bytes",
        "max_reserved_bytes",
        "metrics",
        "name",
        "reserved_bytes",
        "route",
        "stream",
        "subjects",
    )

    def __init__(
        self,
        route: ReceiverRoute,
        metrics: EndpointMetrics,
        settings: ReceiverSettings,
        proxy: CertificateProxy | None,
    ) -> None:
        self.route = route
        self.stream = stream_name(StreamKind.RAW, route.shard)
        self.metrics = metrics
        self.name = route.endpoint
        self.label = str(self.name)
        self.digest = hashlib.sha256(self.label.encode() + b"\n")
        """Of the endpoint's name; copied and fed with a body, it gives a webhook's message id."""

        provider = provider_of(route.provider)
        self.body_format = provider.body_format
        self.id_headers = (
            tuple(name.encode() for name in route.id_headers)
            if provider.event_ids == "headers"
            else None
        )
        """Headers of which the first that a request carries is its event's id; None where equal
        bodies are one event."""

        self.credentials = credentials_of(route.authentication, proxy)
        self.challenge = provider.challenge if self.credentials.has_verify_token else None
        """The GET that is answered; None for none."""

        partition = endpoint_partition(self.name, route.shard)
        self.subjects = {
            lane: str(RawSubject(route.shard, partition, lane, self.name)) for lane in Lane
        }
        share = max(1, int(settings.max_in_flight * ENDPOINT_SHARE))
        self.max_in_flight = min(route.max_in_flight, share)
        self.max_in_flight_bytes = min(
            int(settings.max_in_flight_bytes * ENDPOINT_SHARE),
            max(LARGEST_BODIES * settings.max_body_bytes, route.max_in_flight * WEBHOOK_BYTES),
        )
        self.max_reserved_bytes = max(
            settings.max_body_bytes, int(settings.max_reserved_bytes * RESERVED_SHARE)
        )
        self.in_flight = 0
        """Its webhooks that are being stored at this moment."""

        self.in_flight_bytes = 0
        self.reserved_bytes = 0
        """Bytes of its bodies that wait for their end or their turn."""


class _Place(msgspec.Struct, gc=False):
    """An endpoint's place in the table; the endpoint itself is made when its first request comes.

    The table in force and the one that is being built share the places that did not change. The
    garbage collector need not visit them: nothing in them points back.
    """

    route: ReceiverRoute
    metrics: EndpointMetrics
    served: ServedEndpoint | None = None


_Places = dict[str, _Place]

_File = tuple[ReceiverTable, _Places, list[EndpointName]]
"""A file of the table with its places, and those endpoints in it that nobody can get into."""


class Routes:
    """Finds the endpoint of a path; a lookup costs the same for 10 endpoints or 10,000."""

    def __init__(
        self,
        metrics: ReceiverMetrics,
        settings: ReceiverSettings,
        proxy: CertificateProxy | None = None,
    ) -> None:
        self._metrics = metrics
        self._settings = settings
        self._proxy = proxy
        self._shut: list[EndpointName] = []
        self._by_path: _Places = {}
        self._by_file: dict[str, _File] = {}

    def __len__(self) -> int:
        """Return how many endpoints there are."""
        return len(self._by_path)

    def find(self, path: str) -> ServedEndpoint | None:
        """Return the endpoint of a request's path, or None.

        A slash at the end counts for nothing: some senders and proxies add one.
        """
        place = self._by_path.get(path)
        if place is None:
            place = self._by_path.get(path.removesuffix("/"))
            if place is None:
                return None
        served = place.served
        if served is None:
            served = place.served = ServedEndpoint(
                place.route, place.metrics, self._settings, self._proxy
            )
        return served

    def names(self) -> list[str]:
        """Return all endpoints' names, `namespace/name`, sorted."""
        return sorted(path.removeprefix(PATH_PREFIX) for path in self._by_path)

    def warnings(self) -> list[str]:
        """Return what an operator should fix."""
        if not self._shut:
            return []
        return [f"{len(self._shut)} endpoints ask for a client certificate: {TURN_ON}"]

    def replace(self, tables: Mapping[str, ReceiverTable]) -> None:
        """Take these tables from now on; what did not change keeps its state."""
        for _ in self.replacing(tables):
            pass

    async def replace_in_slices(self, tables: Mapping[str, ReceiverTable]) -> None:
        """Do the same, and let webhooks be served meanwhile: by the tables before, until the end.

        One call at a time.
        """
        for _ in self.replacing(tables):
            await asyncio.sleep(0)

    def replacing(self, tables: Mapping[str, ReceiverTable]) -> Iterator[None]:
        """Build the next table beside the one in force, and put it into force at the end.

        Whoever iterates decides what is done between the slices.
        """
        by_file: dict[str, _File] = {}
        by_path: _Places = {}
        for file, table in tables.items():
            known = self._by_file.get(file)
            if known is None or known[0] is not table:
                places: _Places = {}
                shut: list[EndpointName] = []
                for start in range(0, len(table.routes), SLICE):
                    for route in table.routes[start : start + SLICE]:
                        path = _path(route)
                        places[path] = self._place(path, route)
                        if self._is_shut(route):
                            shut.append(route.endpoint)
                    yield
                known = (table, places, shut)
            by_file[file] = known
            by_path |= known[1]
            yield
        self._metrics.forget(
            place.route.endpoint for path, place in self._by_path.items() if path not in by_path
        )
        self._by_file, self._by_path = by_file, by_path
        self._log_shut([name for _, _, names in by_file.values() for name in names])

    def _is_shut(self, route: ReceiverRoute) -> bool:
        """Say whether a route asks for a client certificate though no header is trusted."""
        return route.authentication.client_certificate is not None and self._proxy is None

    def _log_shut(self, shut: list[EndpointName]) -> None:
        if shut and shut != self._shut:
            _log.warning(
                "client_certificates_off",
                endpoints=[str(each) for each in shut[:MOST_NAMED]],
                count=len(shut),
                fix=f"every webhook of theirs gets 401: {TURN_ON}",
            )
        self._shut = shut

    def _place(self, path: str, route: ReceiverRoute) -> _Place:
        there = self._by_path.get(path)
        if there is not None and there.route == route:
            return there
        metrics = self._metrics.of(route.endpoint) if there is None else there.metrics
        return _Place(route, metrics)


def _path(route: ReceiverRoute) -> str:
    return f"{PATH_PREFIX}{route.namespace}/{route.name}"
