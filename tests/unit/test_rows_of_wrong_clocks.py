"""What is written on a row by a clock that was wrong makes it neither old nor late."""

import pytest

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import Retry
from forebay_processor.delivery.entry import RetryEntry
from forebay_processor.delivery.retry_row_reader import entry_of
from forebay_processor.destinations.retry_after import RETRY_AFTER_LIMIT
from forebay_processor.shared.partition_view import StoredRow
from support.processor.queue_alone import NAME, QueueAlone

HOUR = 3600.0
EXACT = 1.0
SUBJECT = RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c" * 16, "k" * 32)
RETRY = Retry(initial_delay_seconds=1.0, max_delay_seconds=600.0)


def loaded(
    alone: QueueAlone,
    stored: float,
    *,
    first: float | None = None,
    due: float | None = None,
    attempts: int = 1,
) -> RetryEntry:
    """Read a row; all times are seconds from now, in the streams' time."""

    def millis(seconds: float) -> str:
        return str(int((alone.time.now() + seconds) * 1000))

    headers = {envelope.ORDER: "7", envelope.ATTEMPTS: str(attempts)}
    if first is not None:
        headers[envelope.FIRST_TRIED_AT] = millis(first)
    if due is not None:
        headers[envelope.DUE_AT] = millis(due)
    row = StoredRow(str(SUBJECT), 3, alone.time.now() + stored, headers, b"")
    entry = entry_of(alone.partitions[0], SUBJECT, row, RETRY, alone.time)
    assert entry is not None
    return entry


@pytest.mark.parametrize(
    ("stored", "first", "age"),
    [
        (-5.0, -5.0, 5.0),
        (-5.0, -9.0, 9.0),
        (-5.0, +80 * HOUR, 5.0),
        (-5.0, None, 5.0),
        (+HOUR, +HOUR, 0.0),
    ],
)
async def test_a_row_is_as_old_as_it_says_and_at_least_as_its_message(
    stored: float, first: float | None, age: float
) -> None:
    alone = QueueAlone()
    row = loaded(alone, stored, first=first)
    assert alone.time.steady() - row.since == pytest.approx(age, abs=EXACT)


@pytest.mark.parametrize(
    ("due", "wait"),
    [(30.0, 30.0), (80 * HOUR, RETRY_AFTER_LIMIT), (1000 * HOUR, RETRY_AFTER_LIMIT)],
)
async def test_a_pause_is_no_longer_than_pauses_are(due: float, wait: float) -> None:
    alone = QueueAlone()
    row = loaded(alone, -5.0, first=-5.0, due=due)
    assert row.due - alone.time.steady() == pytest.approx(wait, abs=EXACT)


async def test_a_row_without_a_time_is_due() -> None:
    alone = QueueAlone()
    assert loaded(alone, -5.0).due <= alone.time.steady()


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR])
async def test_a_clock_that_is_set_changes_nothing_for_what_is_loaded(ahead: float) -> None:
    alone = QueueAlone()
    row = loaded(alone, -5.0, first=-5.0, due=30.0)
    alone.clock.ahead = ahead
    assert alone.time.steady() - row.since == pytest.approx(5.0, abs=EXACT)
    assert row.due - alone.time.steady() == pytest.approx(30.0, abs=EXACT)


@pytest.mark.parametrize(
    ("age", "recorded", "attempts"),
    [
        (0.5, 1, 1),
        (1.0, 1, 2),
        (6.9, 1, 3),
        (7.0, 1, 4),
        (1023.0 + 600.0, 1, 12),
        (HOUR, 0, 0),
    ],
)
async def test_pauses_go_on_where_they_were_by_the_age_of_the_row(
    age: float, recorded: int, attempts: int
) -> None:
    alone = QueueAlone()
    row = loaded(alone, -age - 0.01, first=-age - 0.01, attempts=recorded)
    assert row.attempts == attempts
