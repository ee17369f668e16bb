"""A state that lasts is logged when it begins; what happens often, now and again with a count."""

import pytest

from forebay.runtime.log_once import LATE_LINES, LogLimit, LogOnce


def test_a_state_is_logged_once() -> None:
    once = LogOnce()
    assert [once.is_due() for _ in range(3)] == [True, False, False]


def test_it_is_logged_again_after_it_was_over() -> None:
    once = LogOnce()
    once.is_due()
    once.reset()
    assert [once.is_due() for _ in range(2)] == [True, False]


def test_another_state_than_the_last_is_logged() -> None:
    once = LogOnce()
    assert [once.is_due(each) for each in ("a", "a", "b", "a")] == [True, False, True, True]


def test_a_state_that_is_nothing_or_false_is_one_too() -> None:
    once = LogOnce()
    states = (None, None, 0, 0, "")
    assert [once.is_due(each) for each in states] == [True, False, True, False, True]


def test_the_same_is_logged_again_after_a_time() -> None:
    now = 0.0
    once = LogOnce(10.0, lambda: now)
    due = []
    for now in (0.0, 9.0, 10.0, 19.0, 20.0):  # noqa: B007  # the clock reads it
        due.append(once.is_due("a"))  # noqa: PERF401
    assert due == [True, False, True, False, True]


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> LogLimit[str, int]:
    return LogLimit(60.0, clock, most=3)


def test_the_first_of_each_key_is_logged_at_once(limit: LogLimit[str, int]) -> None:
    assert [limit.count(each, 0) for each in ("a", "b", "a", "b")] == [1, 1, 0, 0]


def test_the_next_line_counts_all_since_the_last(limit: LogLimit[str, int], clock: Clock) -> None:
    for _ in range(5):
        limit.count("a", 0)
    clock.now += 60
    assert limit.count("a", 0) == 5
    clock.now += 60
    assert limit.count("a", 0) == 1


def test_what_came_after_the_last_line_is_said_though_nothing_else_comes(
    limit: LogLimit[str, int], clock: Clock
) -> None:
    for number in range(3):
        limit.count("a", number)
    assert not list(limit.late())
    clock.now += 60
    assert list(limit.late()) == [("a", 2, 2)]
    assert not list(limit.late())


def test_each_is_said_once_whatever_comes_when(clock: Clock) -> None:
    limit = LogLimit[str, None](60.0, clock)
    said = dict.fromkeys("abc", 0)
    for second in range(1200):
        clock.now += 1
        for key in "abc":
            if second % (ord(key) - 90) == 0 and second < 900:
                said[key] += limit.count(key, None)
        if second % 7 == 0:
            for key, count, _ in limit.late():
                said[key] += count
    assert said == {key: len(range(0, 900, ord(key) - 90)) for key in "abc"}
    assert not len(limit)


def test_what_is_quiet_takes_no_room(limit: LogLimit[str, int], clock: Clock) -> None:
    limit.count("a", 0)
    clock.now += 60
    assert not list(limit.late())
    assert not len(limit)


def test_no_more_keys_are_remembered_than_may_be(limit: LogLimit[str, int], clock: Clock) -> None:
    assert [limit.count(each, 0) for each in "abcd"] == [1, 1, 1, 0]
    assert len(limit) == 3
    clock.now += 60
    assert limit.count("d", 0) == 1
    assert len(limit) == 3
    assert limit.count("b", 0) == 1  # the oldest was left out, not this one
    assert limit.count("b", 0) == 0


def test_what_is_gone_is_forgotten(limit: LogLimit[str, int], clock: Clock) -> None:
    for _ in range(2):
        limit.count("a", 0)
    limit.forget("a")
    limit.forget("never there")
    clock.now += 60
    assert not list(limit.late())
    assert limit.count("a", 0) == 1


def test_what_is_in_no_line_yet_is_not_dropped_for_another_key(
    limit: LogLimit[str, int], clock: Clock
) -> None:
    for each in "aabc":
        limit.count(each, 0)
    clock.now += 60
    assert limit.count("d", 0) == 0
    assert list(limit.late()) == [("a", 1, 0)]
    assert limit.count("d", 0) == 1


def test_of_thousands_that_are_due_some_are_returned_at_a_time_and_all_in_the_end(
    clock: Clock,
) -> None:
    limit = LogLimit[int, None](60.0, clock)
    for _ in range(3):
        for key in range(5 * LATE_LINES // 2):
            limit.count(key, None)
    clock.now += 60
    turns = [list(limit.late()) for _ in range(4)]
    assert [len(each) for each in turns] == [LATE_LINES, LATE_LINES, LATE_LINES // 2, 0]
    assert {key: count for turn in turns for key, count, _ in turn} == dict.fromkeys(
        range(5 * LATE_LINES // 2), 2
    )


def test_at_the_end_all_is_returned_that_is_in_no_line(limit: LogLimit[str, int]) -> None:
    for number, each in enumerate("aabbc"):
        limit.count(each, number)
    assert list(limit.late(everything=True)) == [("a", 1, 1), ("b", 1, 3)]
    assert not list(limit.late(everything=True))


def test_what_is_taken_is_in_no_line_of_the_limit(limit: LogLimit[str, int], clock: Clock) -> None:
    for _ in range(5):
        limit.count("a", 0)
    assert (limit.take("a"), limit.take("a"), limit.take("never there")) == (4, 0, 0)
    assert limit.count("a", 0) == 0
    clock.now += 60
    assert limit.count("a", 0) == 2
