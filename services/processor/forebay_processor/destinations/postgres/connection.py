"""Connections to PostgreSQL that reach no address which the guard refuses.

The client is asyncpg. It is given addresses, never names: what counts is the address that is
connected to, as for `http`. The certificate is checked against the name all the same. Nothing
comes from the environment or from files of this machine, which libpq's way of connecting reads:
the settings are a tenant's.
"""

import asyncio
import contextlib
import ipaddress
import ssl
import weakref
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import asyncpg

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import HttpTls, PostgresTarget
from forebay_processor.destinations.network.address_guard import AddressRefused, Guard
from forebay_processor.destinations.network.name_resolver import Names, looking_for
from forebay_processor.destinations.network.tls import tls_context
from forebay_processor.destinations.postgres.errors import FAILURES
from forebay_processor.destinations.postgres.wire import ServerMisbehaves, WatchingLoop

__all__ = ["PostgresClient", "PostgresConnection", "PostgresTls"]

LOCK_SECONDS: Final = 5
"""How long a statement waits for another's lock, where it has as long. What takes tables away from
us for longer (an index that is built without `concurrently`) is better waited for in RETRY."""

UPGRADE_SECONDS: Final = 20.0
"""For some fifty statements, one after the other, and the wait for other processors."""

MOST_ADDRESSES: Final = 4
"""Of one name: each has its share of the time."""


class PostgresConnection(Protocol):
    """What is used of asyncpg's connection, which ships no types."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement; returns its tag."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Run a statement and return its rows."""

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401  # of any type
        """Run a statement and return the first value of its first row."""

    def transaction(self) -> Any:  # noqa: ANN401  # an asynchronous context
        """Return a transaction to be entered."""

    def is_closed(self) -> bool:
        """Say whether it can be used no more."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  # asyncpg's
        """Say goodbye and close."""

    def terminate(self) -> None:
        """Close without waiting."""


class PostgresClient:
    """Opens connections for this process."""

    def __init__(
        self, guard: Guard, names: Names, upgrade_seconds: float = UPGRADE_SECONDS
    ) -> None:
        """Prepare.

        Args:
            guard: Says which addresses may be reached.
            names: Finds them.
            upgrade_seconds: For one schema to be brought up to date.
        """
        self._guard = guard
        self._names = names
        self._upgrades = upgrade_seconds
        self._upgrading = asyncio.Lock()
        self._own_upgrading = weakref.WeakValueDictionary[str, asyncio.Lock]()
        """By namespace, for those that want the other one."""

    @contextlib.asynccontextmanager
    async def upgrading(self, endpoint: EndpointName) -> AsyncIterator[None]:
        """Bring a schema up to date meanwhile: one at a time in this process, `upgrade`.

        A server that never answers holds up its own tenant's, and all others for `upgrade_seconds`:
        a namespace stands in the queue once.

        Raises:
            TimeoutError: where it takes longer.
        """
        own = self._own_upgrading.setdefault(endpoint.namespace, asyncio.Lock())
        async with own, self._upgrading, asyncio.timeout(self._upgrades):
            yield

    async def connect(
        self,
        target: PostgresTarget,
        tls: "PostgresTls",
        endpoint: EndpointName,
        destination: str,
        *,
        statement_seconds: float | None = None,
    ) -> PostgresConnection:
        """Return a connection to the first host that can be written to.

        Args:
            target: Where to, and as whom.
            tls: The target's.
            endpoint: Whose destination it is: its lookups are counted.
            destination: Its name; both are shown by `pg_stat_activity`.
            statement_seconds: For one statement, where it is not what the manifest says.

        Raises:
            UnusableTls: where a certificate cannot be used.
            OSError: where no host can be reached, by name or by address.
            asyncpg.PostgresError: where a host refuses us.
        """
        failed: BaseException = ConnectionRefusedError()
        seconds = statement_seconds or target.timeout_seconds
        for host, port in target.hosts:
            try:
                addresses = await self._addresses(host, endpoint)
            except OSError as error:
                failed = error
                continue
            for address in addresses:
                # All of them together have as long as one attempt.
                share = target.timeout_seconds / len(target.hosts) / len(addresses)
                where = _Where(address, port, share, seconds)
                try:
                    return await _opened(target, where, tls.of(host), f"{endpoint}/{destination}")
                except FAILURES as error:
                    failed = error
                    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
                        # The same password at the next address would be counted against us.
                        raise
        raise failed

    async def _addresses(self, host: str, endpoint: EndpointName) -> list[str]:
        if _is_number(host):
            if not self._guard.lets_through(host):
                raise AddressRefused
            return [host]
        with looking_for(endpoint):
            found = await self._guard.open_addresses(self._names, host)
        return [each.host for each in found[:MOST_ADDRESSES]]


class _Where(NamedTuple):
    address: str
    port: int
    connect_seconds: float
    statement_seconds: float


async def _opened(
    target: PostgresTarget, where: _Where, tls: ssl.SSLContext | Literal[False], name: str
) -> PostgresConnection:
    seconds = where.statement_seconds
    # Who may take longer than an attempt changes the layout, and waits for others who do.
    is_layout = seconds != target.timeout_seconds
    lock_seconds = seconds if is_layout else min(LOCK_SECONDS, seconds * 0.8)
    settings = {
        "application_name": f"forebay {name}"[:63],
        # A little less than ours: the server gives up what we would not hear of any more.
        "statement_timeout": str(round(seconds * 900)),
        "lock_timeout": str(round(lock_seconds * 1000)),
        "idle_in_transaction_session_timeout": "60000",
        "search_path": f'"{target.schema}"',
    }
    loop = WatchingLoop()
    try:
        connection: PostgresConnection = await asyncpg.connect(
            loop=loop,
            host=where.address,
            port=where.port,
            user=target.user,
            password=target.password,
            database=target.database,
            ssl=tls,
            timeout=where.connect_seconds,
            command_timeout=seconds,
            target_session_attrs="read-write",
            # One statement is used again and again; more than some tell of a fault of ours.
            statement_cache_size=8,
            max_cached_statement_lifetime=0,
            server_settings=settings,
        )
    except FAILURES as error:
        raise loop.objection or error from error
    except Exception as error:
        # Over what no PostgreSQL says of itself asyncpg trips.
        message = "what came is no PostgreSQL"
        raise ServerMisbehaves(message) from error
    return connection


class PostgresTls:
    """TLS with the hosts of one destination, made once for each of them.

    To read a system's authorities takes tens of milliseconds, in which no other work goes on.
    """

    def __init__(self, tls: HttpTls | None) -> None:
        """Make nothing before it is needed; None for no TLS."""
        self._tls = tls
        self._contexts: dict[str, ssl.SSLContext] = {}

    def of(self, host: str) -> ssl.SSLContext | Literal[False]:
        """Return TLS with a host as the manifest names it, as asyncpg takes it.

        Raises:
            UnusableTls: where a certificate cannot be used.
        """
        if self._tls is None:
            return False
        context = self._contexts.get(host)
        if context is None:
            context = self._contexts[host] = _context(self._tls, host)
        return context


def _context(tls: HttpTls, host: str) -> ssl.SSLContext:
    """Return TLS that asks for, and checks, the host's name: asyncpg knows the address only."""
    context = tls_context(tls)
    name = (tls.server_name or host).rstrip(".")
    wrap = context.wrap_bio

    def wrap_bio(
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # as the class has it
        server_hostname: str | bytes | None = None,  # noqa: ARG001  # the address
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return wrap(incoming, outgoing, server_side, name, session)

    context.wrap_bio = wrap_bio  # type: ignore[method-assign]
    return context


def _is_number(host: str) -> bool:
    """Say whether a host is written as an address, whatever it is worth."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit()
    return True
