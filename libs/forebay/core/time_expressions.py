"""Points in time as a person says them: `yesterday`, `2h`, `2026-11-22 14:00`."""

import re
from datetime import datetime, timedelta
from typing import Final

from forebay.core.errors import ConfigurationError

__all__ = ["parse_time_expression"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])")


def parse_time_expression(text: str, now: datetime) -> datetime:
    """Read a point in time.

    Args:
        text: `now`, `today`, `yesterday` (the beginning of that day), a time ago such as `90s`,
            `15m`, `2h`, `1d`, `1w`, or a date with or without a time, as in ISO 8601.
        now: The present, with the time zone in which days and times without one are meant.

    Raises:
        ConfigurationError: where it is none of these.
    """
    word = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match word:
        case "now":
            return now
        case "today":
            return midnight
        case "yesterday":
            return midnight - timedelta(days=1)
        case _:
            pass
    ago = _AGO.fullmatch(word)
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        message = (
            f"{text!r} is no time: give one such as 2h, 1d, today, yesterday, 2026-11-22 or "
            "2026-11-22T14:00"
        )
        raise ConfigurationError(message) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
