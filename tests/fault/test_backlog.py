"""What has piled up is worked off through memory, and an old backlog is taken over in order."""

import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from forebay_processor.delivery.destination_speed import PACE_SECONDS, QUICK_ENDED
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.programs.under_load import IN_FLIGHT, worked_off
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(120)

COUNT: Final = 3000

ROUNDS: Final = 3
"""So often a quick destination may be taken for slow: the machine starves a processor too."""

MOST_ROUNDS: Final = 8
"""With those in which the destination itself was slow."""


@pytest.mark.parametrize("people", [1, COUNT], ids=["one conversation", "one each"])
async def test_a_backlog_is_taken_over_in_order_and_only_what_was_under_way_comes_twice(
    tmp_path: Path, people: int
) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        name = processor.plain()
        await processor.part.terminate()
        count = COUNT if people > 1 else COUNT // 10
        messages = [(f"wamid.backlog.{each}", f"1555{each % people:07}") for each in range(count)]
        for start in range(0, count, 100):
            await processor.store(name, webhook(*messages[start : start + 100]))
        await processor.part.start()
        await eventually(lambda: len(processor.delivered(name)) >= count // 10)
        # In the middle: what was handed out and not delivered is taken over by the next one.
        await processor.part.kill()
        assert len(set(processor.delivered(name))) < count, "all was delivered before the kill"
        await processor.part.start()
        keys = [token(own) for own, _ in messages]
        await processor.wait_delivered(name, keys, within=20)
        await worked_off(processor.stack)
        delivered = processor.delivered(name)
        assert set(delivered) == set(keys)
        assert len(delivered) - len(keys) <= IN_FLIGHT
        if people == 1:
            assert list(dict.fromkeys(delivered)) == keys


async def test_a_healthy_destination_gets_nearly_all_of_a_backlog_without_a_detour(
    tmp_path: Path,
) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        assert await _least_parked(processor) < COUNT / 10


async def test_a_processor_that_stood_still_does_not_take_its_destination_for_slow(
    tmp_path: Path,
) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        assert await _least_parked(processor, still_seconds=3 * PACE_SECONDS) < COUNT / 10


async def _least_parked(processor: ProcessorHarness, still_seconds: float = 0.0) -> float:
    """Return how many of `COUNT` items were parked in the best of some rounds.

    A destination that others keep from its processor is slow, and rightly parked for: such a round
    says nothing.
    """
    parked, quick = math.inf, 0
    for _ in range(MOST_ROUNDS):
        again, was_quick = await _parked(processor, still_seconds)
        parked, quick = min(parked, again), quick + was_quick
        if parked < COUNT / 10 or quick == ROUNDS:
            break
    return parked


async def _parked(processor: ProcessorHarness, still_seconds: float) -> tuple[float, bool]:
    """Work a backlog off, with a processor that is stopped for so long after it began.

    Returns:
        How many items were parked, and whether the destination was quick all the time.
    """
    name = processor.plain()
    await processor.part.terminate()
    messages = [(f"wamid.backlog.{each}", f"1555{each:07}") for each in range(COUNT)]
    for start in range(0, COUNT, 100):
        await processor.store(name, webhook(*messages[start : start + 100]))
    await processor.part.start()
    if still_seconds:
        await eventually(lambda: processor.delivered(name))
        processor.part.freeze()
        await asyncio.sleep(still_seconds)
        processor.part.thaw()
    working = time.time()
    await processor.wait_delivered(name, [token(own) for own, _ in messages], within=20)
    await worked_off(processor.stack)
    assert len(processor.delivered(name)) == COUNT
    parked = await processor.part.metric(
        "forebay_processor_deliveries_total", endpoint=name, outcome="parked"
    )
    return parked, _is_quick([each.at for each in processor.arrivals(name) if each.at > working])


def _is_quick(moments: Sequence[float]) -> bool:
    """Say whether a destination took in any such time what makes it a quick one."""
    return all(
        later - first < PACE_SECONDS
        for first, later in zip(moments, moments[QUICK_ENDED:], strict=False)
    )
