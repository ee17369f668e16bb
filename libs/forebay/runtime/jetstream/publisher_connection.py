"""One connection of a publisher to one server of NATS: made, kept alive, left.

For `publisher` only. Servers of the pool are tried in turns; each reason for not reaching one is
logged once, and then now and again.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from forebay.core.errors import ConfigurationError
from forebay.runtime.jetstream.nats_wire import PING, ServerInfo, WireProtocol, connect_command
from forebay.runtime.jetstream.server_identity import ServerIdentity
from forebay.runtime.jetstream.servers import ServerPool, authenticate
from forebay.runtime.log_once import LogOnce
from forebay.runtime.settings import NatsSettings

__all__ = [
    "CONNECT_SECONDS",
    "PINGS_UNANSWERED",
    "PING_SECONDS",
    "PublisherConnection",
    "ServerConnector",
]

_log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 2.0
"""For a server to take a connection, say who it is and answer a PING."""

SAY_AGAIN_SECONDS: Final = 10.0
"""Between two lines in the log on the same failure: five attempts a second would fill it."""

PING_SECONDS: Final = 5.0
PINGS_UNANSWERED: Final = 2
"""A connection that is cut silently ends after 15 s; the publishes' own deadline notices it
long before."""


class PublisherConnection:
    """One connection to one server, until it is lost or left."""

    def __init__(
        self,
        on_answer: Callable[[bytes, bytes], None],
        on_servers: Callable[[Sequence[str]], None],
        on_lost: Callable[["PublisherConnection"], None],
    ) -> None:
        """Prepare; `ServerConnector` makes and connects it.

        Args:
            on_answer: Called with subject and payload of each message from the inbox.
            on_servers: Called with the other servers of the cluster.
            on_lost: Called once, when the connection is gone; also where none came about.
        """
        self.on_message = on_answer
        self._on_servers = on_servers
        self._on_lost = on_lost
        self.wire = WireProtocol(self)
        self.info: asyncio.Future[ServerInfo] = asyncio.get_running_loop().create_future()
        self.pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Set when it is lost, or when its server wants to be left."""

        self.is_lost = False
        self.refusal = ""
        self.max_payload = 0
        self._unanswered = 0

    def on_info(self, info: ServerInfo) -> None:
        """Take what the server says of itself (`WireListener`)."""
        self.max_payload = info.max_payload
        self._on_servers(info.connect_urls)
        if not self.info.done():
            self.info.set_result(info)
        if info.ldm and not self.ended.done():
            _log.info("nats_lame_duck")
            self.ended.set_result(None)

    def on_pong(self) -> None:
        """Take a sign of life (`WireListener`)."""
        self._unanswered = 0
        if not self.pong.done():
            self.pong.set_result(None)

    def on_error(self, text: str) -> None:
        """Take what the server refused (`WireListener`)."""
        if text != self.refusal:  # a line for each refused publish would fill the log
            _log.warning("nats_refused", reason=text)
        self.refusal = text

    def on_lost(self) -> None:
        """End all that waits for the server (`WireListener`)."""
        self.is_lost = True
        for future in (self.info, self.pong):
            if not future.done():
                # Not a cancellation: whoever waits could not distinguish it from its own.
                future.set_exception(ConnectionError("the connection was lost"))
                future.exception()  # nobody may be waiting, and that is no error
        if not self.ended.done():
            self.ended.set_result(None)
        self._on_lost(self)

    @property
    def identity(self) -> ServerIdentity | None:
        """Which server this is; None once the connection is gone."""
        transport = self.wire.transport
        if transport is None or not self.info.done() or self.info.exception() is not None:
            return None
        return self.info.result().identity(transport.get_extra_info("peername"))

    async def keep_alive(self) -> None:
        """Ask for a sign of life again and again; end the connection where none comes."""
        while not self.is_lost:
            await asyncio.sleep(PING_SECONDS)
            if self._unanswered >= PINGS_UNANSWERED:
                self.wire.close()
                return
            self._unanswered += 1
            self.wire.write(PING)


class ServerConnector:
    """Connects to one server after the other, as the settings say."""

    def __init__(self, settings: NatsSettings, name: str, inbox: str) -> None:
        """Prepare.

        Args:
            settings: Where NATS is and how to log in.
            name: How the server's own lists name the connection.
            inbox: The prefix of the subjects that answers come on.
        """
        self._pool = ServerPool(settings.urls)
        self._settings = settings
        self._name = name
        self._inbox = inbox
        self._unreached = LogOnce(SAY_AGAIN_SECONDS, asyncio.get_running_loop().time)

    async def connect(
        self,
        on_answer: Callable[[bytes, bytes], None],
        on_lost: Callable[[PublisherConnection], None],
    ) -> PublisherConnection | None:
        """Connect to the pool's next server; returns None where that did not work out.

        Takes what `PublisherConnection` takes.
        """
        server = self._pool.next()
        connection = PublisherConnection(on_answer, self._pool.learn, on_lost)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.create_connection(lambda: connection.wire, server.host, server.port)
                info = await connection.info
                if server.is_tls or info.tls_required or self._settings.tls_ca is not None:
                    await self._start_tls(connection, server.host)
                options = authenticate(self._settings, server, info)
                connection.wire.write(
                    connect_command({**options, "name": self._name})
                    + f"SUB {self._inbox}* 1\r\n".encode()
                    + PING
                )
                await connection.pong
        except ConfigurationError as error:
            # Credentials that are being replaced: whole again at one of the next attempts.
            connection.wire.close()
            self._say_failed(server.name, str(error))
            return None
        except (OSError, TimeoutError) as error:
            connection.wire.close()
            self._say_failed(server.name, connection.refusal or type(error).__name__)
            return None
        except asyncio.CancelledError:
            connection.wire.close()
            raise
        self._unreached.reset()
        _log.info("nats_connected", server=server.name, version=info.version)
        return connection

    def _say_failed(self, server: str, reason: str) -> None:
        """Log that a server could not be reached: when that is new, and then now and again."""
        if self._unreached.is_due(reason):
            _log.warning("nats_connect_failed", server=server, reason=reason)

    async def _start_tls(self, connection: PublisherConnection, host: str) -> None:
        loop, wire = asyncio.get_running_loop(), connection.wire
        if wire.transport is None:
            return
        context = self._settings.tls_context()
        wire.transport = await loop.start_tls(wire.transport, wire, context, server_hostname=host)
