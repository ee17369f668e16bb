"""What the log says of requests that are not stored: which reason, whose, how often; no more."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from forebay.runtime.log_once import LATE_LINES
from forebay_receiver.outcomes import STATUS_OF, Reason
from forebay_receiver.services.refusal_log import OF_INSTALLATION, RefusalLog


class Watched:
    """A log of refusals, a clock, and what was logged."""

    def __init__(self, lines: list[EventDict]) -> None:
        self.now = 1000.0
        self.log = RefusalLog(lambda: self.now)
        self.lines = lines

    def passes(self, seconds: int) -> None:
        """Let time pass in which the log is checked."""
        for _ in range(seconds):
            self.now += 1
            self.log.settle()


@pytest.fixture
def watched() -> Iterator[Watched]:
    with capture_logs() as lines:
        yield Watched(lines)


def test_the_first_refusal_is_logged_with_endpoint_reason_and_answer(watched: Watched) -> None:
    watched.log.note("acme/shop", Reason.SIGNATURE_WRONG)
    assert watched.lines == [
        {
            "event": "webhooks_refused",
            "log_level": "warning",
            "endpoint": "acme/shop",
            "reason": "signature_wrong",
            "status": 401,
            "count": 1,
        }
    ]


def test_a_flood_has_a_line_a_minute_and_each_is_counted(watched: Watched) -> None:
    for _ in range(300):
        for _ in range(10):
            watched.log.note("acme/shop", Reason.SIGNATURE_WRONG)
        watched.passes(1)
    watched.passes(120)
    assert len(watched.lines) <= 7
    assert sum(line["count"] for line in watched.lines) == 3000


def test_each_endpoint_and_reason_has_lines_of_its_own(watched: Watched) -> None:
    for endpoint in ("acme/shop", "acme/crm"):
        for reason in (Reason.SIGNATURE_WRONG, Reason.SIGNATURE_MISSING):
            watched.log.note(endpoint, reason)
    assert len({(line["endpoint"], line["reason"]) for line in watched.lines}) == 4


@pytest.mark.parametrize("reason", sorted(OF_INSTALLATION))
def test_what_is_the_installations_has_one_line_for_all_endpoints(
    watched: Watched, reason: Reason
) -> None:
    for number in range(1000):
        watched.log.note(f"acme/shop-{number}", reason)
    (line,) = watched.lines
    assert (line["event"], line["log_level"]) == ("webhooks_unavailable", "warning")
    assert "endpoint" not in line
    assert STATUS_OF[reason] == 503


def test_strangers_are_no_warning(watched: Watched) -> None:
    watched.log.note("", Reason.UNKNOWN_ENDPOINT)
    (line,) = watched.lines
    assert (line["event"], line["log_level"]) == ("strangers_refused", "info")


def test_where_thousands_are_due_at_once_few_lines_are_written_at_a_time(
    watched: Watched,
) -> None:
    for _ in range(3):
        for number in range(1000):
            watched.log.note(f"acme/shop-{number}", Reason.SIGNATURE_WRONG)
    watched.now += 60
    before = len(watched.lines)
    watched.log.settle()
    assert len(watched.lines) - before == LATE_LINES
    watched.passes(20)
    assert sum(line["count"] for line in watched.lines) == 3000


def test_at_the_end_of_the_process_what_was_held_back_is_logged(watched: Watched) -> None:
    for _ in range(100):
        watched.log.note("acme/shop", Reason.SIGNATURE_WRONG)
    watched.log.settle(everything=True)
    assert [line["count"] for line in watched.lines] == [1, 99]
