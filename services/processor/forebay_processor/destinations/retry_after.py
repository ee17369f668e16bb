"""When a destination wants to be asked again: its header `Retry-After` (RFC 9110, 10.2.3).

It is a stranger's text. What is in none of the specification's forms says nothing, what asks for
more than an hour counts as an hour, and nothing of it raises.
"""

import contextlib
from datetime import UTC, datetime
from typing import Final

__all__ = ["RETRY_AFTER_LIMIT", "retry_after_seconds"]

RETRY_AFTER_LIMIT: Final = 3600.0
"""Seconds: a longer pause that a destination asks for counts as this."""

_CHARACTERS: Final = 64
"""A date has 33 at most."""

_HTTP_DATES: Final = (
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
)
"""The form of today, and the two of old that the specification wants read."""


def retry_after_seconds(value: str | None, now: float) -> float:
    """Return for how long to leave a destination alone; 0 where it did not say.

    Args:
        value: The header's value.
        now: Seconds since the epoch: a date is somebody's wall clock, so this is one, too.
    """
    if value is None or len(value) > _CHARACTERS or not value.isascii():
        return 0.0
    if value.isdigit():
        return min(float(value), RETRY_AFTER_LIMIT)
    for form in _HTTP_DATES:
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.strptime(value, form).replace(tzinfo=UTC)
            return min(max(moment.timestamp() - now, 0.0), RETRY_AFTER_LIMIT)
    return 0.0
