"""Time limits by one timer: none is cut short, none is exceeded by more than a check's pause."""

import asyncio

import pytest

from forebay_processor.destinations.http.deadlines import RESOLUTION, Deadlines
from support.timing.clocks import LoopClock


class Line:
    """What was due, in the order in which it was reported."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = LoopClock(monkeypatch)
        self.clock.stop()
        self.due: list[str] = []
        self.deadlines = Deadlines[str](asyncio.get_running_loop(), self.due.append)

    async def pass_by(self, seconds: float) -> list[str]:
        """Let time pass, and return what was due by then."""
        self.clock.ahead += seconds
        await turns()
        return self.due


async def turns() -> None:
    """Let the loop do what is due; its clock stands still, so more turns bring nothing more."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


async def test_nothing_is_due_before_its_time(line: Line) -> None:
    line.deadlines.begin("a", 1.0)
    assert await line.pass_by(0.99) == []
    assert await line.pass_by(0.02) == ["a"]
    assert len(line.deadlines) == 0


async def test_what_has_ended_is_never_due(line: Line) -> None:
    line.deadlines.begin("a", 1.0)
    line.deadlines.begin("b", 1.0)
    line.deadlines.end("a", 1.0)
    line.deadlines.end("unknown", 1.0)
    line.deadlines.end("unknown", 7.0)
    assert await line.pass_by(1.01) == ["b"]


async def test_a_shorter_limit_that_begins_later_is_due_first(line: Line) -> None:
    line.deadlines.begin("long", 10.0)
    line.deadlines.begin("short", 0.1)
    assert await line.pass_by(0.11) == ["short"]
    assert await line.pass_by(9.9) == ["short", "long"]


async def test_none_is_exceeded_by_more_than_the_resolution(line: Line) -> None:
    line.deadlines.begin("first", 1.0)
    await line.pass_by(RESOLUTION / 10)
    line.deadlines.begin("second", 1.0)
    # The check of the first is too early for the second, whose own is a pause later.
    assert await line.pass_by(1.0 - RESOLUTION / 20) == ["first"]
    assert await line.pass_by(RESOLUTION) == ["first", "second"]


async def test_what_begins_when_all_is_over_is_due_as_well(line: Line) -> None:
    line.deadlines.begin("a", 1.0)
    assert await line.pass_by(1.01) == ["a"]
    await line.pass_by(100.0)
    line.deadlines.begin("b", 1.0)
    assert await line.pass_by(0.5) == ["a"]
    assert await line.pass_by(0.51) == ["a", "b"]


async def test_a_loop_that_stood_still_reads_before_it_ends_anything(line: Line) -> None:
    line.deadlines.begin("a", 1.0)
    assert await line.pass_by(5.0) == []
    line.deadlines.end("a", 1.0)
    assert await line.pass_by(5.0) == []


async def test_a_loop_that_always_stands_still_ends_things_all_the_same(line: Line) -> None:
    line.deadlines.begin("a", 1.0)
    assert await line.pass_by(5.0) == []
    assert await line.pass_by(5.0) == ["a"]


async def test_one_that_ends_another_is_reported_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = LoopClock(monkeypatch)
    clock.stop()
    due: list[str] = []

    def expire(member: str) -> None:
        due.append(member)
        deadlines.end("b", 1.0)

    deadlines = Deadlines[str](asyncio.get_running_loop(), expire)
    deadlines.begin("a", 1.0)
    deadlines.begin("b", 1.0)
    clock.ahead += 1.01
    await turns()
    assert due == ["a"]


async def test_the_oldest_is_the_one_that_began_first(line: Line) -> None:
    assert line.deadlines.oldest(1.0) is None
    for member in ("a", "b", "c"):
        line.deadlines.begin(member, 1.0)
    line.deadlines.end("a", 1.0)
    assert line.deadlines.oldest(1.0) == "b"


async def test_after_the_end_nothing_is_due(line: Line) -> None:
    line.deadlines.begin("a", 1.0)
    line.deadlines.close()
    assert await line.pass_by(10.0) == []
    assert len(line.deadlines) == 0
