"""Who waits for a destination's rate or breaker is called in time, the urgent first."""

import time
from random import Random

import pytest

from forebay.core.tables import Retry
from forebay_processor.delivery.attempt_limiter import RANKS, AttemptLimiter
from forebay_processor.delivery.circuit_breaker import CircuitBreaker
from forebay_processor.delivery.endpoint_limit import EndpointLimit
from forebay_processor.destinations.port import Delivered, Failed, Trouble
from support.processor.limiters import taker
from support.timing.wait import eventually


def test_the_urgent_are_called_first_and_the_others_are_not_forgotten() -> None:
    limiter, served = AttemptLimiter(1), list[str]()
    assert limiter.try_take()
    for number in range(20):
        limiter.call_when_free(taker(limiter, f"bulk-{number}", served), 2)
        limiter.call_when_free(taker(limiter, f"live-{number}", served), 0)
    for _ in range(16):
        limiter.give_back()
    assert [name for name in served if name.startswith("bulk")] == ["bulk-0", "bulk-1"]
    assert served[:3] == ["live-0", "live-1", "live-2"]


async def test_a_rate_lets_one_after_the_other_begin() -> None:
    limiter, served = AttemptLimiter(100), list[str]()
    limiter.limit_rate(50, time.monotonic)
    began = time.monotonic()
    for number in range(15):
        limiter.call_when_free(taker(limiter, str(number), served))
    limiter.serve()
    assert len(served) == 5
    await eventually(lambda: len(served) == 15)
    assert time.monotonic() - began >= 0.2
    assert served == [str(number) for number in range(15)]


async def test_a_token_that_comes_between_a_try_and_the_wait_is_not_missed() -> None:
    now, served = [100.0], list[str]()
    limiter = AttemptLimiter(100)
    limiter.limit_rate(1, lambda: now[0])
    assert limiter.try_take()
    assert not limiter.try_take()
    now[0] += 1
    limiter.call_when_free(taker(limiter, "waits", served))
    await eventually(lambda: served)


async def test_nobody_jumps_the_line_before_a_rate() -> None:
    limiter, served = AttemptLimiter(100), list[str]()
    limiter.limit_rate(20, time.monotonic)
    while limiter.try_take():
        pass
    limiter.call_when_free(taker(limiter, "waits", served))

    def is_served() -> bool:
        if not served:
            assert not limiter.try_take()
            assert limiter.is_held_off
        return bool(served)

    await eventually(is_served)
    assert served == ["waits"]


async def test_an_open_breaker_lets_one_begin_when_its_pause_is_over() -> None:
    breaker = CircuitBreaker(Random(1), time.monotonic)
    breaker.retry = Retry(initial_delay_seconds=0.05, max_delay_seconds=0.05)
    limiter, served = AttemptLimiter(10, breaker), list[str]()
    breaker.on_change = limiter.serve
    for number in range(5):
        breaker.note(str(number), Failed("no", trouble=Trouble.DESTINATION), breaker.generation)
    assert limiter.is_held_off
    assert not limiter.try_take()
    for number in range(5):
        limiter.call_when_free(taker(limiter, str(number), served))
    await eventually(lambda: served)
    assert served == ["0"]
    assert not limiter.try_take()
    breaker.note("0", Delivered(), breaker.generation)
    assert served == ["0", "1", "2", "3", "4"]


async def test_who_waits_for_hours_is_called_in_time_where_the_breaker_began_anew() -> None:
    breaker = CircuitBreaker(Random(1), time.monotonic)
    breaker.retry = Retry(initial_delay_seconds=0.05, max_delay_seconds=0.05)
    limiter, served = AttemptLimiter(10, breaker), list[str]()
    breaker.on_change = limiter.serve_anew
    breaker.note("0", Failed("status 429", 3600, Trouble.REFUSED), breaker.generation)
    limiter.call_when_free(lambda: served.append("nothing to do"))
    limiter.call_when_free(taker(limiter, "waits", served))
    assert not served
    breaker.note("1", Failed("no", 0, Trouble.DESTINATION), breaker.generation)
    breaker.begin()
    breaker.note("2", Failed("no", 0, Trouble.DESTINATION), breaker.generation)
    await eventually(lambda: served == ["nothing to do", "waits"], saying="the one that waits")


@pytest.mark.parametrize("limit", [1, 3])
def test_a_place_of_the_endpoint_goes_to_another_destination(limit: int) -> None:
    endpoint_limit, served = EndpointLimit(), list[str]()
    endpoint_limit.configure(limit, 2)
    one, two = AttemptLimiter(64), AttemptLimiter(64)
    one.take_part_in(endpoint_limit.join(one.serve))
    two.take_part_in(endpoint_limit.join(two.serve))
    while one.try_take():
        pass
    two.call_when_free(taker(two, "two", served))
    two.serve()
    assert not served
    one.give_back()
    assert served == ["two"]
    assert one.taken + two.taken == limit


async def test_who_comes_while_others_wait_for_the_rate_does_not_go_before_them() -> None:
    now = 0.0
    limiter, served = AttemptLimiter(100), list[str]()
    limiter.limit_rate(10, lambda: now)
    while limiter.try_take():
        pass
    limiter.call_when_free(taker(limiter, "waits", served))
    now = 0.15
    assert not limiter.try_take(), "the one token belongs to whoever waited"
    limiter.serve()
    assert served == ["waits"]


async def test_what_failed_before_is_no_probe_where_there_is_something_else() -> None:
    now = 0.0
    breaker = CircuitBreaker(Random(1), lambda: now)
    limiter, served = AttemptLimiter(10, breaker), list[str]()
    for number in range(5):
        breaker.note(str(number), Failed("no", trouble=Trouble.DESTINATION), breaker.generation)
    for number in range(40):
        failed = taker(limiter, f"failed-{number}", served)
        limiter.call_when_free(failed, 0, has_failed=True)
    for rank in (2, 1):
        limiter.call_when_free(taker(limiter, f"new-{rank}", served), rank)
    for _ in range(3):
        now += 3600
        limiter.serve()
        breaker.note("probe", Failed("no"), breaker.generation)
        limiter.give_back()
    assert served[:2] == ["new-1", "new-2"]
    assert served[2] == "failed-0", "what failed is a probe where there is nothing else"


def test_many_that_failed_are_not_all_before_the_rest() -> None:
    limiter, served = AttemptLimiter(1), list[str]()
    assert limiter.try_take()
    for number in range(200):
        for rank in range(RANKS):
            failed = taker(limiter, f"failed-{rank}-{number}", served)
            limiter.call_when_free(failed, rank, has_failed=True)
            limiter.call_when_free(taker(limiter, f"new-{rank}-{number}", served), rank)
    for _ in range(160):
        limiter.give_back()
    kinds = {name.rpartition("-")[0] for name in served}
    assert kinds == {"failed-0", "new-0", "failed-2", "new-2"}
    for kind in kinds:
        count = sum(name.rpartition("-")[0] == kind for name in served)
        assert count == (70 if kind.endswith("0") else 10)
