"""Which addresses a destination may have: none inside our own networks, unless allowed.

The URLs are the tenants'. One that leads to the cloud's metadata service, to a database beside us
or to this process itself would make of us the hand that reaches in. What counts is the address that
is connected to, whatever the name resolved to a moment before: `Guard.socket` is asked for each
connection, by name or by number, and the resolver leaves out what would be refused there, so that a
name with a public and a private address goes on with the public one.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from forebay_processor.destinations.names import Names
from forebay_processor.destinations.networks import (
    Network,
    forms,
    is_in,
    is_local_nat64,
    is_metadata,
    is_public,
)

__all__ = ["AddressRefused", "Guard", "Network", "guarded_connector"]

REFUSED: Final = (
    "a private address: allow its network in processors.allowedNetworks of the chart, "
    "or in FOREBAY_PROCESSOR_ALLOWED_NETWORKS"
)
"""Without the address: what a name leads to inside is none of the tenant's business."""


_NUMBERS: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class AddressRefused(OSError):  # noqa: N818  # named for what happened
    """A destination's address is inside, and not allowed."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(REFUSED)


class Guard:
    """Knows which addresses may be connected to."""

    def __init__(self, allowed: Iterable[Network] = (), denied: Iterable[Network] = ()) -> None:
        """Make a guard.

        Args:
            allowed: Networks that may be reached though they are private. What machines of a cloud
                get their credentials from is open only where it is named alone, as a `/32` or
                `/128`: nobody who opens the network around it means that.
            denied: Networks that may not be reached though they are public, such as a cluster's
                own; goes before `allowed`.
        """
        self._allowed = tuple(allowed)
        self._exact = tuple(each for each in self._allowed if each.num_addresses == 1)
        self._denied = tuple(denied)

    def lets_through(self, text: str) -> bool:
        """Say whether an address may be connected to; what is no plain address may not."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            # `127.1`, `0x7f000001`, `2130706433`: the system would make an address of them.
            return False
        inner = forms(address)
        if any(is_in(form, self._denied) for form in inner):
            return False
        if any(is_metadata(form) and not is_in(form, self._exact) for form in inner):
            return False
        if is_local_nat64(address):
            # Whoever allows such a gateway's own network means what is behind it.
            return is_in(address, self._allowed)
        return all(is_in(form, self._allowed) or is_public(form) for form in inner)

    def socket(
        self, info: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
    ) -> socket.socket:
        """Make the socket for a connection; raises AddressRefused."""
        family, kind, protocol, _, address = info
        if not self.lets_through(address[0]):
            raise AddressRefused
        return socket.socket(family, kind, protocol)


class _GuardedResolver(AbstractResolver):
    """Resolves names, and leaves out what may not be connected to."""

    def __init__(self, guard: Guard, names: Names) -> None:
        self._guard = guard
        self._names = names

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.addresses(host)
        open_ones = [each for each in found if self._guard.lets_through(each.host)]
        if not open_ones:
            raise AddressRefused
        return [
            ResolveResult(
                hostname=host,
                host=each.host,
                port=port,
                family=each.family,
                proto=0,
                flags=_NUMBERS,
            )
            for each in open_ones
            if family in {socket.AF_UNSPEC, each.family}
        ]

    @override
    async def close(self) -> None:
        await self._names.close()


def guarded_connector(guard: Guard, names: Names) -> aiohttp.TCPConnector:
    """Return a connector that reaches no address which the guard refuses."""
    return aiohttp.TCPConnector(
        # Every destination has a limit of its own; waiting here would use up an attempt's time.
        limit=0,
        resolver=_GuardedResolver(guard, names),
        # Whoever waits for a name would wait in it for another tenant's turn; `Names` has its own.
        use_dns_cache=False,
        socket_factory=guard.socket,
    )
