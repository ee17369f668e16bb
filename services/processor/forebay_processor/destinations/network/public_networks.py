"""Which addresses are public: a table of our own, after IANA's special-purpose registries.

`ipaddress.is_global` differs from one Python to the next (192.0.0.192, where Oracle Cloud keeps its
metadata, is public on 3.11 and private on 3.13), and knows no cloud's services at public addresses.
So nothing here asks it: this is plain arithmetic on networks, and a test runs it on every Python
that we support. Nothing but the standard library is imported, for that test's sake.

IPv6 is closed by default: IANA has allotted 2000::/3 and nothing else to what is reachable by all.
Forms of IPv6 that only wrap an IPv4 address count as both.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries, the IPv6 Address Space registry,
RFC 6052 (NAT64), and the clouds' documentation of their metadata services; as of 2026.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

__all__ = ["Address", "Network", "forms", "is_in", "is_local_nat64", "is_metadata", "is_public"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_SPECIAL_IPV4: Final = _networks(
    "0.0.0.0/8",  # this network; 0.0.0.0 is this host
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # carriers
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local, with most clouds' metadata
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # protocol assignments, with Oracle's metadata
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # multicast tunnels
    "192.88.99.0/24",  # 6to4 relays, given up
    "192.168.0.0/16",  # private
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved; the last one is broadcast
)

_ALLOTTED_IPV6: Final = _networks("2000::/3", "64:ff9b::/96")
"""What is reachable by all: global unicast, and NAT64, whose inner address counts as well."""

_SPECIAL_IPV6: Final = _networks(
    "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4: given up, and it leads to an IPv4 address
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
)

_METADATA: Final = _networks(
    "168.63.129.16/32",  # Azure's host, at a public address
    "169.254.169.254/32",  # AWS, Azure, Google, Oracle, OpenStack and more
    "169.254.170.2/32",  # AWS, containers
    "169.254.170.23/32",  # AWS, pods
    "169.254.169.253/32",  # AWS, resolver
    "169.254.42.42/32",  # Scaleway
    "100.100.100.200/32",  # Alibaba
    "192.0.0.192/32",  # Oracle
    "fd00:ec2::254/128",  # AWS
    "fd00:ec2::23/128",  # AWS, pods
    "fd00:ec2::253/128",  # AWS, resolver
    "fd20:ce::254/128",  # Google
    "fd00:42::42/128",  # Scaleway
    "fe80::a9fe:a9fe/128",  # OpenStack
)

_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE: Final = IPv6Network("::/96")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")

_LOW: Final = 0xFFFF_FFFF


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Say whether an address is in one of some networks."""
    # A network of the other version holds no address.
    return any(address in network for network in networks)


def is_public(address: Address) -> bool:
    """Say whether an address is reachable by all; of one that wraps another, ask for both."""
    if is_metadata(address):
        return False
    if isinstance(address, IPv4Address):
        return not is_in(address, _SPECIAL_IPV4)
    return is_in(address, _ALLOTTED_IPV6) and not is_in(address, _SPECIAL_IPV6)


def is_metadata(address: Address) -> bool:
    """Say whether a cloud's machines get their credentials or settings there."""
    return is_in(address, _METADATA)


def is_local_nat64(address: Address) -> bool:
    """Say whether it leads through a gateway to IPv4 addresses that only a network's own know."""
    return address in _LOCAL_NAT64


def forms(address: Address) -> tuple[Address, ...]:
    """Return an address and those that a gateway or the system may make of it.

    An IPv4-mapped address is the IPv4 address and nothing else.
    """
    if isinstance(address, IPv4Address):
        return (address,)
    if address in _MAPPED:
        return (IPv4Address(int(address) & _LOW),)
    return (address, *_inner(address))


def _inner(address: IPv6Address) -> Iterator[IPv4Address]:
    value = int(address)
    if address in _NAT64 or (address in _COMPATIBLE and value > 1) or address in _TRANSLATED:
        # Not `::` and `::1`, which are themselves: who allows loopback means ::1.
        yield IPv4Address(value & _LOW)
    elif address in _SIX_TO_FOUR:
        yield IPv4Address(value >> 80 & _LOW)
    elif address in _TEREDO:
        yield IPv4Address(value >> 64 & _LOW)
        yield IPv4Address(~value & _LOW)
    elif address in _LOCAL_NAT64:
        # The gateway's prefix is one of these lengths (RFC 6052), and we do not know which; an
        # octet in the middle, bits 64 to 71, is left out.
        joined = (value >> 64) << 56 | value & 0xFF_FFFF_FFFF_FFFF
        yield IPv4Address(value & _LOW)
        for length in (48, 56, 64):
            yield IPv4Address(joined >> (120 - length - 32) & _LOW)
