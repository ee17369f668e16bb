"""Opens connections to destinations: a name, an address that the guard lets through, TLS.

What counts is the address that is connected to: `Guard.socket` makes each socket and refuses before
there is one. The certificate is checked against the URL's host, or the manifest's `serverName`, and
never against the address.
"""

import asyncio
import contextlib
import functools
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeVar

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType
from yarl import URL

from forebay_processor.destinations.network.address_guard import AddressRefused, Guard
from forebay_processor.destinations.network.name_resolver import NameNotFound, Names
from forebay_processor.destinations.network.no_answer import (
    NoAnswer,
    NoAnswerReason,
    NoConnection,
)

__all__ = ["Connector", "Origin", "default_tls", "origin_of"]

HEAD_START_SECONDS: Final = 0.25
"""For one of several addresses, before the next is tried beside it (RFC 8305)."""

SHUTDOWN_SECONDS: Final = 1.0
"""How long the other side has for its goodbye of TLS."""


_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


class Origin(NamedTuple):
    """Where connections lead to, and as whom: what differs in any of it shares none."""

    host: str
    """As it is looked up, or an address."""

    port: int
    tls: ssl.SSLContext | None
    server_name: str
    """What the certificate has to say; empty without TLS."""


@functools.cache
def default_tls() -> ssl.SSLContext:
    """Return TLS with the system's authorities, for all destinations that say nothing else."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def origin_of(url: URL, tls: ssl.SSLContext | None, server_name: str | None) -> Origin:
    """Return where a URL leads to; TLS and its name count for https only."""
    host = url.raw_host or ""
    if host.endswith(".."):
        host = host.rstrip(".") + "."
    port = url.port or 0
    if url.scheme != "https":
        return Origin(host, port, None, "")
    # Certificates have names without the dot at their end.
    return Origin(host, port, tls or default_tls(), (server_name or host).rstrip("."))


class Connector:
    """Opens connections that reach no address which the guard refuses."""

    def __init__(self, guard: Guard, names: Names) -> None:
        """Take who says which addresses may be reached, and who finds them."""
        self._guard = guard
        self._names = names

    async def connect(self, origin: Origin, factory: Callable[[], _Protocol]) -> _Protocol:
        """Return an open connection; whoever waits says for how long.

        Raises:
            NoAnswer: where the host is no name and no address.
            NoConnection: where there is no connection, or an address is refused.
        """
        loop = asyncio.get_running_loop()
        addresses = await self._addresses(origin)
        failed = NoConnection(NoAnswerReason.NO_CONNECTION)
        while addresses:
            try:
                return await self._connect(loop, origin, addresses, factory)
            except NoConnection as failure:
                failed = failure
                aiohappyeyeballs.pop_addr_infos_interleave(addresses)
        raise failed

    async def _addresses(self, origin: Origin) -> list[AddrInfoType]:
        host = origin.host
        if _is_number(host):
            if ":" not in host and not _is_address(host):
                # `127.1`, `2130706433`: the system would make an address of them.
                raise NoAnswer(NoAnswerReason.NO_URL)
            return [_info(host, origin.port)]
        try:
            found = await self._guard.open_addresses(self._names, host)
        except AddressRefused as refused:
            raise NoConnection(str(refused)) from refused
        except NameNotFound as missing:
            raise NoConnection(NoAnswerReason.NO_NAME) from missing
        return [_info(each.host, origin.port) for each in found]

    async def _connect(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        addresses: list[AddrInfoType],
        factory: Callable[[], _Protocol],
    ) -> _Protocol:
        """Connect to the first address that answers."""
        with _as_failures():
            opened = await aiohappyeyeballs.start_connection(
                addresses,
                happy_eyeballs_delay=HEAD_START_SECONDS,
                loop=loop,
                socket_factory=self._guard.socket,
            )
            if origin.tls is None:
                _, connection = await loop.create_connection(factory, sock=opened)
            else:
                _, connection = await loop.create_connection(
                    factory,
                    sock=opened,
                    ssl=origin.tls,
                    server_hostname=origin.server_name,
                    ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                )
        return connection


@contextlib.contextmanager
def _as_failures() -> Iterator[None]:
    """Turn what the system and TLS raise into what is reported."""
    try:
        yield
    except AddressRefused as refused:
        raise NoConnection(str(refused)) from refused
    except ssl.CertificateError as error:
        raise NoConnection(NoAnswerReason.BAD_CERTIFICATE) from error
    except ssl.SSLError as error:
        raise NoConnection(NoAnswerReason.NO_TLS) from error
    except (OSError, RuntimeError) as error:
        if isinstance(error, TimeoutError) and error.errno is None:
            # Of whoever waits for this.
            raise
        raise NoConnection(NoAnswerReason.NO_CONNECTION) from error


def _is_number(host: str) -> bool:
    """Say whether a host is written as an address of either family, whatever it is worth."""
    return ":" in host or host.replace(".", "").isdigit()


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _info(host: str, port: int) -> AddrInfoType:
    if ":" in host:
        return (
            socket.AF_INET6,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            "",
            (host, port, 0, 0),
        )
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
