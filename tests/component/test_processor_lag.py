"""What waits shows as lag, by lane: what autoscalers and alerts look at."""

import json

import pytest

from support.processor.processor_harness import ProcessorHarness
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAG = "forebay_processor_lag_items"
OLDEST = "forebay_processor_oldest_item_seconds"


async def test_items_under_way_lag_until_they_are_delivered(processor: ProcessorHarness) -> None:
    name = processor.plain()
    processor.sink.hold()
    try:
        keys = [
            key
            for number in range(3)
            for key in await processor.send(name, f"wamid.lag.{number}", person=f"1555{number:07}")
        ]
        await eventually(lambda: len(processor.arrivals(name)) == 3)

        async def lags() -> bool:
            return await processor.part.metric(LAG, lane="live") == 3

        await eventually(lags, saying="three items to lag")
        assert 0 < await processor.part.metric(OLDEST, lane="live") < 60
        lanes = json.loads((await processor.part.admin("/load")).body)["lanes"]
        assert lanes["live"]["items"] == 3
        assert lanes["bulk"] == {"items": 0, "oldest_seconds": 0}
    finally:
        processor.sink.release()
    await processor.wait_delivered(name, keys)

    async def is_done() -> bool:
        return await processor.part.metric(LAG) == await processor.part.metric(OLDEST) == 0

    await eventually(is_done, saying="nothing to lag")


async def test_what_is_parked_does_not_lag(processor: ProcessorHarness) -> None:
    name = processor.plain()
    async with processor.sink_answers(503):
        await processor.send(name, "wamid.parked.lag")

        async def is_parked() -> bool:
            return await processor.rows(name) == 1

        await eventually(is_parked, saying="it to be parked")

        async def lags_nothing() -> bool:
            return await processor.part.metric(LAG) == 0

        await eventually(lags_nothing, saying="nothing to lag")
        assert await processor.part.metric("forebay_processor_parked_items", endpoint=name) == 1
