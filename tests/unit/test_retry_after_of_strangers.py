"""`Retry-After` is a stranger's text: read by the specification, bounded, and never raising."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forebay_processor.destinations.retry_after import RETRY_AFTER_LIMIT, retry_after_seconds

NOW = 1_790_000_000.0
MOMENT = datetime.fromtimestamp(NOW, tz=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("0", 0.0),
        ("7", 7.0),
        ("0007", 7.0),
        ("3600", 3600.0),
        ("3601", RETRY_AFTER_LIMIT),
        ("9" * 60, RETRY_AFTER_LIMIT),
        (format_datetime(MOMENT + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(MOMENT - timedelta(days=9), usegmt=True), 0.0),
        (format_datetime(MOMENT + timedelta(days=900), usegmt=True), RETRY_AFTER_LIMIT),
        ((MOMENT + timedelta(seconds=9)).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 9.0),
        ((MOMENT + timedelta(seconds=9)).strftime("%a %b %d %H:%M:%S %Y"), 9.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_LIMIT),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
    ],
)
def test_what_the_specification_allows_is_read_and_bounded(
    value: str | None, seconds: float
) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "NaN",
        "inf",
        "0x10",
        "1_000",
        "٣٤",
        "²",
        "5, 6",
        "soon",
        "9" * 5000,
        "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
        "Fri, 31 Dec 2027 23:59:59 +99999999",
        "Fri, 99 Dec 2027 23:59:59 GMT",
    ],
)
def test_what_it_does_not_allow_says_nothing(value: str) -> None:
    assert retry_after_seconds(value, NOW) == 0.0


@given(st.text(max_size=80))
@example("Fri, 31 Dec 99999999999 23:59:59 GMT")
def test_no_text_raises_or_asks_for_more_than_an_hour(value: str) -> None:
    seconds = retry_after_seconds(value, NOW)
    assert math.isfinite(seconds)
    assert 0.0 <= seconds <= RETRY_AFTER_LIMIT
