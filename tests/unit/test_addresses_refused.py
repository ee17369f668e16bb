"""No destination reaches what is inside, however its address is written."""

import ipaddress
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from forebay_processor.destinations.network import public_networks
from forebay_processor.destinations.network.address_guard import AddressRefused, Guard

TABLE = Path(__file__).parents[1] / "data" / "addresses.json"
VERDICTS: dict[str, list[str]] = json.loads(TABLE.read_text())

ODD = [
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "١٢٧.0.0.1",
    "localhost",
    "",
    "[::1]",
]

PYTHONS = ("3.11", "3.12", "3.13")
"""What `pyproject.toml` allows and this machine may have."""

UNDER_ANOTHER = """
import importlib.util, ipaddress, json, sys
spec = importlib.util.spec_from_file_location("networks", sys.argv[1])
networks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(networks)
addresses = json.load(sys.stdin)
print(json.dumps([
    sys.version_info[:2],
    [all(networks.is_public(form) for form in networks.forms(ipaddress.ip_address(each)))
     for each in addresses],
]))
"""


def network(text: str) -> public_networks.Network:
    return ipaddress.ip_network(text)


def interpreter(version: str) -> str | None:
    """Find a Python: beside pyenv's others, or on the PATH."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(installed[-1]) if installed else shutil.which(f"python{version}")


@pytest.mark.parametrize("address", [*VERDICTS["inside"], *ODD])
def test_what_is_inside_is_refused(address: str) -> None:
    assert not Guard().lets_through(address)


@pytest.mark.parametrize("address", VERDICTS["outside"])
def test_what_is_public_is_not(address: str) -> None:
    assert Guard().lets_through(address)


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_draws_the_same_line(version: str) -> None:
    program = interpreter(version)
    if program is None:
        pytest.skip(f"NOT TESTED: there is no Python {version} on this machine")
    asked = [*VERDICTS["inside"], *VERDICTS["outside"]]
    done = subprocess.run(
        [program, "-I", "-c", UNDER_ANOTHER, public_networks.__file__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode and "pyenv" in done.stderr:
        pytest.skip(f"NOT TESTED: there is no Python {version} on this machine")
    assert done.returncode == 0, done.stderr
    spoken, verdicts = json.loads(done.stdout)
    assert ".".join(map(str, spoken)) == version
    verdict_of = dict(zip(asked, verdicts, strict=True))
    assert [each for each in VERDICTS["inside"] if verdict_of[each]] == []
    assert [each for each in VERDICTS["outside"] if not verdict_of[each]] == []


def test_allowed_networks_open_what_they_name_and_nothing_else() -> None:
    guard = Guard([network("10.96.0.0/12"), network("fd00::/64")])
    assert guard.lets_through("10.96.0.1")
    assert guard.lets_through("::ffff:10.96.0.1")
    assert guard.lets_through("64:ff9b::10.96.0.1")
    assert guard.lets_through("fd00::1")
    assert not guard.lets_through("10.112.0.1")
    assert not guard.lets_through("64:ff9b::10.112.0.1")
    assert not guard.lets_through("64:ff9b:1::10.96.0.1")
    assert not guard.lets_through("::10.96.0.1")
    assert not guard.lets_through("127.0.0.1")


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:808:8:800::",
        "64:ff9b:1:8:8:808::",
        "64:ff9b:1::8:808:800:0",
        "2002:808:808::1",
        "2001:0:808:808::1",
        "2001:0:102:304::f7f7:f7f7",
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
    ],
)
def test_a_denied_network_is_closed_in_each_of_its_forms(address: str) -> None:
    everything = [network("0.0.0.0/0"), network("::/0")]
    assert Guard(everything).lets_through(address)
    assert not Guard(everything, [network("8.8.8.0/24")]).lets_through(address)


def test_a_denied_network_is_closed_without_any_allowed_one() -> None:
    guard = Guard((), [network("8.8.8.0/24"), network("2606:4700::/32")])
    assert not guard.lets_through("8.8.8.8")
    assert not guard.lets_through("64:ff9b::8.8.8.8")
    assert not guard.lets_through("2606:4700:4700::1111")
    assert guard.lets_through("64:ff9b::8.8.4.4")


def test_a_clouds_metadata_is_open_only_where_it_is_named_alone() -> None:
    wide = [network("0.0.0.0/0"), network("::/0")]
    named = [*wide, network("169.254.169.254/32"), network("fd00:ec2::254/128")]
    for address in ("169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"):
        assert not Guard(wide).lets_through(address)
        assert Guard(named).lets_through(address)
    for address in ("168.63.129.16", "192.0.0.192", "100.100.100.200", "64:ff9b:1::a83f:8110"):
        assert not Guard(named).lets_through(address)


def test_the_refusal_says_what_to_do_and_not_where_it_led() -> None:
    with pytest.raises(AddressRefused, match=r"processors\.allowedNetworks") as caught:
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.1.2.3", 80)))
    assert "10.1.2.3" not in str(caught.value)


def test_a_socket_is_made_for_what_is_public() -> None:
    made = Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 80)))
    made.close()
