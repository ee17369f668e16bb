"""What destinations of each kind are made with: one of each for the process."""

import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec

from forebay.runtime.jetstream.server_identity import ServerIdentity
from forebay_processor.destinations.http.client import HttpClient
from forebay_processor.destinations.nats.client import NatsClient
from forebay_processor.destinations.nats.own_nats import OwnNats
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.postgres.connection import PostgresClient
from forebay_processor.destinations.python.modules import PythonModules
from forebay_processor.settings import ProcessorSettings

__all__ = ["Clients", "open_clients"]


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """Whose connections they use, where they need any."""

    http: HttpClient
    postgres: PostgresClient
    nats: NatsClient
    python: PythonModules


@contextlib.asynccontextmanager
async def open_clients(
    settings: ProcessorSettings,
    clock: Callable[[], float],
    own_server: Callable[[], ServerIdentity | None],
) -> AsyncIterator[Clients]:
    """Give one of each, and close all at the end. Needs a running loop.

    Args:
        settings: What may be reached, and what may run.
        clock: Seconds that never go back.
        own_server: The NATS that Forebay itself is connected to at this moment.
    """
    names = Names(clock, settings.nameservers)
    guard = Guard(settings.allowed_networks, settings.denied_networks)
    own_nats = OwnNats(own_server, is_allowed=settings.own_nats)
    async with (
        HttpClient(guard, names) as http,
        NatsClient(guard, names, own_nats) as nats,
        PythonModules(settings.python_modules, settings.python_path) as python,
    ):
        postgres = PostgresClient(guard, names)
        yield Clients(http=http, postgres=postgres, nats=nats, python=python)
