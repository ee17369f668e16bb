"""What is done again and again: when, and until when."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from forebay.runtime.periodic import periodically
from support.timing.turned_loop import TurnedLoop


class Enough(Exception):  # noqa: N818  # ends a loop that has no end of its own
    """The action was done often enough."""


class Recorded:
    """An action that notes when it was done."""

    def __init__(self, times: int, takes: float = 0.0) -> None:
        self.at: list[float] = []
        self._left = times
        self._takes = takes

    async def slow(self) -> None:
        """Take some time."""
        self.quick()
        await asyncio.sleep(self._takes)

    def quick(self) -> None:
        """Take none."""
        loop = asyncio.get_running_loop()
        self.at.append(loop.time() - 1000.0)
        self._left -= 1
        if not self._left:
            raise Enough


def turn(make: Callable[[], Coroutine[object, object, object]]) -> None:
    loop = TurnedLoop()
    try:
        with pytest.raises(Enough):
            loop.turn(make())
    finally:
        loop.close()


def test_the_first_action_comes_after_a_pause() -> None:
    recorded = Recorded(3)
    turn(lambda: periodically(recorded.quick, 2.0))
    assert recorded.at == [2.0, 4.0, 6.0]


def test_or_at_once() -> None:
    recorded = Recorded(3)
    turn(lambda: periodically(recorded.quick, 2.0, at_once=True))
    assert recorded.at == [0.0, 2.0, 4.0]


def test_a_pause_begins_when_the_action_is_over() -> None:
    recorded = Recorded(3, takes=0.5)
    turn(lambda: periodically(recorded.slow, 2.0))
    assert recorded.at == [2.0, 4.5, 7.0]


def test_each_pause_may_be_another() -> None:
    recorded, pauses = Recorded(3), iter((1.0, 2.0, 4.0))
    turn(lambda: periodically(recorded.quick, lambda: next(pauses)))
    assert recorded.at == [1.0, 3.0, 7.0]


async def test_it_ends_when_it_is_cancelled() -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(periodically(begun.set, 60, at_once=True))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
