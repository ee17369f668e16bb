"""What is written on a row by a clock that was wrong makes it neither old nor late."""

from datetime import UTC, datetime

import pytest

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay.runtime.stream_reader import StoredMessage
from forebay_processor.delivery.retry_loading import row_of
from forebay_processor.delivery.work import Parked
from forebay_processor.destinations.retry_after import RETRY_AFTER_LIMIT
from support.channel_alone import NAME, ChannelAlone

HOUR = 3600.0
EXACT = 1.0
SUBJECT = RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c" * 16, "k" * 32)


def loaded(
    alone: ChannelAlone,
    stored: float,
    *,
    first: float | None = None,
    due: float | None = None,
) -> Parked:
    """Load a row; all times are seconds from now, in the streams' time."""

    def millis(seconds: float) -> str:
        return str(int((alone.time.now() + seconds) * 1000))

    headers = {envelope.ORDER: "7", envelope.ATTEMPTS: "2"}
    if first is not None:
        headers[envelope.FIRST_TRIED_AT] = millis(first)
    if due is not None:
        headers[envelope.DUE_AT] = millis(due)
    stored_at = datetime.fromtimestamp(alone.time.now() + stored, tz=UTC)
    message = StoredMessage(str(SUBJECT), 3, stored_at, headers, b"")
    return row_of(alone.partitions[0], SUBJECT, message, alone.time)


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
    alone = ChannelAlone()
    row = loaded(alone, stored, first=first)
    assert alone.time.steady() - row.since == pytest.approx(age, abs=EXACT)


@pytest.mark.parametrize(
    ("due", "wait"),
    [(30.0, 30.0), (80 * HOUR, RETRY_AFTER_LIMIT), (1000 * HOUR, RETRY_AFTER_LIMIT)],
)
async def test_a_pause_is_no_longer_than_pauses_are(due: float, wait: float) -> None:
    alone = ChannelAlone()
    row = loaded(alone, -5.0, first=-5.0, due=due)
    alone.channel.restore(row)
    assert row.due - alone.time.steady() == pytest.approx(wait, abs=EXACT)


async def test_a_row_without_a_time_is_due() -> None:
    alone = ChannelAlone()
    row = loaded(alone, -5.0)
    alone.channel.restore(row)
    assert row.due <= alone.time.steady()


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR])
async def test_a_clock_that_is_set_changes_nothing_for_what_is_loaded(ahead: float) -> None:
    alone = ChannelAlone()
    row = loaded(alone, -5.0, first=-5.0, due=30.0)
    alone.clock.ahead = ahead
    assert alone.time.steady() - row.since == pytest.approx(5.0, abs=EXACT)
    assert row.due - alone.time.steady() == pytest.approx(30.0, abs=EXACT)
