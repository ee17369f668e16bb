"""A processor with a destination on a second NATS that goes away and comes back."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from forebay.core.tables import Destination, NatsTarget, Retry
from forebay_processor.destinations.nats.own_nats import OWN_NATS
from support.nats.nats_server import NatsServer
from support.nats.streams import read_stream
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

RETRY = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=600)


@pytest_asyncio.fixture(loop_scope="session")
async def bus(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Give a second NATS with a stream."""
    async with NatsServer(tmp_path / "bus", name="bus") as server:
        async with server.client() as client:
            await client.jetstream().add_stream(name="BUS", subjects=["acme.>"])
        yield server


def to_bus(
    server: NatsServer,
    retry: Retry = RETRY,
    **settings: Any,  # noqa: ANN401  # any setting
) -> Destination:
    target = NatsTarget(
        urls=(server.url,), subject="acme.{endpoint}.{kind}", timeout_seconds=1.0, **settings
    )
    return Destination(name="bus", nats=target, retry=retry)


async def ids(server: NatsServer, name: str) -> list[str]:
    """Return the ids of the events of an endpoint that the stream holds, in its order."""
    async with server.client() as client:
        found = await read_stream(client, "BUS", f"acme.{name}.>")
    return [json.loads(message.data)["id"] for message in found]


async def test_nothing_is_lost_or_doubled_when_the_other_nats_is_killed_and_comes_back(
    processor: ProcessorHarness, bus: NatsServer
) -> None:
    name = processor.new_name()
    await processor.serve(name, to_bus(bus), processor.http(name))
    before = await processor.send(name, *(f"wamid.before{n}" for n in range(20)))
    await eventually(lambda: _holds(bus, name, before))
    await bus.kill()
    during = await processor.send(name, *(f"wamid.during{n}" for n in range(20)))
    # The neighbour of the dead one has all, while that one is dead.
    await processor.wait_delivered(name, [*before, *during])
    assert await processor.rows(name) > 0
    await bus.start()
    after = await processor.send(name, "wamid.after")
    await eventually(lambda: _holds(bus, name, [*before, *during, *after]), within=40)
    # One person's, so in order, and each once.
    assert await ids(bus, name) == [*before, *during, *after]
    await eventually(lambda: _nothing_waits(processor, name), within=20)
    assert await processor.letters(name) == 0


async def test_a_server_that_freezes_gets_nothing_twice(
    processor: ProcessorHarness, bus: NatsServer
) -> None:
    name = processor.new_name()
    await processor.serve(name, to_bus(bus))
    keys = await processor.send(name, "wamid.first")
    await eventually(lambda: _holds(bus, name, keys))
    bus.freeze()
    try:
        keys += await processor.send(name, *(f"wamid.frozen{n}" for n in range(10)))
        # An attempt ran out of time, and what comes behind it waits.
        await eventually(lambda: _so_many_wait(processor, name, 10))
    finally:
        bus.thaw()
    await eventually(lambda: _holds(bus, name, keys), within=40)
    assert await ids(bus, name) == keys


async def test_the_nats_that_forebay_stores_in_is_refused_and_says_why(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    own = processor.stack.nats_server
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=2)
    await processor.serve(name, to_bus(own, retry, acknowledge="Server"))
    (key,) = await processor.send(name, "wamid.own")
    assert key == token("wamid.own")
    letter = await processor.letter(name, key, "bus")
    assert (letter.headers or {})["Forebay-Error"] == OWN_NATS


async def test_an_installation_can_allow_its_own_nats(tmp_path: Path) -> None:
    async with ProcessorHarness(tmp_path, FOREBAY_PROCESSOR_OWN_NATS="true") as running:
        name = running.new_name()
        subscription = await running.client.subscribe(f"acme.{name}.messages")
        own = running.stack.nats_server
        await running.serve(name, to_bus(own, acknowledge="Server"))
        (key,) = await running.send(name, "wamid.own")
        message = await subscription.next_msg(timeout=10)
        assert json.loads(message.data)["id"] == key


async def _holds(server: NatsServer, name: str, keys: list[str]) -> bool:
    return set(await ids(server, name)) >= set(keys)


async def _so_many_wait(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count


async def _nothing_waits(processor: ProcessorHarness, name: str) -> bool:
    return await processor.rows(name) == 0
