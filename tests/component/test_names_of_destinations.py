"""Names are resolved as on Kubernetes, and none that hangs holds up another tenant's."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay_processor.destinations.network.name_resolver import (
    CACHE_SECONDS,
    LOOKUPS,
    FoundAddress,
    NameNotFound,
    Names,
    looking_for,
)
from support.destinations.dns_server import DnsServer
from support.timing.wait import eventually

SHOP = EndpointName("acme", "shop")
OTHER = EndpointName("other", "shop")
SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
"""As the kubelet writes them into a pod's `/etc/resolv.conf`, with `ndots:5`."""


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        server.silent.add("hangs.test")
        server.names["good.test"] = ("127.0.0.5",)
        yield server


class Turned:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
async def clock() -> Turned:
    return Turned()


@pytest.fixture
async def names(dns: DnsServer, clock: Turned) -> AsyncIterator[Names]:
    made = Names(clock, (dns.address,), domains=SEARCH, ndots=5, timeout=1, tries=10)
    yield made
    await made.close()


async def hosts(names: Names, name: str) -> list[str]:
    return sorted(each.host for each in await names.addresses(name))


async def cancelled(*tasks: asyncio.Task[list[FoundAddress]]) -> None:
    """Let nobody wait for these any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_short_names_are_those_of_the_own_namespace(dns: DnsServer, names: Names) -> None:
    dns.names["crm.shop.svc.cluster.local"] = ("127.0.0.2",)
    dns.names["crm.sales.svc.cluster.local"] = ("127.0.0.3",)
    dns.names["api.vendor.test"] = ("127.0.0.4",)
    assert await hosts(names, "crm") == ["127.0.0.2"]
    assert await hosts(names, "crm.sales") == ["127.0.0.3"]
    assert await hosts(names, "crm.sales.svc") == ["127.0.0.3"]
    assert await hosts(names, "crm.sales.svc.cluster.local") == ["127.0.0.3"]
    assert await hosts(names, "api.vendor.test") == ["127.0.0.4"]


async def test_a_name_with_a_dot_at_its_end_is_asked_for_as_it_is(
    dns: DnsServer, names: Names
) -> None:
    assert await hosts(names, "good.test.") == ["127.0.0.5"]
    assert [name for name in dns.asked if name.endswith("local")] == []


async def test_both_families_come(dns: DnsServer, names: Names) -> None:
    dns.names["both.test"] = ("127.0.0.6", "fd00::6")
    found = await names.addresses("both.test.")
    assert {each.family for each in found} == {socket.AF_INET, socket.AF_INET6}
    assert sorted(each.host for each in found) == ["127.0.0.6", "fd00::6"]


async def test_an_address_of_one_family_alone_will_do(dns: DnsServer, names: Names) -> None:
    dns.names["six.test"] = ("fd00::7",)
    assert await hosts(names, "six.test.") == ["fd00::7"]


async def test_names_of_the_machine_s_own_file_are_known(names: Names) -> None:
    assert "127.0.0.1" in await hosts(names, "localhost")


async def test_a_long_answer_comes_over_tcp(dns: DnsServer, names: Names) -> None:
    many = tuple(f"127.0.1.{number}" for number in range(1, 200))
    dns.names["long.test"] = many
    dns.long.add("long.test")
    assert await hosts(names, "long.test.") == sorted(many)
    assert "long.test" in dns.over_tcp


@pytest.mark.parametrize("name", ["nowhere.test", "bücher.test", "x" * 70 + ".test", "a..test"])
async def test_a_name_that_does_not_exist_is_not_found(names: Names, name: str) -> None:
    with pytest.raises(NameNotFound):
        await names.addresses(name)


async def test_addresses_are_kept_for_as_long_as_the_server_says(
    dns: DnsServer, names: Names, clock: Turned
) -> None:
    dns.ttl = 1
    for _ in range(3):
        assert await hosts(names, "good.test.") == ["127.0.0.5"]
    assert dns.asked["good.test"] == 1
    dns.names["good.test"] = ("127.0.0.9",)
    clock.now += dns.ttl + 0.1
    # The library keeps an answer for as long as it says, by the machine's own clock.
    await eventually(lambda: _is_known(names, clock, "127.0.0.9"))


async def test_of_many_names_those_whose_time_is_over_are_forgotten(
    dns: DnsServer, clock: Turned
) -> None:
    made = Names(clock, (dns.address,), limit=3)
    try:
        for number in range(5):
            # As they stand, without a question: so many may be kept while their time lasts.
            await made.addresses(f"10.0.0.{number}")
        assert made.kept == 5
        clock.now += CACHE_SECONDS[1]
        await made.addresses("10.0.0.5")
        assert made.kept == 1
    finally:
        await made.close()


async def test_a_burst_is_one_question_though_the_server_lets_nothing_be_kept(
    dns: DnsServer, names: Names
) -> None:
    dns.ttl = 0
    for _ in range(3):
        assert await hosts(names, "good.test.") == ["127.0.0.5"]
    assert dns.asked["good.test"] == 1


async def _is_known(names: Names, clock: Turned, address: str) -> bool:
    clock.now += 100
    return await hosts(names, "good.test.") == [address]


async def test_a_name_is_asked_for_once_at_a_time(dns: DnsServer, names: Names) -> None:
    found = await asyncio.gather(*(names.addresses("good.test.") for _ in range(20)))
    assert {each[0].host for each in found} == {"127.0.0.5"}
    assert dns.asked["good.test"] == 1


@pytest.mark.parametrize("hanging", [2, 5, 40])
async def test_names_that_hang_hold_up_no_other_endpoint(names: Names, hanging: int) -> None:
    with looking_for(SHOP):
        asked = [
            asyncio.create_task(names.addresses(f"{number}.hangs.test."))
            for number in range(hanging)
        ]
        waiting = asyncio.create_task(names.addresses("good.test."))
    await eventually(lambda: names.under_way >= min(hanging, LOOKUPS))
    assert names.under_way <= LOOKUPS
    with looking_for(OTHER):
        assert await hosts(names, "good.test.") == ["127.0.0.5"]
    assert [task for task in asked if task.done()] == []
    if hanging < LOOKUPS:
        assert [each.host for each in await waiting] == ["127.0.0.5"]
    else:
        assert not waiting.done()
    await cancelled(*asked, waiting)


async def test_a_lookup_that_nobody_waits_for_counts_until_it_is_over(
    dns: DnsServer, names: Names
) -> None:
    with looking_for(SHOP):
        asked = [
            asyncio.create_task(names.addresses(f"{number}.hangs.test."))
            for number in range(LOOKUPS)
        ]
        await eventually(lambda: names.under_way == LOOKUPS)
        await cancelled(*asked)
        next_one = asyncio.create_task(names.addresses("good.test."))
    await asyncio.sleep(0)
    assert names.under_way == LOOKUPS
    assert not next_one.done()
    # Then the server says what it kept to itself, and the next one has its turn.
    dns.silent.clear()
    assert [each.host for each in await next_one] == ["127.0.0.5"]


async def test_a_server_that_is_silent_ends_a_lookup_all_the_same(dns: DnsServer) -> None:
    made = Names(time.monotonic, (dns.address,), timeout=0.3, tries=1)
    try:
        with pytest.raises(NameNotFound):
            await made.addresses("one.hangs.test.")
        assert made.under_way == 0
    finally:
        await made.close()
