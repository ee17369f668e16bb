"""What the log says of destinations: that they begin to fail, now and again, that it is over."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.jetstream.errors import StoreFull, StoreUnavailable
from forebay.runtime.log_once import LATE_LINES
from forebay_processor.delivery.incidents import Incidents
from forebay_processor.destinations.port import Failed, Trouble

SHOP = EndpointName("acme", "shop")
BROKEN = Failed("status 503")


class Watched:
    """Incidents of one destination, a clock, and what was logged."""

    def __init__(self, lines: list[EventDict]) -> None:
        self.now = 1000.0
        self.every = Incidents(lambda: self.now)
        self.own = self.every.of(SHOP, "crm")
        self._lines = lines

    def fails(self, seconds: float, times: int = 1, result: Failed = BROKEN) -> None:
        """Fail so many times, in as many equal steps."""
        for _ in range(times):
            self.now += seconds / times
            self.own.failed(result, self.now + 30)
            self.every.settle()

    def passes(self, seconds: float) -> None:
        """Let time pass in which the log is checked."""
        for _ in range(int(seconds)):
            self.now += 1
            self.every.settle()

    def lines(self, event: str) -> list[EventDict]:
        """Return the lines of an event."""
        return [line for line in self._lines if line["event"] == event]

    def last(self, *events: str) -> EventDict:
        """Return the last line of any of these events."""
        return [line for line in self._lines if line["event"] in events][-1]

    def counted(self, *events: str) -> int:
        """Return how many the lines of these events count; of none, failed attempts."""
        events = events or ("destination_failing", "destination_flapped", "destination_recovered")
        return sum(line["count"] for event in events for line in self.lines(event))


@pytest.fixture
def watched() -> Iterator[Watched]:
    with capture_logs() as lines:
        yield Watched(lines)


def test_the_first_failure_is_logged_at_once_with_all_that_helps(watched: Watched) -> None:
    watched.fails(0)
    assert watched.lines("destination_failing") == [
        {
            "event": "destination_failing",
            "log_level": "warning",
            "endpoint": "acme/shop",
            "destination": "crm",
            "answer": "5xx",
            "error": "status 503",
            "count": 1,
            "failing_seconds": 0.0,
            "next_attempt_seconds": 30.0,
        }
    ]


def test_a_destination_that_fails_has_a_line_a_minute_that_counts(watched: Watched) -> None:
    watched.fails(600, times=6000)
    lines = watched.lines("destination_failing")
    assert len(lines) == 10
    assert sum(line["count"] for line in lines) > 5300
    assert lines[-1]["failing_seconds"] > 500


def test_what_is_tried_in_hours_is_not_forgotten_meanwhile(watched: Watched) -> None:
    refused = Failed("status 401", trouble=Trouble.REFUSED)
    watched.own.failed(refused, watched.every.clock() + 4 * 3600)
    (line,) = watched.lines("destination_failing")
    assert line["next_attempt_seconds"] == 4 * 3600
    watched.passes(7200)
    assert [each.error for each in watched.every.failing()] == ["status 401"]


def test_one_line_says_that_it_is_over(watched: Watched) -> None:
    watched.fails(20, times=20)
    watched.own.got_through()
    watched.passes(30)
    watched.own.got_through()
    (line,) = watched.lines("destination_recovered")
    assert line == {
        "event": "destination_recovered",
        "log_level": "info",
        "endpoint": "acme/shop",
        "destination": "crm",
        "count": 19,
        "failures": 20,
        "seconds": 19.0,
    }
    assert not list(watched.every.failing())


def test_one_that_takes_some_and_not_others_is_failing_all_the_while(watched: Watched) -> None:
    for _ in range(300):
        watched.fails(1)
        watched.own.got_through()
    assert len(watched.lines("destination_failing")) == 5
    assert not watched.lines("destination_recovered")


def test_one_that_comes_and_goes_has_two_lines_a_minute_at_most(watched: Watched) -> None:
    for _ in range(60):
        watched.fails(1)
        watched.own.got_through()
        watched.passes(14)
    failing, recovered = map(watched.lines, ("destination_failing", "destination_recovered"))
    assert 13 <= len(failing) <= 15
    assert len(recovered) <= len(failing)
    watched.passes(61)
    assert watched.counted() == 60


def test_failures_between_two_lines_are_counted_though_it_is_well_by_then(
    watched: Watched,
) -> None:
    watched.fails(0)
    watched.own.got_through()
    watched.passes(20)
    watched.own.got_through()
    watched.passes(1)
    watched.fails(5, times=500)
    watched.passes(1)
    watched.own.got_through()
    watched.passes(40)
    assert len(watched.lines("destination_recovered")) == 1
    assert watched.lines("destination_flapped") == [
        {
            "event": "destination_flapped",
            "log_level": "info",
            "endpoint": "acme/shop",
            "destination": "crm",
            "answer": "5xx",
            "error": "status 503",
            "count": 500,
        }
    ]
    assert watched.counted() == 501


def test_what_a_recovery_counted_is_not_in_the_line_of_the_next_failure(
    watched: Watched,
) -> None:
    watched.fails(10, times=100)
    watched.passes(1)
    watched.own.got_through()
    watched.passes(10)
    (recovered,) = watched.lines("destination_recovered")
    assert (recovered["failures"], recovered["count"]) == (100, 99)
    watched.fails(60, times=30)
    assert watched.lines("destination_failing")[-1]["count"] <= 30
    watched.every.settle(everything=True)
    assert watched.counted() == 130


@pytest.mark.parametrize("recovers", [True, False])
def test_at_the_end_of_the_process_what_was_held_back_is_logged(
    watched: Watched, *, recovers: bool
) -> None:
    watched.fails(1, times=7)
    watched.own.breaker_changed("Open", "timeout", 0, is_open=True)
    watched.own.breaker_changed("Open", "timeout", 0, is_open=True)
    if recovers:
        watched.passes(1)
        watched.own.got_through()
        watched.passes(20)
    for _ in range(5):
        watched.own.dead("Rejected", "status 400", "key")
        watched.own.crashed("KeyError at http.py:1")
        watched.own.store_failed("park", StoreFull("maximum bytes exceeded"))
        watched.every.strays.void("0", 1)
    watched.every.settle(everything=True)
    assert watched.counted() == 7
    assert watched.counted("breaker_opened") == 2
    for event in ("dead_letter", "attempt_crashed", "store_failed", "void_row_deleted"):
        assert watched.counted(event) == 5


def test_of_all_that_are_well_at_the_same_time_some_are_logged_at_a_time(
    watched: Watched,
) -> None:
    for number in range(250):
        own = watched.every.of(SHOP, f"crm-{number}")
        own.failed(BROKEN, watched.now + 30)
        watched.now += 0.01
        own.got_through()
    watched.now += 11
    turns = []
    for _ in range(4):
        before = len(watched.lines("destination_recovered"))
        watched.every.settle()
        turns.append(len(watched.lines("destination_recovered")) - before)
    assert turns == [LATE_LINES, LATE_LINES, 50, 0]


def test_what_the_store_refuses_has_a_line_for_each_step_and_reason_whose_ever_it_is(
    watched: Watched,
) -> None:
    for number in range(1000):
        own = watched.every.of(EndpointName("acme", f"shop-{number}"), "crm")
        own.store_failed("park", StoreFull("maximum bytes exceeded"))
        own.store_failed("dead_letter", StoreFull("maximum bytes exceeded"))
        own.store_failed("park", StoreUnavailable("no answer"))
    lines = watched.lines("store_failed")
    assert [(line["step"], line["reason"]) for line in lines] == [
        ("park", "maximum bytes exceeded"),
        ("dead_letter", "maximum bytes exceeded"),
        ("park", "no answer"),
    ]
    watched.passes(61)
    rest = watched.lines("store_failed")[3:]
    assert [(line["count"], line["endpoint"], line["destination"]) for line in rest] == [
        (999, "acme/shop-999", "crm")
    ] * 3


def test_what_goes_well_is_not_logged(watched: Watched) -> None:
    for _ in range(100):
        watched.own.got_through()
        watched.passes(1)
    assert not watched.lines("destination_recovered")


def test_a_destination_without_items_any_more_is_not_called_failing_for_ever(
    watched: Watched,
) -> None:
    watched.fails(1)
    watched.passes(3500)
    assert list(watched.every.failing())
    watched.passes(200)
    assert not list(watched.every.failing())


def test_of_what_was_removed_nothing_is_kept(watched: Watched) -> None:
    watched.fails(1, times=2)
    watched.own.breaker_changed("Open", "status 503", 0, is_open=True)
    watched.every.forget((SHOP, "crm"))
    watched.own.breaker_changed("Closed", "", 0, is_open=False)
    assert not list(watched.every.failing())
    watched.passes(120)
    assert len(watched.lines("destination_failing")) == 1
    assert not watched.lines("breaker_closed")


def test_a_breaker_is_logged_when_it_opens_and_when_it_closes(watched: Watched) -> None:
    watched.own.breaker_changed("Open", "timeout", 0, is_open=True)
    watched.own.breaker_changed("Closed", "", 0, is_open=False)
    (opened,), (closed,) = map(watched.lines, ("breaker_opened", "breaker_closed"))
    assert [opened[each] for each in ("state", "reason", "log_level")] == [
        "Open",
        "timeout",
        "warning",
    ]
    assert (closed["destination"], closed["log_level"]) == ("crm", "info")


def test_a_breaker_that_flaps_has_few_lines_and_the_last_one_says_how_it_is(
    watched: Watched,
) -> None:
    for _ in range(60):
        watched.own.breaker_changed("Open", "timeout", 0, is_open=True)
        watched.passes(1)
        watched.own.breaker_changed("Closed", "", 0, is_open=False)
        watched.passes(1)
    watched.own.breaker_changed("Open", "timeout", 0, is_open=True)
    watched.passes(61)
    opened = watched.lines("breaker_opened")
    counted = opened + watched.lines("breaker_flapped")
    assert len(counted) <= 4
    assert sum(line["count"] for line in counted) == 61
    assert watched.last(*{line["event"] for line in counted}) is opened[-1]
    watched.own.breaker_changed("Closed", "", 0, is_open=False)
    assert watched.lines("breaker_closed")


def test_a_thousand_dead_letters_have_two_lines(watched: Watched) -> None:
    for number in range(1000):
        watched.own.dead("Rejected", "status 400", f"key{number}")
    watched.passes(61)
    first, rest = watched.lines("dead_letter")
    assert (first["count"], first["key"], rest["count"], rest["key"]) == (1, "key0", 999, "key999")


def test_dead_letters_for_another_reason_have_a_line_of_their_own(watched: Watched) -> None:
    watched.own.dead("Rejected", "status 400", "a")
    watched.own.dead("Expired", "timeout", "b")
    assert [line["reason"] for line in watched.lines("dead_letter")] == ["Rejected", "Expired"]


def test_faults_of_our_own_are_counted_too(watched: Watched) -> None:
    for _ in range(10):
        watched.own.crashed("KeyError at http.py:1")
    watched.passes(61)
    assert [line["count"] for line in watched.lines("attempt_crashed")] == [1, 9]
