"""Attempts under way stay within a destination's limit, and whoever waits gets its turn."""

from collections.abc import Callable

from forebay_processor.delivery.limits import Slots


def taker(slots: Slots, name: str, served: list[str]) -> Callable[[], None]:
    def call() -> None:
        if slots.try_take():
            served.append(name)

    return call


def test_no_more_places_than_the_limit() -> None:
    slots = Slots(2)
    assert [slots.try_take() for _ in range(3)] == [True, True, False]
    assert slots.taken == 2


def test_a_place_that_is_given_back_can_be_taken() -> None:
    slots = Slots(1)
    assert slots.try_take()
    slots.give_back()
    assert slots.taken == 0
    assert slots.try_take()


def test_who_waits_is_called_in_order_one_for_each_place() -> None:
    slots, served = Slots(1), list[str]()
    assert slots.try_take()
    for name in ("first", "second"):
        slots.call_when_free(taker(slots, name, served))
    slots.give_back()
    assert served == ["first"]
    slots.give_back()
    assert served == ["first", "second"]


def test_a_place_that_the_first_does_not_want_goes_to_the_next() -> None:
    slots, served = Slots(1), list[str]()
    assert slots.try_take()
    slots.call_when_free(lambda: served.append("no need any more"))
    slots.call_when_free(taker(slots, "second", served))
    slots.give_back()
    assert served == ["no need any more", "second"]
    assert slots.taken == 1


def test_a_smaller_limit_lets_nobody_in_until_enough_is_given_back() -> None:
    slots, served = Slots(3), list[str]()
    assert all(slots.try_take() for _ in range(3))
    slots.resize(1)
    slots.call_when_free(taker(slots, "waiting", served))
    slots.give_back()
    slots.give_back()
    assert (slots.taken, served) == (1, [])
    slots.give_back()
    assert (slots.taken, served) == (1, ["waiting"])


def test_a_larger_limit_lets_more_in() -> None:
    slots = Slots(1)
    assert slots.try_take()
    slots.resize(2)
    assert slots.try_take()
    assert not slots.try_take()


def test_a_larger_limit_calls_who_waits() -> None:
    slots, served = Slots(1), list[str]()
    assert slots.try_take()
    for name in ("first", "second", "third"):
        slots.call_when_free(taker(slots, name, served))
    slots.resize(3)
    assert served == ["first", "second"]
