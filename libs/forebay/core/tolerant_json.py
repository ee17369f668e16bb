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

import codecs
import math
import re
from collections.abc import Callable, Generator
from typing import Final, NamedTuple

import msgspec

from forebay.core.errors import UnreadableBody
from forebay.core.json_values import Json

__all__ = ["INTEGER_DIGITS", "RESERVED_FRAMES", "Decode", "Reading", "read_json", "reading_damaged"]

RESERVED_FRAMES: Final = 32
"""Calls' worth of Python's recursion limit that reading a body leaves unused. What was read is
written again from other places, some of them deeper: a body that is nested too deeply has to fail
when it is read, and nowhere else."""

_MARK: Final = b"\xef\xbb\xbf"
_BACKSLASH: Final = 0x5C
_REPLACEMENT: Final = b"\\ufffd"
"""Six bytes for six bytes: an escape takes the place of an escape."""

_BEFORE_SURROGATE: Final = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4})*+",
    re.DOTALL,
)
"""From a place outside of any escape up to the next surrogate, or to an escape that is cut off.

Possessive, so that what was passed over is never searched again."""

_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

PIECE_BYTES: Final = 64 * 1024
"""Bytes that are searched before others get their turn: a millisecond at worst."""

_STEPS_AT_ONCE: Final = 1000
"""Surrogates that are replaced before others get their turn."""

INTEGER_DIGITS: Final = 640
"""An integer of more digits is passed on as it stands: in a process that says so (`bound_integers`)
in every body, else where a body is not readable at once. Python takes 4,300 digits by default and
can be set to take fewer, never fewer than this."""

_LONG: Final = rb"[0-9]{%d}" % (INTEGER_DIGITS + 1)
_HAS_LONG_INTEGER: Final = re.compile(rb"(?<![0-9])" + _LONG)
_BEFORE_LONG_INTEGER: Final = re.compile(
    rb"(?:[^\"0-9]++"
    rb"|\"(?:[^\"\\]++|\\.)*+\""
    rb"|(?!" + _LONG + rb"[0-9]*+(?![.eE]))[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)*+",
    re.DOTALL,
)
"""From a place outside of any string up to the next integer that is too long, or to a string that
is cut off."""

_DIGITS: Final = re.compile(rb"[0-9]++")
_STRING: Final = re.compile(rb"\"(?:[^\"\\]++|\\.)*+\"", re.DOTALL)
_REST_OF_NUMBER: Final = re.compile(rb"[0-9.eE+-]*+")

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
    """Read a body, at once; see `reading` for a large one.

    Raises:
        UnreadableBody: where it is not JSON, even for a tolerant reader, or nested too deeply.
    """
    try:
        return Reading(_decode(_DECODE, body, RESERVED_FRAMES), repaired=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError as error:
        raise UnreadableBody(_UNREADABLE) from error
    steps = reading_damaged(body, _at_once)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Reading = end.value
            return found


Decode = Callable[[bytes], Json]
"""A decoder of JSON."""

Decoding = Callable[[bytes, Decode], Generator[None, None, Json]]
"""Decodes a body, whose parts the decoder is for, and gives up control between them."""


def reading_damaged(body: bytes, decoding: Decoding) -> Generator[None, None, Reading]:
    """Read a body that the strict reader did not take, and give up control after each piece of it.

    Args:
        body: The bytes as they came.
        decoding: How it is decoded once its text is repaired.

    Raises:
        UnreadableBody: where it is not JSON even so, or nested too deeply.
    """
    text = body.removeprefix(_MARK)
    is_repaired = False
    try:
        text.decode()
    except UnicodeDecodeError:
        text, is_repaired = (yield from _as_utf_8(text)), True
    yield
    mended = yield from _without_lone_surrogates(text)
    is_repaired = is_repaired or mended is not text
    try:
        try:
            return Reading((yield from decoding(mended, _DECODE)), repaired=is_repaired)
        except msgspec.ValidationError:
            # The grammar is fine, a number is not.
            yield
            marked = yield from _with_long_integers_marked(mended)
            return Reading((yield from decoding(marked, _DECODE_NUMBERS)), repaired=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableBody(_UNREADABLE) from error


def _at_once(body: bytes, decode: Decode) -> Generator[None, None, Json]:
    yield
    return _decode(decode, body, RESERVED_FRAMES)


def _decode(decode: Decode, body: bytes, frames: int) -> Json:
    # Of so few containers no nesting is deep; most bodies are such, and the calls cost something.
    if body.count(b"{") + body.count(b"[") > frames:
        return _reserving(decode, body, frames)
    return decode(body)


def _reserving(decode: Decode, body: bytes, frames: int) -> Json:
    return _reserving(decode, body, frames - 1) if frames else decode(body)


def _as_utf_8(body: bytes) -> Generator[None, None, bytes]:
    """Return the body with U+FFFD for what is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    parts: list[bytes] = []
    for start in range(0, len(body), PIECE_BYTES):
        end = start + PIECE_BYTES
        parts.append(decoder.decode(body[start:end], final=end >= len(body)).encode())
        yield
    return b"".join(parts)


def _without_lone_surrogates(body: bytes) -> Generator[None, None, bytes]:
    """Return the body with U+FFFD for each half of a character; the same object without any."""
    text: bytearray | None = None
    place = steps = due = 0
    while True:
        reached = _BEFORE_SURROGATE.match(body, place, place + PIECE_BYTES)
        place = reached.end() if reached else place
        if place >= len(body):
            return body if text is None else bytes(text)
        if pair := _PAIR.match(body, place):
            place = pair.end()
        elif lone := _SURROGATE.match(body, place):
            text = bytearray(body) if text is None else text
            text[place : lone.end()] = _REPLACEMENT
            place = lone.end()
        elif body[place] == _BACKSLASH:
            # Cut off by the piece's end, or no escape at all.
            place += 2 if body[place + 1 : place + 2] != b"u" else 6
        steps += 1
        if steps % _STEPS_AT_ONCE == 0 or place >= due:
            due = place + PIECE_BYTES
            yield


def _with_long_integers_marked(body: bytes) -> Generator[None, None, bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        if _HAS_LONG_INTEGER.search(body, start, start + PIECE_BYTES + INTEGER_DIGITS):
            break
        yield
    else:
        return body
    parts: list[bytes] = []
    place = done = 0
    while place < len(body):
        # A number is not to be cut in two.
        rest = _REST_OF_NUMBER.match(body, place + PIECE_BYTES)
        reached = _BEFORE_LONG_INTEGER.match(body, place, rest.end() if rest else len(body))
        place = reached.end() if reached else place
        if found := _DIGITS.match(body, place):
            parts += (body[done : found.end()], _LONG_MARK.encode())
            place = done = found.end()
        elif body[place : place + 1] == b'"':
            text = _STRING.match(body, place)
            if text is None:
                break  # it has no end, and is no JSON
            place = text.end()
        yield
    return b"".join((*parts, body[done:]))


def _number(text: str) -> float | msgspec.Raw:
    """Return a number that is written like a float; as it stands where no float can hold it."""
    if text.endswith(_LONG_MARK) and text.removesuffix(_LONG_MARK).lstrip("-").isdigit():
        return msgspec.Raw(text.removesuffix(_LONG_MARK).encode())
    number = float(text)
    return number if math.isfinite(number) else msgspec.Raw(text.encode())


_DECODE_NUMBERS: Final = msgspec.json.Decoder(float_hook=_number).decode
_UNREADABLE: Final = "the body is not JSON that can be read"
