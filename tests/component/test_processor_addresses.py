"""A tenant's URL leads to nothing inside, whatever it is called; the refusal says what to do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from forebay.core.tables import Retry
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

RETRY = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=1)
REFUSAL = (
    "a private address: allow its network in processors.allowedNetworks of the chart, or in "
    "FOREBAY_PROCESSOR_ALLOWED_NETWORKS"
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessorHarness]:
    """Give a processor as it is shipped: nothing private is allowed."""
    folder: Path = tmp_path_factory.mktemp("closed")
    async with ProcessorHarness(folder, FOREBAY_PROCESSOR_ALLOWED_NETWORKS="") as running:
        yield running


async def test_every_way_of_writing_this_machine_is_refused(closed: ProcessorHarness) -> None:
    hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::]", "2130706433", "127.1"]
    name, port = closed.new_name(), closed.sink.port
    destinations = [
        closed.http(name, name=f"to-{number}", url=f"http://{host}:{port}/{name}", retry=RETRY)
        for number, host in enumerate(hosts)
    ]
    await closed.serve(name, *destinations)
    (key,) = await closed.send(name, "wamid.inside")
    letters = await asyncio.gather(
        *(closed.letter(name, key, destination.name) for destination in destinations)
    )
    reasons = [(letter.headers or {})["Forebay-Error"] for letter in letters]
    # The last two are no hosts for the client; were they, the system would make addresses of them.
    assert reasons == [*[REFUSAL] * 4, *["InvalidUrlClientError"] * 2]
    assert not closed.arrivals(name)


async def test_a_refused_destination_opens_its_breaker_and_says_why(
    closed: ProcessorHarness,
) -> None:
    name = closed.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=60)
    await closed.serve(name, closed.http(name, retry=retry))
    await closed.send(name, "wamid.refused")

    def said() -> list[str]:
        return [
            str(record["reason"])
            for record in closed.part.logged("breaker_opened")
            if record["endpoint"] == f"demo/{name}"
        ]

    await eventually(said)
    assert said() == [REFUSAL]
    assert "127.0.0.1" not in REFUSAL


async def test_what_an_installation_allows_is_reached(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    url = f"http://localhost:{processor.sink.port}/{name}"
    await processor.serve(name, processor.http(name, url=url))
    await processor.wait_delivered(name, await processor.send(name, "wamid.allowed"))
    assert processor.delivered(name) == [token("wamid.allowed")]
