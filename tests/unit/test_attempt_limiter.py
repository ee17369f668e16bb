"""Attempts under way stay within a destination's limit, and whoever waits gets its turn."""

from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from support.processor.limiters import taker


def test_no_more_places_than_the_limit() -> None:
    limiter = AttemptLimiter(2)
    assert [limiter.try_take() for _ in range(3)] == [True, True, False]
    assert limiter.taken == 2


def test_a_place_that_is_given_back_can_be_taken() -> None:
    limiter = AttemptLimiter(1)
    assert limiter.try_take()
    limiter.give_back()
    assert limiter.taken == 0
    assert limiter.try_take()


def test_who_waits_is_called_in_order_one_for_each_place() -> None:
    limiter, served = AttemptLimiter(1), list[str]()
    assert limiter.try_take()
    for name in ("first", "second"):
        limiter.call_when_free(taker(limiter, name, served))
    limiter.give_back()
    assert served == ["first"]
    limiter.give_back()
    assert served == ["first", "second"]


def test_a_place_that_the_first_does_not_want_goes_to_the_next() -> None:
    limiter, served = AttemptLimiter(1), list[str]()
    assert limiter.try_take()
    limiter.call_when_free(lambda: served.append("no need any more"))
    limiter.call_when_free(taker(limiter, "second", served))
    limiter.give_back()
    assert served == ["no need any more", "second"]
    assert limiter.taken == 1


def test_a_smaller_limit_lets_nobody_in_until_enough_is_given_back() -> None:
    limiter, served = AttemptLimiter(3), list[str]()
    assert all(limiter.try_take() for _ in range(3))
    limiter.resize(1)
    limiter.call_when_free(taker(limiter, "waiting", served))
    limiter.give_back()
    limiter.give_back()
    assert (limiter.taken, served) == (1, [])
    limiter.give_back()
    assert (limiter.taken, served) == (1, ["waiting"])


def test_a_larger_limit_lets_more_in() -> None:
    limiter = AttemptLimiter(1)
    assert limiter.try_take()
    limiter.resize(2)
    assert limiter.try_take()
    assert not limiter.try_take()


def test_a_larger_limit_calls_who_waits() -> None:
    limiter, served = AttemptLimiter(1), list[str]()
    assert limiter.try_take()
    for name in ("first", "second", "third"):
        limiter.call_when_free(taker(limiter, name, served))
    limiter.resize(3)
    assert served == ["first", "second"]
