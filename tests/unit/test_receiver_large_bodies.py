"""Large bodies are worked on for a millisecond in each turn of the loop, endpoint by endpoint."""

import asyncio
from collections.abc import Callable, Generator

import pytest

from forebay_receiver.services.large_body_scheduler import TURN_SECONDS, LargeBodies

PIECE_SECONDS = TURN_SECONDS * 0.4
IN_A_TURN = 3
"""Pieces until a turn is over."""


class Workshop:
    """Bodies whose pieces take a time that nobody has to wait for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.bodies = LargeBodies(lambda: self.now)

    def add(self, endpoint: str, pieces: int) -> None:
        """Add a body of so many pieces."""
        self.bodies.add(endpoint, self._work(endpoint, pieces))

    def _work(self, endpoint: str, pieces: int) -> Generator[None, None, None]:
        for _ in range(pieces):
            self.now += PIECE_SECONDS
            self.done.append(endpoint)
            yield


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn, a thousand times at most."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come to that")


async def test_others_have_their_turn_after_each_millisecond() -> None:
    workshop = Workshop()
    workshop.add("one", 10)
    seen = []
    while len(workshop.done) < 10:
        await asyncio.sleep(0)
        seen.append(len(workshop.done))
    assert seen == [3, 6, 9, 10]


async def test_many_large_bodies_take_no_more_of_a_turn_than_one() -> None:
    workshop = Workshop()
    for number in range(20):
        workshop.add(f"endpoint-{number}", 5)
    await asyncio.sleep(0)
    assert len(workshop.done) == IN_A_TURN


async def test_one_endpoints_many_bodies_do_not_hold_up_anothers() -> None:
    workshop = Workshop()
    for _ in range(10):
        workshop.add("busy", 5)
    workshop.add("other", 5)
    await turns_until(lambda: workshop.done.count("other") == 5)
    assert workshop.done.count("busy") <= 5 + IN_A_TURN


async def test_bodies_of_one_endpoint_are_worked_on_in_their_order() -> None:
    workshop, ended = Workshop(), []

    def work(name: str) -> Generator[None, None, None]:
        yield from (None for _ in range(4))
        ended.append(name)

    for name in ("first", "second", "third"):
        workshop.bodies.add("one", work(name))
    await turns_until(lambda: len(ended) == 3)
    assert ended == ["first", "second", "third"]


async def test_work_that_crashes_is_reported_and_stops_no_other() -> None:
    workshop, reported = Workshop(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def crashing() -> Generator[None, None, None]:
        yield
        raise ZeroDivisionError

    workshop.bodies.add("one", crashing())
    workshop.add("one", 3)
    workshop.add("other", 3)
    await turns_until(lambda: len(workshop.done) == 6)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
