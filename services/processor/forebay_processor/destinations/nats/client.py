"""Connections to the NATS servers of destinations: shared, bounded, made anew when they are lost.

Destinations of one namespace with the same servers and the same login share a connection: a server
sees one client for each processor, however many destinations there are. What differs in any of it
shares none, and no tenant shares with another.

Every address goes through the guard, that of each server of a list, at each new connection. What a
server says of its cluster's other servers is not followed: who wants them names them, or a name
that leads to all.

If the process dies, what was under way may have arrived: the target's window for duplicates knows
the message's id.
"""

import asyncio
import functools
import random
import ssl
from collections.abc import Hashable
from typing import Any, Final, Self
from urllib.parse import urlsplit

from forebay.core.endpoint_name import EndpointName
from forebay.core.nats_target import NatsTarget
from forebay.runtime.jetstream.login import signed_credentials
from forebay.runtime.jetstream.outside_connection import (
    OutsideConnection,
    OutsideLost,
    OutsideRefused,
)
from forebay.runtime.supervise import end_tasks
from forebay_processor.destinations.nats.own_nats import OWN_NATS, OwnNats
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.connecting import Connector, Origin
from forebay_processor.destinations.network.name_resolver import Names, looking_for
from forebay_processor.destinations.network.no_answer import NoAnswer, NoAnswerReason
from forebay_processor.destinations.network.tls import UnusableTls, tls_context
from forebay_processor.destinations.port import Trouble

__all__ = ["NatsClient", "NatsFailure", "SharedConnection"]

CONNECTIONS: Final = 512
"""Of all destinations of this process. Above it one goes that has nothing under way, the one that
was used least lately."""

CONNECT_SECONDS: Final = 5.0
"""For one server: name, connection, TLS and login."""

PAUSE_SECONDS: Final = 0.5
"""After a connection that did not come about, in which attempts fail by the same reason at once."""

_PORT: Final = 4222

_WORDS: Final = {
    NoAnswerReason.NO_URL.value: "the host is neither a name nor an address",
    NoAnswerReason.NO_NAME.value: "the name has no address",
    NoAnswerReason.NO_CONNECTION.value: "no connection",
}


class NatsFailure(Exception):  # noqa: N818  # named for what happened
    """There is no connection: nothing was sent."""

    def __init__(self, reason: str, trouble: Trouble = Trouble.DESTINATION) -> None:
        """Take what is reported."""
        super().__init__(reason)
        self.reason = reason
        self.trouble = trouble


class NatsClient:
    """All connections of this process to NATS servers of destinations."""

    def __init__(self, guard: Guard, names: Names, own: OwnNats, limit: int = CONNECTIONS) -> None:
        """Prepare; nothing is opened before it is needed. Needs a running loop.

        Args:
            guard: Says which addresses may be reached.
            names: Finds the addresses of names; closed by whoever made it.
            own: Recognises the servers that Forebay itself stores in.
            limit: Connections that may be open.
        """
        self._connector = Connector(guard, names)
        self._own = own
        self._limit = limit
        self._shared: dict[Hashable, SharedConnection] = {}
        self._open: dict[OutsideConnection, SharedConnection] = {}
        """By when they were used last."""

        self._tasks: set[asyncio.Task[OutsideConnection]] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def shared(self, target: NatsTarget, namespace: str) -> "SharedConnection":
        """Return the connection for a target; the caller uses it until `let_go`."""
        key = (
            namespace,
            *(target.urls, target.user, target.password, target.token, target.credentials),
            *(target.inbox_prefix, target.tls),
        )
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = SharedConnection(self, key, target)
        shared.users += 1
        return shared

    async def close(self) -> None:
        """End all connections; who waits gets an error."""
        await end_tasks(list(self._tasks))
        for connection in list(self._open):
            connection.abort()
        self._shared.clear()

    async def __aenter__(self) -> Self:
        """Open nothing."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        await self.close()

    # -- the shared connections' side

    def begin(
        self, shared: "SharedConnection", endpoint: EndpointName
    ) -> asyncio.Task[OutsideConnection]:
        """Return the task that connects."""
        task = asyncio.create_task(self._connect(shared, endpoint), name="nats destination")
        self._tasks.add(task)
        task.add_done_callback(self._connected)
        return task

    def used(self, connection: OutsideConnection) -> None:
        """Note that a connection is of use."""
        shared = self._open.pop(connection, None)
        if shared is not None:
            self._open[connection] = shared

    def ended(self, connection: OutsideConnection) -> None:
        """Forget a connection that is gone, or is leaving."""
        self._open.pop(connection, None)

    def forget(self, key: Hashable) -> None:
        """Forget what nobody uses."""
        self._shared.pop(key, None)

    def _connected(self, task: asyncio.Task[OutsideConnection]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting any more

    async def _connect(
        self, shared: "SharedConnection", endpoint: EndpointName
    ) -> OutsideConnection:
        self._make_room()
        urls = list(shared.target.urls)
        random.shuffle(urls)
        failed = NatsFailure("no connection")
        for url in urls:
            connection: OutsideConnection | None = None
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    with looking_for(endpoint):
                        connection = await self._opened(shared, url)
                    await self._logged_in(shared, connection, url)
            except NatsFailure as failure:
                failed = failure
            except TimeoutError:
                failed = NatsFailure("the server said nothing in time")
            except UnusableTls as error:
                failed = NatsFailure(str(error), Trouble.REFUSED)
            except OutsideRefused as error:
                failed = NatsFailure(str(error), Trouble.REFUSED)
            except OutsideLost as error:
                failed = NatsFailure(str(error))
            else:
                if connection.is_open:
                    self._open[connection] = shared
                    return connection
                failed = NatsFailure(connection.reason or "the server is leaving")
            finally:
                if connection is not None and connection not in self._open:
                    connection.abort()
        raise failed

    def _make_room(self) -> None:
        # The one that is about to be made is among the tasks.
        if len(self._open) + len(self._tasks) <= self._limit:
            return
        idle = next((each for each in self._open if not each.in_flight), None)
        if idle is None:
            message = f"this processor has {self._limit} connections to NATS, all of them in use"
            raise NatsFailure(message)
        idle.abort()

    async def _opened(self, shared: "SharedConnection", url: str) -> OutsideConnection:
        try:
            parts = urlsplit(url)
            origin = Origin(parts.hostname or "", parts.port or _PORT, None, "")
        except ValueError as error:
            raise NatsFailure(_WORDS[NoAnswerReason.NO_URL]) from error
        try:
            return await self._connector.connect(
                origin, lambda: OutsideConnection(shared.target.inbox_prefix, shared.ended)
            )
        except NoAnswer as failure:
            raise NatsFailure(_WORDS.get(failure.reason, failure.reason)) from failure

    async def _logged_in(
        self, shared: "SharedConnection", connection: OutsideConnection, url: str
    ) -> None:
        info = await connection.greeting()
        objection = self._own.objection(connection.identity(info))
        if objection:
            is_refused = objection == OWN_NATS
            raise NatsFailure(objection, Trouble.REFUSED if is_refused else Trouble.DESTINATION)
        if not info.headers:
            message = "the server takes no headers: use NATS 2.2 or newer"
            raise NatsFailure(message, Trouble.REFUSED)
        if shared.wants_tls or info.tls_required:
            if not (info.tls_required or info.tls_available):
                message = "the server offers no TLS: use nats:// and no `tls`, or another server"
                raise NatsFailure(message, Trouble.REFUSED)
            name = shared.server_name or urlsplit(url).hostname or ""
            try:
                await connection.start_tls(shared.tls(), name.rstrip("."))
            except ssl.CertificateError as error:
                message = "the server's certificate is not trusted"
                raise NatsFailure(message) from error
            except (OSError, RuntimeError) as error:
                if isinstance(error, TimeoutError) and error.errno is None:
                    raise
                message = "no TLS with the server"
                raise NatsFailure(message) from error
        await connection.log_in(_proof(shared.target, info.nonce))


class SharedConnection:
    """The one connection of all destinations with the same servers and login."""

    def __init__(self, client: NatsClient, key: Hashable, target: NatsTarget) -> None:
        """Begin without one."""
        self.target = target
        self.users = 0
        """How many destinations publish over it."""

        tls = target.tls
        self.wants_tls = tls is not None or any(url.startswith("tls:") for url in target.urls)
        self.server_name = "" if tls is None else tls.server_name
        self._client = client
        self._key = key
        self._tls: ssl.SSLContext | None = None
        self._current: OutsideConnection | None = None
        self._connecting: asyncio.Task[OutsideConnection] | None = None
        self._failed: NatsFailure | None = None
        self._failed_at = 0.0

    async def connection(self, endpoint: EndpointName) -> OutsideConnection:
        """Return an open connection; whoever waits says for how long.

        Args:
            endpoint: Whose share of lookups a name counts in.

        Raises:
            NatsFailure: where there is none.
        """
        current = self._current
        if current is not None and current.is_open:
            self._client.used(current)
            return current
        now = asyncio.get_running_loop().time()
        if self._connecting is None:
            if self._failed is not None and now - self._failed_at < PAUSE_SECONDS:
                raise NatsFailure(self._failed.reason, self._failed.trouble)
            self._connecting = self._client.begin(self, endpoint)
            self._connecting.add_done_callback(self._note)
        # Others wait for the same one: it goes on though this one has no more time.
        return await asyncio.shield(self._connecting)

    def tls(self) -> ssl.SSLContext:
        """Return how TLS is to be; raises UnusableTls."""
        if self._tls is None:
            tls = self.target.tls
            self._tls = _system_tls() if tls is None else tls_context(tls)
        return self._tls

    def ended(self, connection: OutsideConnection) -> None:
        """Use another one from now on."""
        self._client.ended(connection)
        if connection is self._current:
            self._current = None

    def let_go(self) -> None:
        """Be used by one destination less; after the last one nothing is kept."""
        self.users -= 1
        if self.users:
            return
        self._client.forget(self._key)
        if self._current is not None:
            self._close_when_done(self._current)

    def _close_when_done(self, connection: OutsideConnection) -> None:
        """Let attempts that are under way end: they have time limits of their own."""
        if connection.in_flight:
            loop = asyncio.get_running_loop()
            loop.call_later(PAUSE_SECONDS, self._close_when_done, connection)
            return
        connection.abort()

    def _note(self, task: asyncio.Task[OutsideConnection]) -> None:
        self._connecting = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._current = task.result()
            if not self.users:
                self._current.abort()
            elif not self._current.is_open:
                self._current = None
        elif isinstance(error, NatsFailure):
            self._failed, self._failed_at = error, asyncio.get_running_loop().time()


@functools.cache
def _system_tls() -> ssl.SSLContext:
    """Return TLS with the system's authorities, for all that say nothing else."""
    return ssl.create_default_context()


def _proof(target: NatsTarget, nonce: str) -> dict[str, Any]:
    """Return what proves who we are, as CONNECT has it; raises NatsFailure."""
    if target.credentials:
        try:
            return signed_credentials(target.credentials, nonce)
        except ValueError as error:
            message = "`credentials` holds no JWT and seed: make it with `nsc generate creds`"
            raise NatsFailure(message, Trouble.REFUSED) from error
    if target.token:
        return {"auth_token": target.token}
    if target.user:
        return {"user": target.user, "pass": target.password}
    return {}
