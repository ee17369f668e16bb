"""What the log says of destinations: that they begin to fail, now and again, that it is over."""

import math
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from forebay.core.naming import EndpointName
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
        """Let time pass, in which is looked after the log."""
        for _ in range(int(seconds)):
            self.now += 1
            self.every.settle()

    def lines(self, event: str) -> list[EventDict]:
        """Return the lines of an event."""
        return [line for line in self._lines if line["event"] == event]


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


def test_where_nothing_is_tried_before_somebody_acts_there_is_no_next_attempt(
    watched: Watched,
) -> None:
    watched.own.failed(Failed("status 401", trouble=Trouble.REFUSED), math.inf)
    (line,) = watched.lines("destination_failing")
    assert line["next_attempt_seconds"] is None
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
    watched.own.breaker_changed("Open", "status 503", is_open=True)
    watched.every.forget((SHOP, "crm"))
    watched.own.breaker_changed("Closed", "", is_open=False)
    assert not list(watched.every.failing())
    watched.passes(120)
    assert len(watched.lines("destination_failing")) == 1
    assert not watched.lines("breaker_closed")


def test_a_breaker_is_logged_when_it_opens_and_when_it_closes(watched: Watched) -> None:
    watched.own.breaker_changed("Open", "timeout", is_open=True)
    watched.own.breaker_changed("Closed", "", is_open=False)
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
        watched.own.breaker_changed("Open", "timeout", is_open=True)
        watched.passes(1)
        watched.own.breaker_changed("Closed", "", is_open=False)
        watched.passes(1)
    watched.own.breaker_changed("Open", "timeout", is_open=True)
    watched.passes(61)
    opened = watched.lines("breaker_opened")
    counted = opened + watched.lines("breaker_flapped")
    assert len(counted) <= 4
    assert sum(line["count"] for line in counted) == 61
    assert counted[-1] is opened[-1] or opened[-1]["count"] > 0
    watched.own.breaker_changed("Closed", "", is_open=False)
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
