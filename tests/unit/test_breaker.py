"""A breaker opens when a destination is down, not when an item is bad, and closes when it is up."""

import math
from random import Random

import pytest

from forebay.core.tables import Retry
from forebay_processor.delivery.circuit_breaker import BreakerState, CircuitBreaker
from forebay_processor.destinations.port import Delivered, Failed, Rejected, Result, Trouble

DOWN = Failed("status 500")
CUT_OFF = Failed("ClientConnectorError", trouble=Trouble.DESTINATION)
REFUSED = Failed("status 401", trouble=Trouble.REFUSED)


class Desk:
    """A breaker with a clock that the test turns, and a note of what it said."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.breaker = CircuitBreaker(Random(1), lambda: self.now)
        self.breaker.retry = Retry(initial_delay_seconds=1, max_delay_seconds=600)
        self.said: list[BreakerState] = []
        self.breaker.on_change = lambda: self.said.append(self.breaker.state)

    def note(self, *results: Result, item: str | None = None) -> None:
        """Let attempts end so, each of another item unless one is named."""
        for number, result in enumerate(results):
            self.breaker.note(item or f"item-{number}", result, self.breaker.generation)

    def open(self) -> None:
        """Open it by failures."""
        self.note(*[DOWN] * 5)
        assert self.breaker.state is BreakerState.OPEN

    def probe(self, result: Result) -> None:
        """Wait until a probe may begin, and let it end so."""
        self.now += self.breaker.wait
        assert self.breaker.wait == 0
        self.breaker.begin()
        assert self.breaker.wait == math.inf
        self.note(result)


def test_five_failures_in_a_row_open_it() -> None:
    desk = Desk()
    desk.note(*[DOWN] * 4)
    assert desk.breaker.is_closed
    desk.note(DOWN)
    assert (desk.breaker.state, desk.breaker.reason) == (BreakerState.OPEN, "status 500")
    assert 0.5 <= desk.breaker.wait <= 1
    assert desk.said == [BreakerState.OPEN]


def test_it_says_since_when_it_is_open_whatever_its_probes_end_in() -> None:
    desk = Desk()
    desk.now = 1234.0
    desk.open()
    desk.probe(DOWN)
    assert desk.now > 1234.0
    assert desk.breaker.opened_at == 1234.0
    desk.probe(REFUSED)
    assert (desk.breaker.state, desk.breaker.opened_at) == (BreakerState.BLOCKED, 1234.0)
    desk.breaker.reset()
    desk.now = 5678.0
    desk.open()
    assert desk.breaker.opened_at == 5678.0


@pytest.mark.parametrize("success", [Delivered(), Rejected("status 400")])
def test_an_answer_between_them_begins_the_count_anew(success: Result) -> None:
    desk = Desk()
    for _ in range(5):
        desk.note(*[DOWN] * 4, success)
    assert desk.breaker.is_closed
    assert not desk.said


def test_one_item_that_always_fails_opens_nothing() -> None:
    desk = Desk()
    desk.note(*[DOWN] * 50, item="poison")
    assert desk.breaker.is_closed
    desk.note(DOWN, DOWN)
    assert desk.breaker.state is BreakerState.OPEN


def test_no_connection_speaks_for_the_destination_whatever_the_item() -> None:
    desk = Desk()
    desk.note(*[CUT_OFF] * 5, item="only")
    assert desk.breaker.state is BreakerState.OPEN


def test_probes_come_one_at_a_time_with_growing_pauses_up_to_half_a_minute() -> None:
    desk = Desk()
    desk.open()
    pauses = []
    for _ in range(12):
        pauses.append(desk.breaker.wait)
        desk.probe(DOWN)
    assert all(
        low <= pause <= high
        for pause, low, high in zip(
            pauses, (0.5, 1, 2, 4, 8, *[15] * 7), (1, 2, 4, 8, 16, *[30] * 7), strict=True
        )
    )
    assert desk.said == [BreakerState.OPEN]


def test_a_success_closes_it_and_the_pauses_begin_anew() -> None:
    desk = Desk()
    desk.open()
    for _ in range(5):
        desk.probe(DOWN)
    desk.probe(Delivered())
    assert (desk.breaker.wait, desk.breaker.reason) == (0, "")
    assert desk.said == [BreakerState.OPEN, BreakerState.CLOSED]
    desk.open()
    assert desk.breaker.wait <= 1


def test_a_probe_without_a_result_is_made_again() -> None:
    desk = Desk()
    desk.open()
    desk.now += 1
    desk.breaker.begin()
    desk.breaker.probe_is_over()
    assert desk.breaker.wait == 0


def test_a_refused_credential_opens_it_at_once_and_new_settings_close_it() -> None:
    desk = Desk()
    desk.note(REFUSED)
    assert desk.breaker.state is BreakerState.BLOCKED
    assert 30 <= desk.breaker.wait <= 60
    desk.breaker.reset()
    assert desk.breaker.wait == 0
    assert desk.said == [BreakerState.BLOCKED, BreakerState.CLOSED]


def test_one_that_is_refused_is_probed_after_pauses_that_grow_from_a_minute_to_four_hours() -> None:
    desk = Desk()
    desk.note(REFUSED)
    pauses = []
    for _ in range(12):
        pauses.append(desk.breaker.wait / 60)
        desk.probe(REFUSED)
        assert desk.breaker.state is BreakerState.BLOCKED
    longest = (1, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240, 240)
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert desk.said == [BreakerState.BLOCKED]


def test_a_probe_that_gets_through_closes_one_that_was_refused_and_its_pauses_begin_anew() -> None:
    desk = Desk()
    desk.note(REFUSED)
    for _ in range(8):
        desk.probe(REFUSED)
    desk.probe(Delivered())
    assert desk.breaker.is_closed
    assert desk.said == [BreakerState.BLOCKED, BreakerState.CLOSED]
    desk.note(REFUSED)
    assert desk.breaker.wait <= 60


def test_refusals_of_what_was_under_way_together_are_one() -> None:
    desk = Desk()
    desk.note(*[REFUSED] * 20)
    assert desk.breaker.wait <= 60


def test_one_that_is_refused_is_shown_so_while_it_is_probed() -> None:
    desk = Desk()
    desk.note(REFUSED)
    desk.now += 60
    desk.breaker.begin()
    assert (desk.breaker.shown, desk.breaker.next_probe) == (BreakerState.BLOCKED, None)
    # A probe without a result is made again.
    desk.breaker.probe_is_over()
    assert (desk.breaker.shown, desk.breaker.next_probe) == (BreakerState.BLOCKED, 0)


def test_a_probe_that_finds_it_down_instead_is_reported_and_refusals_go_on_where_they_were() -> (
    None
):
    desk = Desk()
    desk.note(REFUSED)
    for _ in range(5):
        desk.probe(REFUSED)
    desk.probe(CUT_OFF)
    assert desk.breaker.shown is BreakerState.OPEN
    assert desk.breaker.wait <= 30
    desk.probe(REFUSED)
    assert 32 * 60 <= desk.breaker.wait <= 64 * 60
    assert desk.said == [BreakerState.BLOCKED, BreakerState.OPEN, BreakerState.BLOCKED]


def test_a_probe_that_is_refused_ends_probing() -> None:
    desk = Desk()
    desk.open()
    desk.probe(REFUSED)
    assert 30 <= desk.breaker.wait <= 60
    assert desk.said == [BreakerState.OPEN, BreakerState.BLOCKED]


def test_what_began_under_older_settings_says_nothing() -> None:
    desk = Desk()
    before = desk.breaker.generation
    desk.breaker.reset()
    desk.breaker.note("item", REFUSED, before)
    assert desk.breaker.is_closed


def test_a_destination_that_says_when_is_left_alone_until_then() -> None:
    desk = Desk()
    desk.note(Failed("status 429", 120, Trouble.DESTINATION))
    assert desk.breaker.wait == 120
    # One that was under way says later when; it counts.
    desk.note(Failed("status 503", 300, Trouble.DESTINATION))
    assert desk.breaker.wait == 300


def test_items_that_fail_while_others_get_through_open_nothing_when_they_fail_again() -> None:
    desk = Desk()
    desk.note(Delivered())
    known = desk.breaker.successes - 1
    for number in range(100):
        desk.breaker.note(f"item-{number}", DOWN, desk.breaker.generation, known)
    assert desk.breaker.is_closed
    # Nothing is taken off what others say.
    desk.note(*[DOWN] * 5)
    assert desk.breaker.state is BreakerState.OPEN


@pytest.mark.parametrize(("answer", "failed_after"), [(DOWN, 1), (CUT_OFF, 0)])
def test_items_that_failed_with_the_destination_speak_for_it_again(
    answer: Failed, failed_after: int
) -> None:
    desk = Desk()
    desk.note(Delivered())
    for number in range(5):
        desk.breaker.note(f"item-{number}", answer, desk.breaker.generation, failed_after)
    assert desk.breaker.state is BreakerState.OPEN


def test_who_failed_with_the_destination_is_distinguished_from_who_failed_by_itself() -> None:
    desk = Desk()
    desk.note(Delivered())
    by_itself = desk.breaker.successes
    desk.note(Delivered())
    with_others = desk.breaker.successes
    desk.open()
    desk.probe(DOWN)
    desk.probe(Delivered())
    assert desk.breaker.is_closed
    failed_with_others = desk.breaker.failed_with_others
    assert [failed_with_others(each) for each in (by_itself, with_others, None)] == [
        False,
        True,
        True,
    ]
    # A destination with other settings may take what it did not take before.
    desk.breaker.reset()
    assert desk.breaker.failed_with_others(by_itself)


def test_an_item_that_is_refused_again_after_others_got_through_opens_nothing() -> None:
    """As where a firewall in front of the destination dislikes one text."""
    desk = Desk()
    desk.note(REFUSED, item="disliked")
    failed_after = desk.breaker.successes
    assert desk.breaker.state is BreakerState.BLOCKED
    desk.note(Delivered(), item="was-under-way")
    assert desk.breaker.is_closed
    generation = desk.breaker.generation
    for _ in range(10):
        desk.breaker.note("disliked", REFUSED, generation, failed_after)
        assert desk.breaker.is_closed
        failed_after = desk.breaker.successes
        desk.note(Delivered())
    # Refused with nothing getting through in between, or refused for the first time, it counts.
    desk.breaker.note("disliked", REFUSED, generation, desk.breaker.successes)
    assert desk.breaker.state is BreakerState.BLOCKED
    desk.note(Delivered())
    desk.note(REFUSED, item="another")
    assert desk.breaker.state is BreakerState.BLOCKED


def test_what_waits_at_one_that_is_refused_is_tried_before_it_is_too_old() -> None:
    desk = Desk()
    desk.breaker.retry = Retry(max_age_seconds=3600)
    desk.note(REFUSED)
    for _ in range(12):
        assert desk.breaker.wait <= 3600 / 4
        desk.probe(REFUSED)
    desk.breaker.retry = Retry(max_age_seconds=10)
    desk.probe(REFUSED)
    assert 30 <= desk.breaker.wait <= 60
