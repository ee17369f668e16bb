"""When a cron expression comes due in a time zone: a pure function of the time.

cronsim reads expressions and walks through time as Debian's cron does. Five fields: minute, hour,
day of the month, month, day of the week; names of days and months, lists, ranges, steps, `L`.

Summer time: what is due at a fixed time is due once a day. In the hour that is left out it is due
right behind it; in the hour that comes twice, at its first. With a `*` in minute or hour it goes by
the time that passes: nothing in the hour that is left out, and twice in the one that comes twice.
"""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from cronsim import CronSim, CronSimError

__all__ = ["check_cron", "last_due", "next_due", "zone_named"]

FIELDS: Final = 5

_SHIFT: Final = timedelta(hours=2)
"""More than any clock is put forward or back by: cronsim goes by a zone's wall clock, which says
the same twice then, so the search begins so much earlier."""

_MOST: Final = 2 * 60 + 2
"""Times in a shift, of what is due each minute."""

_REFERENCE: Final = datetime(2026, 1, 1, tzinfo=UTC)


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone of the IANA's database.

    Raises:
        ValueError: where there is none of that name.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        message = f"there is no time zone {name!r}: write one such as Europe/Vienna, or UTC"
        raise ValueError(message) from None


def check_cron(expression: str) -> None:
    """Raise ValueError where an expression cannot be read, or never comes due."""
    advice = "write minute, hour, day of the month, month, day of the week, such as `0 9 * * MON`"
    if len(expression.split()) != FIELDS:
        message = f"a cron expression has {FIELDS} fields: {advice}"
        raise ValueError(message)
    try:
        first = next(CronSim(expression, _REFERENCE), None)
    except (CronSimError, ValueError) as error:
        # The second is of numbers with thousands of digits.
        message = f"this is no cron expression ({error}): {advice}"
        raise ValueError(message) from None
    if first is None:
        message = f"it never comes due: {advice}"
        raise ValueError(message)


def last_due(expression: str, zone: zoneinfo.ZoneInfo, at: datetime) -> datetime | None:
    """Return the latest time, in UTC, at which an expression was due until then.

    Args:
        expression: One that `check_cron` takes.
        zone: Whose wall clock it means.
        at: A time with a zone of its own.
    """
    # One second more: what is due at this very second counts.
    begin = (at + _SHIFT + timedelta(seconds=1)).astimezone(zone)
    found = _in_utc(CronSim(expression, begin, reverse=True))
    return next((each for each in found if each <= at), None)


def next_due(expression: str, zone: zoneinfo.ZoneInfo, after: datetime) -> datetime | None:
    """Return the earliest time, in UTC, at which it is due later than then; as `last_due`."""
    begin = (after - _SHIFT).astimezone(zone)
    return next((each for each in _in_utc(CronSim(expression, begin)) if each > after), None)


def _in_utc(times: CronSim) -> Iterator[datetime]:
    return (each.astimezone(UTC) for each in islice(times, _MOST))
