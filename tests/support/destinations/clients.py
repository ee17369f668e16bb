"""What destinations of every kind are made with, as in a processor, for tests without one."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable

from forebay.runtime.jetstream.server_identity import ServerIdentity
from forebay_processor.destinations.nats.client import CONNECTIONS, NatsClient
from forebay_processor.destinations.nats.own_nats import OwnNats
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.postgres.connection import PostgresClient
from forebay_processor.destinations.python.modules import PythonModules
from forebay_processor.destinations.shared_clients import Clients
from support.destinations.http_destination import LOOPBACK, own_client

__all__ = ["own_clients", "own_nats_client"]

SOMEWHERE = ServerIdentity("OWN", "", frozenset(), "192.0.2.1:4222")
"""Our own NATS, where a test has none."""


@contextlib.asynccontextmanager
async def own_nats_client(
    guard: Guard | None = None,
    *,
    own: Callable[[], ServerIdentity | None] = lambda: SOMEWHERE,
    is_own_allowed: bool = False,
    limit: int = CONNECTIONS,
) -> AsyncIterator[NatsClient]:
    """Give connections to NATS servers; loopback may be reached where nothing else is said."""
    names = Names(time.monotonic)
    is_own = OwnNats(own, is_allowed=is_own_allowed)
    try:
        async with NatsClient(guard or Guard(LOOPBACK), names, is_own, limit) as client:
            yield client
    finally:
        await names.close()


@contextlib.asynccontextmanager
async def own_clients() -> AsyncIterator[Clients]:
    """Give one of each."""
    async with own_client() as http, own_nats_client() as nats, PythonModules(()) as python:
        postgres = PostgresClient(Guard(LOOPBACK), Names(time.monotonic))
        yield Clients(http=http, postgres=postgres, nats=nats, python=python)
