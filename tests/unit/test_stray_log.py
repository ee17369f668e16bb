"""Messages that are nobody's have a line for each stream or shard now and again, counted."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from forebay_processor.shared.ignored_message_log import StrayLog


class Watched:
    """A log of strays, a clock, and what was logged."""

    def __init__(self, lines: list[EventDict]) -> None:
        self.now = 1000.0
        self.log = StrayLog(lambda: self.now)
        self.lines = lines


@pytest.fixture
def watched() -> Iterator[Watched]:
    with capture_logs() as lines:
        yield Watched(lines)


def test_a_thousand_void_rows_have_two_lines(watched: Watched) -> None:
    for sequence in range(1000):
        watched.log.void("0", sequence)
    watched.now += 60
    watched.log.settle()
    own = {"event": "void_row_deleted", "log_level": "info", "shard": "0"}
    assert watched.lines == [{**own, "seq": 0, "count": 1}, {**own, "seq": 999, "count": 999}]


def test_a_thousand_unreadable_subjects_have_two_lines(watched: Watched) -> None:
    for sequence in range(1000):
        watched.log.subject("events", sequence)
    watched.now += 60
    watched.log.settle()
    own = {"event": "subject_unreadable", "log_level": "error", "stream": "events"}
    assert watched.lines == [
        {**own, "sequence": 0, "count": 1},
        {**own, "sequence": 999, "count": 999},
    ]


def test_a_thousand_unreadable_rows_have_two_lines(watched: Watched) -> None:
    for sequence in range(1000):
        watched.log.row("0", sequence)
    watched.now += 60
    watched.log.settle()
    own = {"event": "row_unreadable", "log_level": "error", "shard": "0"}
    assert watched.lines == [{**own, "seq": 0, "count": 1}, {**own, "seq": 999, "count": 999}]


def test_each_kind_and_each_shard_has_lines_of_its_own(watched: Watched) -> None:
    watched.log.void("0", 1)
    watched.log.void("1", 1)
    watched.log.row("0", 1)
    assert len(watched.lines) == 3
