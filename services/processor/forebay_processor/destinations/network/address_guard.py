"""Which addresses a destination may have: none inside our own networks, unless allowed.

The URLs are the tenants'. One that leads to the cloud's metadata service, to a database beside us
or to this process itself would make of us the hand that reaches in. What counts is the address that
is connected to, whatever the name resolved to a moment before: `Guard.socket` is asked for each
connection, by name or by number, and `Guard.open_addresses` leaves out what would be refused there,
so that a name with a public and a private address goes on with the public one.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

from forebay_processor.destinations.network.name_resolver import FoundAddress, Names
from forebay_processor.destinations.network.public_networks import (
    Network,
    forms,
    is_in,
    is_local_nat64,
    is_metadata,
    is_public,
)

__all__ = ["AddressRefused", "Guard", "Network"]

REFUSED: Final = (
    "a private address: allow its network in processors.allowedNetworks of the chart, "
    "or in FOREBAY_PROCESSOR_ALLOWED_NETWORKS"
)
"""Without the address: what a name leads to inside is none of the tenant's business."""


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

    async def open_addresses(self, names: Names, host: str) -> list[FoundAddress]:
        """Return the addresses of a name, without those that may not be connected to.

        Raises:
            NameNotFound: where it has none.
            AddressRefused: where it has no other.
        """
        found = await names.addresses(host)
        open_ones = [each for each in found if self.lets_through(each.host)]
        if not open_ones:
            raise AddressRefused
        return open_ones

    def socket(
        self, info: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
    ) -> socket.socket:
        """Make the socket for a connection; raises AddressRefused."""
        family, kind, protocol, _, address = info
        if not self.lets_through(address[0]):
            raise AddressRefused
        return socket.socket(family, kind, protocol)
