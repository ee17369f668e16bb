"""Who waits for a destination's rate or breaker is called in time, the urgent first."""

import time
from collections.abc import Callable
from random import Random

import pytest

from forebay.core.tables import Retry
from forebay_processor.delivery.circuit_breaker import Breaker
from forebay_processor.delivery.endpoint_limit import Budget
from forebay_processor.delivery.limits import Slots
from forebay_processor.destinations.port import Delivered, Failed, Trouble
from support.wait import eventually


def waiter(slots: Slots, name: str, served: list[str]) -> Callable[[], None]:
    def call() -> None:
        if slots.try_take():
            served.append(name)

    return call


def test_the_urgent_are_called_first_and_the_others_are_not_forgotten() -> None:
    slots, served = Slots(1), list[str]()
    assert slots.try_take()
    for number in range(20):
        slots.call_when_free(waiter(slots, f"bulk-{number}", served), 2)
        slots.call_when_free(waiter(slots, f"live-{number}", served), 0)
    for _ in range(16):
        slots.give_back()
    assert [name for name in served if name.startswith("bulk")] == ["bulk-0", "bulk-1"]
    assert served[:3] == ["live-0", "live-1", "live-2"]


async def test_a_rate_lets_one_after_the_other_begin() -> None:
    slots, served = Slots(100), list[str]()
    slots.limit_rate(50, time.monotonic)
    began = time.monotonic()
    for number in range(15):
        slots.call_when_free(waiter(slots, str(number), served))
    slots.serve()
    assert len(served) == 5
    await eventually(lambda: len(served) == 15)
    assert time.monotonic() - began >= 0.2
    assert served == [str(number) for number in range(15)]


async def test_a_token_that_comes_between_a_try_and_the_wait_is_not_missed() -> None:
    now, served = [100.0], list[str]()
    slots = Slots(100)
    slots.limit_rate(1, lambda: now[0])
    assert slots.try_take()
    assert not slots.try_take()
    now[0] += 1
    slots.call_when_free(waiter(slots, "waits", served))
    await eventually(lambda: served)


async def test_nobody_jumps_the_line_before_a_rate() -> None:
    slots, served = Slots(100), list[str]()
    slots.limit_rate(20, time.monotonic)
    while slots.try_take():
        pass
    slots.call_when_free(waiter(slots, "waits", served))

    def is_served() -> bool:
        if not served:
            assert not slots.try_take()
            assert slots.is_held_off
        return bool(served)

    await eventually(is_served)
    assert served == ["waits"]


async def test_an_open_breaker_lets_one_begin_when_its_pause_is_over() -> None:
    breaker = Breaker(Random(1), time.monotonic)
    breaker.retry = Retry(initial_delay_seconds=0.05, max_delay_seconds=0.05)
    slots, served = Slots(10, breaker), list[str]()
    breaker.on_change = slots.serve
    for number in range(5):
        breaker.note(str(number), Failed("no", trouble=Trouble.DESTINATION), breaker.generation)
    assert slots.is_held_off
    assert not slots.try_take()
    for number in range(5):
        slots.call_when_free(waiter(slots, str(number), served))
    await eventually(lambda: served)
    assert served == ["0"]
    assert not slots.try_take()
    breaker.note("0", Delivered(), breaker.generation)
    assert served == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("limit", [1, 3])
def test_a_place_of_the_endpoint_goes_to_another_destination(limit: int) -> None:
    budget, served = Budget(), list[str]()
    budget.configure(limit, 2)
    one, two = Slots(64), Slots(64)
    one.take_part_in(budget.join(one.serve))
    two.take_part_in(budget.join(two.serve))
    while one.try_take():
        pass
    two.call_when_free(waiter(two, "two", served))
    two.serve()
    assert not served
    one.give_back()
    assert served == ["two"]
    assert one.taken + two.taken == limit


async def test_who_comes_while_others_wait_for_the_rate_does_not_go_before_them() -> None:
    now = 0.0
    slots, served = Slots(100), list[str]()
    slots.limit_rate(10, lambda: now)
    while slots.try_take():
        pass
    slots.call_when_free(waiter(slots, "waits", served))
    now = 0.15
    assert not slots.try_take(), "the one token belongs to whoever waited"
    slots.serve()
    assert served == ["waits"]
