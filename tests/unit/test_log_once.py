"""A state that lasts is logged when it begins."""

from forebay.runtime.log_once import LogOnce


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
