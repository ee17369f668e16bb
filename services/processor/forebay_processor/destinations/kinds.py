"""The table of destination kinds: how each is made, and what it is limited to.

A kind is a field of `DestinationSpec` and of the tables' `Destination`, a module here, and a case
in each function below. A kind that one of them forgets is an error of the types, and of the test
`test_destination_kinds`: an item must never go nowhere and count as delivered.
"""

from collections.abc import Callable
from typing import Final, assert_never

import msgspec

from forebay.core.tables import (
    Batch,
    HttpTarget,
    LogTarget,
    NatsTarget,
    PostgresTarget,
    PythonTarget,
    Target,
)
from forebay_processor.destinations.http.destination import HttpDestination
from forebay_processor.destinations.log import LogDestination
from forebay_processor.destinations.nats.destination import NatsDestination
from forebay_processor.destinations.port import DestinationPort
from forebay_processor.destinations.postgres.destination import PostgresDestination
from forebay_processor.destinations.python.destination import PythonDestination
from forebay_processor.destinations.shared_clients import Clients

__all__ = ["UNBOUNDED", "KindLimits", "limits_of", "made_of"]

UNBOUNDED: Final = 1024
"""Attempts under way at what has no limit of its own: a line in a log takes no time."""


class KindLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination may be asked for by all processors together."""

    in_flight: int = UNBOUNDED
    """Requests under way."""

    rate_per_second: float = 0.0
    """Requests begun in a second; 0 for no limit."""

    is_of_endpoint: bool = False
    """Whether its requests count for the endpoint's `processing.maxInFlight`."""

    batch: Batch | None = None
    """How several items share a request, if they do."""


def made_of(target: Target, clients: Clients, now: Callable[[], float]) -> DestinationPort:
    """Return a destination with these settings.

    Args:
        target: Where to, and how.
        clients: Whose connections, where it needs any.
        now: Seconds since the epoch, by the time of the NATS servers.
    """
    match target:
        case HttpTarget():
            return HttpDestination(target, clients.http, now)
        case LogTarget():
            return LogDestination(now)
        case PostgresTarget():
            return PostgresDestination(target, clients.postgres)
        case NatsTarget():
            return NatsDestination(target, clients.nats)
        case PythonTarget():
            return PythonDestination(target, clients.python)
        case _:
            assert_never(target)


def limits_of(target: Target) -> KindLimits:
    """Return what a destination with these settings is limited to."""
    match target:
        case HttpTarget() | PostgresTarget():
            return KindLimits(
                in_flight=target.max_in_flight,
                rate_per_second=target.rate_per_second,
                is_of_endpoint=True,
                batch=target.batch,
            )
        case LogTarget():
            return KindLimits()
        case NatsTarget() | PythonTarget():
            return KindLimits(
                in_flight=target.max_in_flight,
                rate_per_second=target.rate_per_second,
                is_of_endpoint=True,
            )
        case _:
            assert_never(target)
