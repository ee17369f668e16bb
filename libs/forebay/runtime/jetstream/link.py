"""The connection to NATS: made in the background, and made again whenever it ends.

A part starts whether NATS is there or not. The client of nats-py connects again by itself, but ends
for good on some answers of the server (a refused password); then this makes a new one.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypedDict

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.fast_subscriptions import QuickClient
from forebay.runtime.log_once import LogOnce
from forebay.runtime.settings import NatsSettings

__all__ = ["CONNECT_SECONDS", "LinkListener", "Login", "NatsLink", "login"]

_log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2
RECONNECT_SECONDS = 0.2
"""Between two attempts: service should be back soon after NATS is, and a refused connection on
a cluster's network costs nothing."""

SAY_AGAIN_SECONDS: Final = 10.0
"""Between two lines that say that NATS cannot be reached."""

PING_SECONDS = 5
PINGS_UNANSWERED = 2
"""A connection that is cut silently is noticed after 15 s; the publishes' own deadline
notices it long before."""


class Login(TypedDict):
    """Arguments of nats-py's `connect`: where, as whom, whom to trust, and where to be answered."""

    servers: list[str]
    user: str | None
    password: str | None
    user_credentials: str | None
    tls: ssl.SSLContext | None
    inbox_prefix: str


def login(settings: NatsSettings) -> Login:
    """Return how a client of nats-py logs in by the settings."""
    return Login(
        servers=list(settings.urls),
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        user_credentials=str(settings.credentials) if settings.credentials else None,
        tls=settings.tls_context() if settings.tls_ca else None,
        inbox_prefix=settings.inbox,
    )


class LinkListener(Protocol):
    """Who wants to know of the connection's ups and downs."""

    async def connected(self, client: Client) -> None:
        """A client is connected for the first time: subscribe here."""

    def reconnected(self) -> None:
        """The same client has a new connection; its subscriptions are there again."""

    def disconnected(self) -> None:
        """The connection is gone: nothing that was in flight will be answered."""


class NatsLink:
    """Keeps one client connected; `run` is its one task."""

    def __init__(self, settings: NatsSettings, name: str, listener: LinkListener) -> None:
        self._settings = settings
        self._name = name
        self._listener = listener
        self._client: Client | None = None
        self._reached = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._client is not None and self._client.is_connected

    @property
    def was_reached(self) -> bool:
        """Whether NATS was reached once since the start."""
        return self._reached.is_set()

    async def wait_reached(self) -> None:
        """Wait until NATS was reached for the first time."""
        await self._reached.wait()

    async def run(self) -> None:
        """Connect, and connect anew whenever the client ended for good; until cancelled."""
        unreached = LogOnce(SAY_AGAIN_SECONDS)
        while True:
            closed = asyncio.Event()
            client = QuickClient()
            try:
                await self._connect(client, closed)
                self._client = client
                await self._listener.connected(client)
                self._reached.set()
                unreached.reset()
                _log.info("nats_connected", version=client.connected_server_version)
                await closed.wait()
                _log.error("nats_closed", reason=_reason(client.last_error))
            except (NatsError, OSError, TimeoutError) as error:
                if unreached.is_due(reason := _reason(error)):
                    _log.warning("nats_connect_failed", reason=reason)
            finally:
                self._client = None
                await _close(client)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect(self, client: Client, closed: asyncio.Event) -> None:
        async def disconnected() -> None:  # nats-py wants a coroutine function
            _log.warning("nats_disconnected")
            self._listener.disconnected()

        async def reconnected() -> None:
            _log.info("nats_reconnected")
            self._listener.reconnected()

        async def ended() -> None:
            self._listener.disconnected()
            closed.set()

        async def failed(error: Exception) -> None:
            _log.debug("nats_error", reason=_reason(error))
            # `asyncio.wait_for` of Python 3.11, by which nats-py connects, loses a cancellation
            # that comes with a failure: the client would try forever, and its owner wait.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError

        settings = self._settings
        await client.connect(
            **login(settings),
            name=self._name,
            connect_timeout=CONNECT_SECONDS,
            reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # passed to sleep()
            max_reconnect_attempts=-1,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=PINGS_UNANSWERED,
            # Nothing is kept while there is no connection: a publish fails at once.
            pending_size=0,
            # Subjects are made by forebay.core.subjects from checked names.
            skip_subject_validation=True,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            closed_cb=ended,
            error_cb=failed,
        )


def _reason(error: object) -> str:
    """Name an error without its text, which can hold a URL with a password."""
    return type(error).__name__


async def _close(client: Client) -> None:
    closing: Callable[[], Awaitable[None]] = client.close
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await closing()
    except (NatsError, OSError, RuntimeError, TimeoutError) as error:
        # RuntimeError is uvloop's, of a connection that went in the same moment.
        _log.debug("nats_close_failed", reason=_reason(error))
