"""How times and numbers of channels are shown."""

from datetime import UTC, datetime
from typing import Final

from forebay.core.provider_vocabulary import OTHER

__all__ = ["millis_text", "shown_channel", "utc_or_none", "utc_text"]

ID_DIGITS: Final = 20
"""Of a phone number id: providers have 15 to 17."""


def utc_text(moment: datetime) -> str:
    """Return a time as it is shown: UTC, with milliseconds."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def utc_or_none(moment: datetime | None) -> str | None:
    """Return a time as it is shown; None where there is none."""
    return None if moment is None else utc_text(moment)


def millis_text(millis: int) -> str:
    """Return a time in milliseconds since the epoch as it is shown."""
    return utc_text(datetime.fromtimestamp(millis / 1000, UTC))


def shown_channel(text: str, *, reveal: bool) -> str:
    """Return a number's id, which is the business' own; of a hostile body it can be anything."""
    is_id = len(text) <= ID_DIGITS and text.isascii() and text.isdigit()
    return text if reveal or is_id or not text else OTHER
