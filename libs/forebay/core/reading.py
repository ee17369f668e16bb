r"""Reading a webhook's body as JSON: strictly where that goes, else with what it can be read by.

One string that cannot be represented must not cost the other 49 messages of a webhook. So what the
strict reader refuses is read once more:

| what is there | what is read |
| --- | --- |
| a lone surrogate, `"\ud83d"`: valid by JSON's grammar, no text by Unicode | U+FFFD in its place |
| bytes that are no UTF-8, inside a string | U+FFFD in their place |
| a number that no float or int holds: `1e400`, 5,000 digits | the number as it stands, as Raw |
| a byte order mark at the beginning | what comes after it; nothing is changed by that |

All else of the body is as the strict reader has it. What is not JSON even so, `NaN` and `Infinity`
among it (no destination could read them), raises UnreadableBody. Two property names that differ by
nothing but what was replaced become one, and the later value counts, as for every repeated name.

Every pass takes time and memory in proportion to the body (docs/design/0011).
"""

import math
import re
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from forebay.core.errors import UnreadableBody
from forebay.core.json_values import Json

__all__ = ["RESERVED_FRAMES", "Reading", "read_json"]

RESERVED_FRAMES: Final = 32
"""Calls' worth of Python's recursion limit that reading a body leaves unused. What was read is
written again from other places, some of them deeper: a body that is nested too deeply has to fail
when it is read, and nowhere else."""

_MARK: Final = b"\xef\xbb\xbf"
_REPLACEMENT: Final = b"\\ufffd"
"""Six bytes for six bytes: an escape takes the place of an escape."""

_TO_LONE_SURROGATE: Final = re.compile(
    rb"(?:[^\\]++"
    rb"|\\(?!u[dD][89a-fA-F])."
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
    rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)
"""From a place outside of any escape up to the next surrogate without its other half.

Possessive, so that what was passed over is never looked at again."""

INTEGER_DIGITS: Final = 640
"""An integer of more digits is passed on as it stands where a body is not readable at once. Python
takes 4,300 by default and can be told to take fewer, never fewer than this."""

_LONG: Final = rb"[0-9]{%d}" % (INTEGER_DIGITS + 1)
_HAS_LONG_INTEGER: Final = re.compile(rb"(?<![0-9])" + _LONG)
_TO_LONG_INTEGER: Final = re.compile(
    rb"(?:[^\"0-9]++"
    rb"|\"(?:[^\"\\]++|\\.)*+\""
    rb"|(?!" + _LONG + rb"[0-9]*+(?![.eE]))[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)*+"
    rb"[0-9]++",
    re.DOTALL,
)
"""From a place outside of any string up to the end of the next integer that is too long."""

_LONG_MARK: Final = "e00"
"""Makes a long integer a float in the decoder's eyes, so that it asks what to make of it."""

_DECODE: Final = msgspec.json.Decoder().decode


class Reading(NamedTuple):
    """What was read."""

    document: Json
    """The body; numbers that Python cannot hold are `msgspec.Raw`, written as they stand."""

    repaired: bool
    """Whether something in it could not be represented, and was replaced or passed on as it is."""


def read_json(body: bytes) -> Reading:
    """Read a body.

    Raises:
        UnreadableBody: where it is not JSON, even for a tolerant reader, or nested too deeply.
    """
    try:
        return Reading(_decode(_DECODE, body, RESERVED_FRAMES), repaired=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError as error:
        raise UnreadableBody(_UNREADABLE) from error
    text = _with_unicode(body.removeprefix(_MARK))
    repaired = not body.endswith(text)
    try:
        try:
            return Reading(_decode(_DECODE, text, RESERVED_FRAMES), repaired=repaired)
        except msgspec.ValidationError:
            # The grammar is fine, a number is not.
            text = _with_long_integers_marked(text)
            return Reading(_decode(_DECODE_NUMBERS, text, RESERVED_FRAMES), repaired=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableBody(_UNREADABLE) from error


def _decode(decode: Callable[[bytes], Json], body: bytes, frames: int) -> Json:
    return _decode(decode, body, frames - 1) if frames else decode(body)


def _with_unicode(body: bytes) -> bytes:
    """Return the body with U+FFFD for what is no text by Unicode; the same object where all is."""
    try:
        body.decode()
    except UnicodeDecodeError:
        body = body.decode(errors="replace").encode()
    found = _TO_LONE_SURROGATE.match(body)
    if found is None:
        return body
    text = bytearray(body)
    while found is not None:
        place = found.end()
        text[place - len(_REPLACEMENT) : place] = _REPLACEMENT
        found = _TO_LONE_SURROGATE.match(body, place)
    return bytes(text)


def _with_long_integers_marked(body: bytes) -> bytes:
    if not _HAS_LONG_INTEGER.search(body):
        return body
    parts: list[bytes] = []
    place = 0
    while found := _TO_LONG_INTEGER.match(body, place):
        parts += (body[place : found.end()], _LONG_MARK.encode())
        place = found.end()
    return b"".join((*parts, body[place:]))


def _number(text: str) -> float | msgspec.Raw:
    """Return a number that is written like a float; as it stands where no float can hold it."""
    if text.endswith(_LONG_MARK) and text.removesuffix(_LONG_MARK).lstrip("-").isdigit():
        return msgspec.Raw(text.removesuffix(_LONG_MARK).encode())
    number = float(text)
    return number if math.isfinite(number) else msgspec.Raw(text.encode())


_DECODE_NUMBERS: Final = msgspec.json.Decoder(float_hook=_number).decode
_UNREADABLE: Final = "the body is not JSON that can be read"
