"""Reading JSON of which nobody knows the shape: what is not of the wished type counts as absent.

For those modules of `core` that read a provider's webhook.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

__all__ = [
    "Json",
    "as_dict",
    "as_list",
    "as_text",
    "canonical_json",
    "first_text",
    "without",
]

Json = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None; a number that none of these can
represent is a msgspec.Raw of its text."""

LONGEST_NUMBER: Final = 64
"""Digits of a number that is taken for an id: writing one of 100,000 digits takes seconds."""

_ENCODE_SORTED = msgspec.json.Encoder(order="sorted").encode
_LARGEST: Final = 10**LONGEST_NUMBER


def as_text(value: Json) -> str:
    """Return an id as text; what is no id (absent, an object, a fraction) is the empty text."""
    if type(value) is str or isinstance(
        value, str
    ):  # the first is quicker, and nearly all there is
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -_LARGEST < value < _LARGEST else ""
    if isinstance(value, msgspec.Raw):
        text = bytes(value)
        return text.decode() if text.isdigit() and len(text) <= LONGEST_NUMBER else ""
    return ""


def as_dict(value: Json) -> dict[str, Json]:
    """Return a JSON object; what is none is an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """Return a JSON array; what is none is an empty one."""
    return value if isinstance(value, list) else []


def first_text(whole: dict[str, Json], names: Iterable[str]) -> str:
    """Return the first of the named properties that is an id; empty where none is."""
    for name in names:
        if text := as_text(whole.get(name)):
            return text
    return ""


def without(whole: dict[str, Json], names: frozenset[str]) -> dict[str, Json]:
    """Return an object without some of its properties: itself, where it has none of them."""
    if names.isdisjoint(whole):
        return whole
    return {name: part for name, part in whole.items() if name not in names}


def canonical_json(value: Json) -> bytes:
    """Return JSON with sorted keys and without spaces, in UTF-8."""
    return _ENCODE_SORTED(value)
