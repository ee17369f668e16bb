"""The servers of a NATS cluster, and how to log in to one."""

import random
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from forebay.core.errors import ConfigurationError
from forebay.runtime.jetstream.login import CLIENT_OPTIONS, signed_credentials
from forebay.runtime.jetstream.nats_wire import ServerInfo
from forebay.runtime.settings import NatsSettings

__all__ = ["Server", "ServerPool", "authenticate"]

DEFAULT_PORT = 4222


class Server(NamedTuple):
    """One server of a cluster."""

    host: str
    port: int
    is_tls: bool = False
    user: str | None = None
    password: str | None = None

    @property
    def name(self) -> str:
        """How logs name it: never with what is secret in its URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "Server":
        """Read `nats://host:port` or `tls://..`; raises ConfigurationError."""
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        message = "the setting FOREBAY_NATS_URL is no nats://host:port"
        try:
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError as error:
            raise ConfigurationError(message) from error
        if not host:
            raise ConfigurationError(message)
        return cls(
            host,
            port,
            parts.scheme == "tls",
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


class ServerPool:
    """Servers to try, in turn: those of the settings, and those that servers announce."""

    def __init__(self, urls: Iterable[str]) -> None:
        configured = [Server.parse(url) for url in urls]
        # Many receivers start at once: they should not all go to the first server.
        random.shuffle(configured)
        self._servers = deque(configured)
        self._is_tls = any(server.is_tls for server in configured)
        self._login = configured[0] if configured else Server("127.0.0.1", DEFAULT_PORT)

    def __len__(self) -> int:
        """Return how many servers are known."""
        return len(self._servers)

    def next(self) -> Server:
        """Return the server to try now; it is the last in the row from then on."""
        self._servers.rotate(-1)
        return self._servers[-1]

    def learn(self, addresses: Iterable[str]) -> None:
        """Add servers, `host:port`, that are not known yet; they log in as the first one does."""
        for address in addresses:
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            if not port.isdigit() or any(
                (server.host, server.port) == (host, int(port)) for server in self._servers
            ):
                continue
            self._servers.append(
                Server(host, int(port), self._is_tls, self._login.user, self._login.password)
            )


def authenticate(settings: NatsSettings, server: Server, info: ServerInfo) -> dict[str, Any]:
    """Return the options of a CONNECT: who we are, and the proof of it.

    Raises:
        OSError: where the file with credentials cannot be read.
        ConfigurationError: where it holds none.
    """
    user = settings.user or server.user
    if settings.credentials is not None:
        return {**CLIENT_OPTIONS, **_credentials(settings.credentials, info.nonce)}
    if user is not None:
        password = settings.password.get_secret_value() if settings.password else server.password
        return {**CLIENT_OPTIONS, "user": user, "pass": password or ""}
    return dict(CLIENT_OPTIONS)


def _credentials(file: Path, nonce: str) -> dict[str, str]:
    """Read who we are, anew for each connection since secrets change, and sign the nonce."""
    try:
        return signed_credentials(file.read_text(), nonce)
    except ValueError as error:
        message = "FOREBAY_NATS_CREDENTIALS holds no credentials: make them with `nsc`"
        raise ConfigurationError(message) from error
