"""Shows the shape of a body without what people wrote, their numbers and their names.

Whoever opens a dead letter wants to know what it is, not what it says. Kept are the names of
fields, the kinds of values, and values that are words which we know the provider to use. Everything
else becomes a placeholder: better one word too many hidden than one number shown.

What is shown goes to a terminal, and a body is a stranger's: `printable` takes from a text what a
terminal would obey instead of show.
"""

import re
from typing import Final

from forebay.core.json_values import Json
from forebay.core.provider_vocabulary import is_known

__all__ = ["masked", "printable"]

_WORDS: Final = frozenset(
    {"code", "direction", "event", "field", "messaging_product", "object", "status", "type"}
)
"""Fields whose values are words of the provider, not of people."""

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, and those that turn the direction of what stands after them."""

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}")


def masked(value: Json, *, known: bool, field: str = "") -> Json:
    """Return a copy of a decoded JSON value in which only its shape is left.

    Args:
        value: What to hide.
        known: Whether the provider's reference describes it. Names of fields and words of anything
            else are somebody's own, and hidden too.
        field: The name under which it stands, where it stands under one.
    """
    match value:
        case dict():
            return {
                name if known and _FIELD_NAME.fullmatch(name) else f"field {number}": masked(
                    part, known=known, field=name
                )
                for number, (name, part) in enumerate(value.items(), 1)
            }
        case list():
            return [masked(part, known=known) for part in value]
        case bool() | None:
            return value
        case str():
            if known and field in _WORDS and is_known(value):
                return value
            return f"<{len(value)} characters>"
        case int() if known and field == "code":
            return value  # of an error: documented numbers of the provider
        case _:
            return "<number>"


def printable(text: str, limit: int | None = None) -> str:
    """Return a text with its control characters written out, as JSON would write them.

    Args:
        text: Anything.
        limit: How many of its characters are shown; of the rest only the number is given.
    """
    left = 0 if limit is None else max(0, len(text) - limit)
    shown = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", text[:limit])
    return f"{shown}… ({left} more characters)" if left else shown
