"""Destinations whose names hang take nothing from those of other tenants."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forebay.core.tables import Retry
from support.destinations.dns_server import DnsServer
from support.processor.processor_harness import ProcessorHarness
from support.timing.wait import eventually

PATIENT = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=600)
LONG = 120.0
"""Seconds that a lookup without an answer takes, and an attempt may."""


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer() as server:
        server.silent.add("hangs.test")
        yield server


@pytest.fixture
async def processor(dns: DnsServer, tmp_path: Path) -> AsyncIterator[ProcessorHarness]:
    slow = f"timeout:{LONG:.0f} attempts:1"
    async with ProcessorHarness(
        tmp_path,
        FOREBAY_PROCESSOR_NAMESERVERS=dns.address,
        RES_OPTIONS=slow,
        # What hangs would be waited for at the end.
        FOREBAY_PROCESSOR_STOP_SECONDS="0",
    ) as running:
        yield running


async def hang(processor: ProcessorHarness, dns: DnsServer, count: int) -> str:
    """Let one tenant have destinations whose names get no answer; return its endpoint's name."""
    name = processor.new_name()
    hosts = [f"{number}.hangs.test" for number in range(count)]
    await processor.serve(
        name,
        *(
            processor.http(
                name,
                name=f"to-{number}",
                url=f"http://{host}./in",
                retry=PATIENT,
                timeout_seconds=LONG,
            )
            for number, host in enumerate(hosts)
        ),
    )
    for number in range(3):
        await processor.send(name, f"wamid.hangs.{number}", person=f"1555000000{number}")
    await eventually(lambda: sum(dns.asked[host] > 0 for host in hosts) >= min(count, 4), within=30)
    return name


@pytest.mark.parametrize("hanging", [2, 5])
async def test_new_connections_of_others_are_made_at_once(
    processor: ProcessorHarness, dns: DnsServer, hanging: int
) -> None:
    ill = await hang(processor, dns, hanging)
    for number in range(6):
        host = f"crm-{number}.test"
        dns.names[host] = ("127.0.0.1",)
        name = processor.new_name()
        url = f"http://{host}.:{processor.sink.port}/{name}"
        await processor.serve(name, processor.http(name, url=url, retry=PATIENT))
        keys = await processor.send(name, f"wamid.other.{number}")
        await processor.wait_delivered(name, keys, within=30)
        assert [arrival.attempt for arrival in processor.arrivals(name)] == [1]
    # Nothing has come to its end meanwhile: no connection waited for that.
    ended = await processor.part.metric("forebay_processor_attempts_total", endpoint=ill)
    assert not ended


async def test_an_endpoint_asks_for_a_bounded_number_of_names_at_a_time(
    processor: ProcessorHarness, dns: DnsServer
) -> None:
    await hang(processor, dns, 12)
    name = processor.new_name()
    dns.names["crm.test"] = ("127.0.0.1",)
    url = f"http://crm.test.:{processor.sink.port}/{name}"
    await processor.serve(name, processor.http(name, url=url))
    await processor.wait_delivered(name, await processor.send(name, "wamid.after"), within=30)
    hosts = [host for host in dns.asked if host.endswith("hangs.test")]
    assert len(hosts) == 4


async def test_a_name_that_does_not_exist_is_a_failure_that_is_tried_again(
    processor: ProcessorHarness, dns: DnsServer
) -> None:
    name = processor.new_name()
    url = f"http://later.test.:{processor.sink.port}/{name}"
    await processor.serve(name, processor.http(name, url=url, retry=PATIENT))
    keys = await processor.send(name, "wamid.later")
    await eventually(lambda: dns.asked["later.test"] > 0, within=30)
    dns.names["later.test"] = ("127.0.0.1",)
    await processor.wait_delivered(name, keys, within=30)


async def test_a_name_that_leads_inside_is_refused(
    processor: ProcessorHarness, dns: DnsServer
) -> None:
    name = processor.new_name()
    dns.names["inside.test"] = ("10.1.2.3", "64:ff9b::a01:203", "::ffff:10.1.2.3")
    once = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=1)
    await processor.serve(name, processor.http(name, url="http://inside.test./in", retry=once))
    (key,) = await processor.send(name, "wamid.inside")
    letter = await processor.letter(name, key)
    assert "a private address" in (letter.headers or {})["Forebay-Error"]
