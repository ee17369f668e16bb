"""How long a channel holds items in memory behind an attempt before it parks them.

The loop's clock is the test's own: time passes when it says so.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from forebay_processor.delivery.destination_speed import (
    CHECK_SECONDS,
    HOLD_SECONDS,
    LINE_SECONDS,
    PACE_SECONDS,
    QUICK_ENDED,
    Pace,
)
from forebay_processor.delivery.queue import CROWDED_ITEMS
from forebay_processor.destinations.port import Delivered
from support.processor.queue_alone import QueueAlone

A_MOMENT = 0.01
FEW = 4
MANY = 10 * QUICK_ENDED
BOTH = 2
"""What is behind an attempt is stored behind what is tried, or their order would be lost."""


class Clock:
    """The loop's clock, which stands still but for what passes by decree."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)

    async def advance(self, seconds: float) -> None:
        """Let so many moments pass, one by one, and everything run when it is due."""
        for _ in range(round(seconds / A_MOMENT)):
            await self.stand_still(A_MOMENT)

    async def stand_still(self, seconds: float) -> None:
        """Let so much time pass in which nothing runs, and then everything that is due."""
        self._now += seconds
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
async def alone(clock: Clock) -> AsyncIterator[QueueAlone]:
    """Give a channel where an attempt hangs that has just begun, and another item is behind it.

    The destination answers everything else at once.
    """
    channel = QueueAlone()
    channel.answer(Delivered())
    channel.door.hanging.add("hangs")
    channel.offer(0, "hangs")
    channel.offer(0, "behind")
    await clock.stand_still(0)
    assert channel.door.tried == ["hangs"]
    yield channel
    await channel.end()


async def deliver(alone: QueueAlone, count: int) -> None:
    """Deliver so many items of other conversations."""
    for _ in range(count):
        number = len(alone.works)
        alone.offer(1, f"other-{number}", conversation=f"other-{number}")
    await alone.settled()
    assert len(alone.done) >= count


async def test_what_is_behind_a_long_attempt_is_parked(alone: QueueAlone, clock: Clock) -> None:
    await clock.advance(HOLD_SECONDS - A_MOMENT)
    assert alone.queue.parked == 0
    await clock.advance(CHECK_SECONDS + 2 * A_MOMENT)
    assert alone.queue.parked == BOTH


async def test_a_destination_that_works_off_much_is_waited_for(
    alone: QueueAlone, clock: Clock
) -> None:
    await deliver(alone, MANY)
    await clock.advance(HOLD_SECONDS + A_MOMENT)
    assert alone.queue.parked == 0
    # What comes then waits as well.
    alone.offer(0, "behind both")
    assert alone.queue.parked == 0


async def test_a_quick_destination_is_not_waited_for_longer_than_for_a_place(
    alone: QueueAlone, clock: Clock
) -> None:
    await deliver(alone, MANY)
    for _ in range(4):
        await clock.advance(LINE_SECONDS / 4 + CHECK_SECONDS + A_MOMENT)
    assert alone.queue.parked == BOTH


async def test_a_destination_that_was_quick_has_to_stay_so(alone: QueueAlone, clock: Clock) -> None:
    await deliver(alone, QUICK_ENDED + QUICK_ENDED // 2)
    await clock.advance(HOLD_SECONDS + A_MOMENT)
    assert alone.queue.parked == 0
    await clock.advance(PACE_SECONDS + CHECK_SECONDS + A_MOMENT)
    assert alone.queue.parked == BOTH


async def test_a_process_that_stood_still_does_not_take_its_destination_for_slow(
    alone: QueueAlone, clock: Clock
) -> None:
    """What was answered meanwhile could not be seen: that time says nothing of the destination."""
    for _ in range(3):
        await clock.stand_still(4 * LINE_SECONDS)
        assert alone.queue.parked == 0
    # What the destination takes while the process runs counts as ever.
    await clock.advance(HOLD_SECONDS + CHECK_SECONDS + A_MOMENT)
    assert alone.queue.parked == BOTH


async def test_a_process_that_is_always_late_judges_all_the_same(
    alone: QueueAlone, clock: Clock
) -> None:
    """One whose processor is throttled is late at every check: it must not wait for ever."""
    alone.limit(FEW)
    dead = [f"dead-{number}" for number in range(FEW + CROWDED_ITEMS)]
    alone.door.hanging.update(dead)
    for key in dead:
        alone.offer(1, key, conversation=key)
    assert alone.queue.is_crowded
    # The first judgement that comes late says nothing, the next one does.
    for _ in range(2):
        assert alone.queue.is_crowded
        await clock.stand_still(PACE_SECONDS + 2 * CHECK_SECONDS)
    assert not alone.queue.is_crowded
    before = alone.queue.parked
    alone.offer(1, "next", conversation="next")
    assert alone.queue.parked == before + 1


async def test_a_late_check_says_nothing_of_the_destination_but_not_twice_in_a_row(
    clock: Clock,
) -> None:
    pace = Pace(lambda: True)
    pace.watch()
    await clock.stand_still(PACE_SECONDS + LINE_SECONDS)
    assert not pace.is_slow, "it did not run, so it saw no answer"
    await clock.stand_still(PACE_SECONDS + LINE_SECONDS)
    assert pace.is_slow, "a process whose processor is throttled is late each time"
