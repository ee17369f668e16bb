"""Points in time as a person says them on the command line."""

from datetime import datetime, timedelta, timezone

import pytest

from forebay.core.errors import ConfigurationError
from forebay.core.time_expressions import parse_time_expression

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 11, 23, 1, 30, 12, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("today", datetime(2026, 11, 23, tzinfo=ZONE)),
        (" Yesterday ", datetime(2026, 11, 22, tzinfo=ZONE)),
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("2h", NOW - timedelta(hours=2)),
        ("1d", NOW - timedelta(days=1)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=ZONE)),
        ("2026-11-22T14:00", datetime(2026, 11, 22, 14, tzinfo=ZONE)),
        ("2026-11-22 14:00:05", datetime(2026, 11, 22, 14, 0, 5, tzinfo=ZONE)),
        ("2026-11-22T12:00:00Z", datetime(2026, 11, 22, 14, tzinfo=ZONE)),
    ],
)
def test_it_is_understood(text: str, moment: datetime) -> None:
    assert parse_time_expression(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "-1d", "1y", "999999w", "2026-13-01", "1.5h"])
def test_it_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigurationError, match="yesterday"):
        parse_time_expression(text, NOW)
