"""The time that items go by: NATS', carried on by a clock that does not jump."""

import pytest
from structlog.testing import capture_logs

from forebay_processor.shared.stream_time import JUMP_SECONDS, StreamTime
from support.timing.clocks import HandClock

HOUR = 3600.0
EXACT = 0.5


def observe(time: StreamTime, clock: HandClock, nats_ahead: float = 0.0, late: float = 0.0) -> None:
    """Let NATS say what its time is."""
    right = clock.wall() - clock.ahead
    time.observe(right + nats_ahead - late / 2, time.steady() - late)


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR])
def test_a_wrong_wall_clock_is_right_as_soon_as_nats_was_asked(ahead: float) -> None:
    clock = HandClock(ahead)
    time = StreamTime(clock)
    observe(time, clock)
    assert time.now() == pytest.approx(clock.wall() - ahead, abs=EXACT)


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR])
def test_a_jump_of_the_wall_clock_changes_nothing_and_is_reported_once(ahead: float) -> None:
    clock = HandClock()
    time = StreamTime(clock)
    with capture_logs() as logs:
        observe(time, clock)
        before, steady = time.now(), time.steady()
        clock.ahead = ahead
        assert time.now() - before == pytest.approx(time.steady() - steady, abs=0.001)
        observe(time, clock)
        observe(time, clock)
        assert time.now() == pytest.approx(clock.wall() - ahead, abs=EXACT)
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("clock_jumped", "warning")
    assert line["seconds"] == pytest.approx(ahead, abs=1)


def test_the_jump_back_is_reported_as_well() -> None:
    clock = HandClock(HOUR)
    time = StreamTime(clock)
    with capture_logs() as logs:
        observe(time, clock)
        clock.ahead = 0.0
        observe(time, clock)
        observe(time, clock)
    assert [round(line["seconds"], -2) for line in logs] == [HOUR, -HOUR]


def test_a_jump_of_nats_clock_is_followed_and_reported_while_moments_in_memory_stay() -> None:
    clock = HandClock()
    time = StreamTime(clock)
    observe(time, clock)
    moment = time.to_steady(time.now())
    with capture_logs() as logs:
        observe(time, clock, nats_ahead=80 * HOUR)
        observe(time, clock, nats_ahead=80 * HOUR)
    assert time.steady() - moment == pytest.approx(0, abs=EXACT)
    assert time.now() == pytest.approx(clock.wall() + 80 * HOUR, abs=EXACT)
    assert sorted(line["event"] for line in logs) == ["clock_jumped", "stream_clock_jumped"]


def test_time_goes_on_between_two_observations() -> None:
    clock = HandClock(-HOUR)
    time = StreamTime(clock)
    observe(time, clock)
    before = time.now()
    clock.gone_by += 10 * HOUR
    assert time.now() - before == pytest.approx(10 * HOUR, abs=EXACT)


def test_an_answer_that_took_long_does_not_undo_what_is_known() -> None:
    clock = HandClock()
    time = StreamTime(clock)
    observe(time, clock)
    with capture_logs() as logs:
        time.observe(clock.wall() - 1.0, time.steady() - 4.0)
    assert time.now() == pytest.approx(clock.wall(), abs=EXACT)
    assert logs == []


def test_small_corrections_are_followed_without_a_word() -> None:
    clock = HandClock()
    time = StreamTime(clock)
    observe(time, clock)
    with capture_logs() as logs:
        observe(time, clock, nats_ahead=JUMP_SECONDS * 0.8)
    assert time.now() - clock.wall() == pytest.approx(JUMP_SECONDS * 0.8, abs=EXACT)
    assert logs == []
