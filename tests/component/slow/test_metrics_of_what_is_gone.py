"""Series of endpoints and destinations that are gone go too: /metrics does not grow with time."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forebay.core.tables import Retry
from support.docs.metrics_page import (
    MOST_AT_RECEIVER,
    MOST_OF_DESTINATION,
    MOST_OF_ENDPOINT,
)
from support.inputs.tables import route
from support.processor.processor_harness import ProcessorHarness, token
from support.programs.processes import Part
from support.receiver.receiver_harness import ReceiverHarness, path_of
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP_SECONDS = 0.5
GONE_WITHIN = 15.0
"""Many times what it takes: the machine may be busy."""

NEVER = Retry(initial_delay_seconds=60, max_delay_seconds=60, max_age_seconds=3600)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessorHarness]:
    """Give a processor that keeps what is gone for half a second."""
    async with ProcessorHarness(
        tmp_path_factory.mktemp("gone"), FOREBAY_PROCESSOR_KEEP_GONE_SECONDS=str(KEEP_SECONDS)
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver of this module."""
    async with ReceiverHarness(tmp_path_factory.mktemp("edge")) as running:
        yield running


async def series(part: Part, *labels: str) -> set[str]:
    """Return the series that have all of these in their labels, without their values."""
    text = (await part.admin("/metrics")).body.decode()
    lines = (line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#"))
    return {line for line in lines if all(label in line for label in labels)}


async def wait_gone(part: Part, *labels: str) -> None:
    """Wait until nothing has these labels."""

    async def nothing() -> bool:
        return not await series(part, *labels)

    await eventually(nothing, within=GONE_WITHIN, saying=f"{labels} to be gone")


async def use(processor: ProcessorHarness, name: str) -> None:
    """Deliver, reject and park at two destinations of an endpoint."""
    other = processor.http(f"{name}/other", name="other", retry=NEVER)
    await processor.serve(name, processor.http(name), other)
    rejected, failing = f"wamid.{name}.422", f"wamid.{name}.503"
    processor.sink.answer_key(token(rejected), 422)
    processor.sink.refuse_key(token(failing))
    await processor.send(name, f"wamid.{name}")
    await processor.send(name, rejected, person="15550002")
    await processor.send(name, failing, person="15550003")
    await processor.wait_delivered(name, [token(f"wamid.{name}")])

    async def parked() -> bool:
        labels = {"endpoint": name, "destination": "other"}
        return await processor.part.metric("forebay_processor_parked_items", **labels) >= 1

    await eventually(parked, saying="an item to wait")


async def test_a_processor_forgets_endpoints_that_are_deleted(processor: ProcessorHarness) -> None:
    stays = processor.new_name()
    await processor.serve(stays, processor.http(stays))
    await processor.send(stays, "wamid.stays")
    await processor.wait_delivered(stays, [token("wamid.stays")])
    before = await series(processor.part, "endpoint=")
    for _ in range(3):
        name = processor.new_name()
        await use(processor, name)
        own = await series(processor.part, f'endpoint="{name}"')
        assert 15 < len(own) <= MOST_OF_ENDPOINT + 2 * MOST_OF_DESTINATION
        await processor.delete(name)
        await wait_gone(processor.part, f'endpoint="{name}"')
        assert await series(processor.part, "endpoint=") == before
    assert any(f'endpoint="{stays}"' in each for each in before)


async def test_a_processor_forgets_destinations_that_are_removed(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await use(processor, name)
    await processor.serve(name, processor.http(name))
    await processor.letter(name, token(f"wamid.{name}.503"), "other")
    await wait_gone(processor.part, f'endpoint="{name}"', 'destination="other"')
    assert await series(processor.part, f'endpoint="{name}"', 'destination="sink"')
    # And it can come back.
    other = processor.http(f"{name}/other", name="other")
    await processor.serve(name, processor.http(name), other)
    (key,) = await processor.send(name, "wamid.back", person="15550009")
    await processor.wait_delivered(f"{name}/other", [key])
    assert await series(processor.part, f'endpoint="{name}"', 'destination="other"')


async def test_what_waits_at_a_paused_endpoint_is_shown_however_long(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    await processor.send(name, "wamid.paused")

    async def oldest() -> bool:
        age = await processor.part.metric("forebay_processor_oldest_parked_seconds", endpoint=name)
        return age > 2 * KEEP_SECONDS

    await eventually(oldest, within=GONE_WITHIN, saying="it to wait for longer than is kept")
    assert await processor.part.metric("forebay_processor_parked_items", endpoint=name) == 1


async def test_a_receiver_forgets_endpoints_that_are_deleted(receiver: ReceiverHarness) -> None:
    before = await series(receiver.part)
    for number in range(3):
        name = f"leaving-{number}"
        tables = receiver.stack.tables
        generation = tables.write_routes(route(f"demo/{name}"), file="leaving.json")
        await receiver.part.follows("leaving.json", generation)
        assert (await receiver.post(receiver.new_body(), path=path_of(name))).status == 200
        assert (await receiver.post(b"{}", {}, path=path_of(name))).status == 401
        assert 4 <= len(await series(receiver.part, f'endpoint="{name}"')) <= MOST_AT_RECEIVER
        await receiver.part.follows("leaving.json", tables.write_routes(file="leaving.json"))
        await wait_gone(receiver.part, f'endpoint="{name}"')
        assert await series(receiver.part) == before
