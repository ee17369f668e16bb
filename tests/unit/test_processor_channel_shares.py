"""Several processors that share a destination stay within its limits together."""

import asyncio

import pytest

from forebay.core.tables import Destination, HttpTarget, Retry
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.destinations.port import Delivered
from support.processor.queue_alone import QueueAlone
from support.timing.starvation import Stopwatch

OFFERED = 8


def one_of(members: int, *, places: int = 64, rate: float = 0.0) -> QueueAlone:
    """Return the channel of one of so many processors; all of its attempts hang."""
    alone = QueueAlone()
    target = HttpTarget(url="http://127.0.0.1/", max_in_flight=places, rate_per_second=rate)
    config = Destination(name="sink", http=target, retry=Retry())
    alone.queue.share(members)
    alone.queue.configure(
        DestinationSettings(state=DestinationState.OPEN, config=config, port=alone.door)
    )
    return alone


async def tried(alone: QueueAlone) -> int:
    """Offer items of as many conversations, and return how many are tried at once."""
    for number in range(OFFERED):
        alone.offer(0, f"item-{number}", conversation=f"c{number}-")
    await alone.settled()
    return len(alone.door.tried)


async def end(alone: QueueAlone) -> None:
    """Let what is under way end, and nothing else begin."""
    alone.lose(0)
    alone.answer(Delivered())
    await asyncio.gather(*(each.finish(10.0) for each in alone.partitions))


@pytest.mark.parametrize(("members", "at_once"), [(1, 6), (2, 3), (3, 2), (4, 2), (100, 1)])
async def test_each_takes_its_part_of_the_places(members: int, at_once: int) -> None:
    alone = one_of(members, places=6)
    assert await tried(alone) == at_once
    await end(alone)


@pytest.mark.parametrize(("members", "at_once"), [(1, 4), (40, 1)])
async def test_each_takes_its_part_of_the_rate(members: int, at_once: int) -> None:
    # At 40 a second four may begin at once; of a fortieth of that one, and the next in a second.
    alone = one_of(members, rate=40.0)
    watch = Stopwatch()
    found = await tried(alone)
    # On a busy machine seconds go by until they are offered, and the rate goes on.
    assert at_once <= found <= at_once + int(watch.seconds * 40.0 / members)
    await end(alone)


async def test_who_is_left_takes_the_parts_of_those_who_went() -> None:
    alone = one_of(3, places=6)
    assert await tried(alone) == 2
    alone.queue.share(1)
    await alone.settled()
    assert len(alone.door.tried) == 6
    await end(alone)
