"""No destination reaches what is inside, however its address is written."""

import ipaddress
import socket

import pytest

from forebay_processor.destinations.addresses import AddressRefused, Guard

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104  # nothing is bound to it
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0a00:0001",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:0001::1",
    "2002:a9fe:a9fe::",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
]

OUTSIDE = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]

ODD = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "localhost", "", "[::1]"]


@pytest.mark.parametrize("address", [*INSIDE, *ODD])
def test_what_is_inside_is_refused(address: str) -> None:
    assert not Guard().lets_through(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_is_not(address: str) -> None:
    assert Guard().lets_through(address)


def test_allowed_networks_open_what_they_name_and_nothing_else() -> None:
    guard = Guard([ipaddress.ip_network("10.96.0.0/12"), ipaddress.ip_network("fd00::/64")])
    assert guard.lets_through("10.96.0.1")
    assert guard.lets_through("::ffff:10.96.0.1")
    assert guard.lets_through("64:ff9b::10.96.0.1")
    assert guard.lets_through("fd00::1")
    assert not guard.lets_through("10.112.0.1")
    assert not guard.lets_through("127.0.0.1")


def test_denied_networks_close_what_is_public_or_allowed() -> None:
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    guard = Guard(everything, [ipaddress.ip_network("169.254.0.0/16")])
    assert guard.lets_through("10.0.0.1")
    assert not guard.lets_through("169.254.169.254")
    assert not guard.lets_through("::ffff:169.254.169.254")
    assert not Guard((), [ipaddress.ip_network("8.8.8.0/24")]).lets_through("8.8.8.8")


def test_the_refusal_says_what_to_do_and_not_where_it_led() -> None:
    with pytest.raises(AddressRefused, match=r"processors\.allowedNetworks") as caught:
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.1.2.3", 80)))
    assert "10.1.2.3" not in str(caught.value)


def test_a_socket_is_made_for_what_is_public() -> None:
    made = Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 80)))
    made.close()
