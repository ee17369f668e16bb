"""What more processors would deliver: not what waits for a destination that is paused or dead.

The processor is each test's own: what others leave waiting would be in the sum.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forebay.core.tables import Retry
from support.processor.processor_harness import ProcessorHarness
from support.timing.wait import eventually


@pytest.fixture
async def processor(tmp_path: Path) -> AsyncIterator[ProcessorHarness]:
    async with ProcessorHarness(tmp_path) as running:
        yield running


async def deliverable(processor: ProcessorHarness) -> dict[str, float]:
    """Return what autoscalers follow."""
    found: dict[str, float] = json.loads((await processor.part.admin("/load")).body)["deliverable"]
    return found


async def parked(processor: ProcessorHarness, name: str) -> list[dict[str, float]]:
    """Return what the processor tells the operator of one endpoint's rows in RETRY."""
    found = json.loads((await processor.part.admin("/parked")).body)["parked"]
    return [each for each in found if each["endpoint"] == name]


async def test_what_waits_for_a_paused_destination_asks_for_no_processor(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    keys = [
        key
        for number in range(5)
        for key in await processor.send(name, f"wamid.load.{number}", person=f"1556{number:07}")
    ]

    async def is_parked() -> bool:
        return await processor.rows(name) == len(keys)

    async def is_nothing() -> bool:
        return await deliverable(processor) == {"items": 0, "oldest_seconds": 0}

    await eventually(is_parked, saying="all to be parked")
    await eventually(is_nothing, saying="nothing to be deliverable")

    async def is_reported() -> bool:
        (found,) = await parked(processor, name)
        return found["items"] == len(keys) and 0 < found["oldest_seconds"] < 60

    # But the operator is told of it.
    await eventually(is_reported, saying="all to be reported, and to grow old")

    # Once it is resumed, the same rows are work for whoever is there.
    processor.sink.hold()
    try:
        await processor.serve(name, processor.http(name, max_in_flight=1))

        async def is_work() -> bool:
            found = await deliverable(processor)
            return found["items"] == len(keys) and 0 < found["oldest_seconds"] < 60

        await eventually(is_work, saying="all of them to be deliverable")
    finally:
        processor.sink.release()
    await processor.wait_delivered(name, keys)
    await eventually(is_nothing, saying="nothing to be left")
    assert await parked(processor, name) == []


async def test_what_waits_for_a_dead_destination_asks_for_no_processor(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=30, max_delay_seconds=60)
    await processor.serve(name, processor.http(name, retry=retry))
    async with processor.sink_answers(503):
        for number in range(20):
            await processor.send(name, f"wamid.dead.{number}", person=f"1557{number:07}")

        async def is_open() -> bool:
            return (
                await processor.part.metric("forebay_processor_breaker_open", endpoint=name) == 1
                and await processor.rows(name) == 20
            )

        await eventually(is_open, saying="the breaker to open and all to be parked")

        async def is_nothing() -> bool:
            return await deliverable(processor) == {"items": 0, "oldest_seconds": 0}

        await eventually(is_nothing, saying="nothing to be deliverable")
    await processor.delete(name)
