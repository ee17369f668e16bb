"""Shows the shape of a body without what people wrote, their numbers and their names.

Whoever looks into a dead letter wants to know what it is, not what it says. Kept are the names of
fields, the kinds of values, and values that are words of the provider's own language. Everything
else becomes a placeholder: better one word too many hidden than one number shown.
"""

import re
from typing import Final

from forebay.core.frames import Json

__all__ = ["masked"]

_WORDS: Final = frozenset(
    {"code", "direction", "event", "field", "messaging_product", "object", "status", "type"}
)
"""Fields whose values are words of the provider, not of people."""

_PROVIDERS_WORD: Final = re.compile(r"[a-z_]{1,40}|[A-Z_]{1,40}")
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
            if known and field in _WORDS and _PROVIDERS_WORD.fullmatch(value):
                return value
            return f"<{len(value)} characters>"
        case int() if known and field == "code":
            return value  # of an error: documented numbers of the provider
        case _:
            return "<number>"
