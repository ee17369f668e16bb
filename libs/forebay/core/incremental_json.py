"""Reading and weighing a large body piece by piece, so that others get their turn in between.

A body of 4 MiB takes the decoder 20 ms where it is a chat history and 300 ms where it is made for
that. Here every step is a generator that gives up control after each piece: whoever runs it decides
when to go on. Nothing of what is here does anything by itself.

Two passes. `count_values` says how many values a body holds without making any of them: memory is
that of one piece. `read_in_slices` makes them: it lets the decoder pass over what stands in large
containers (`msgspec.Raw`), and decodes that by pieces of some kilobytes.
"""

from collections.abc import Generator
from typing import Any, Final

import msgspec

from forebay.core.json_values import Json
from forebay.core.tolerant_json import Decode

__all__ = ["PIECE_BYTES", "count_values", "may_hold_more", "read_in_slices"]

PIECE_BYTES: Final = 64 * 1024
"""What is decoded at once: some 0.5 ms, 3 ms at worst."""

SCAN_BYTES: Final = 4 * PIECE_BYTES
"""What is searched at once for separators: 0.5 ms."""

DEPTH: Final = 24
"""Containers in containers that are opened one by one. An item of a webhook is ten deep; each level
is passed over once more by the decoder, which must not be 1,000 times."""

RESERVED_FRAMES: Final = 48
"""Calls' worth of Python's recursion limit that the first check leaves unused: a body that is
nested too deeply has to fail then, and nowhere later."""


_SEPARATORS: Final = (b",", b"[", b"{")
"""Every value but one stands behind one of these; behind `{` and `,` a name can come first."""

_DECODE: Final = msgspec.json.Decoder().decode
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_WHOLE: Final = msgspec.json.Decoder(msgspec.Raw).decode
_SPACE: Final = b" \t\n\r"


def may_hold_more(body: bytes, values: int) -> Generator[None, None, bool]:
    """Say whether a body could hold more values than so many; a check that costs next to nothing.

    It is no more than a guess upwards: what stands in texts is counted, too.
    """
    found = 0
    for place in range(0, len(body), SCAN_BYTES):
        end = place + SCAN_BYTES
        found += sum(body.count(each, place, end) for each in _SEPARATORS)
        if found >= values:
            return True
        yield
    return False


def count_values(body: bytes) -> Generator[None, None, int]:
    """Count the values of a body, containers included, without making them.

    An empty container counts as two, and what is no JSON is counted somehow.
    """
    found, in_text, place = 1, False, 0
    while place < len(body):
        end = place + PIECE_BYTES
        # An escape is not to be cut in two.
        while body[end - 1 : end] == b"\\":
            end += 1
        piece = body[place:end].replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = piece.split(b'"')
        outside = b"".join(parts[in_text::2])
        found += sum(map(outside.count, _SEPARATORS))
        in_text ^= not len(parts) % 2
        place = end
        yield
    return found


def read_in_slices(body: bytes, decode: Decode = _DECODE) -> Generator[None, None, Json]:
    """Decode a body; what comes out is what the decoder would make of it at once.

    Args:
        body: JSON.
        decode: What decodes the parts; msgspec's own where nothing else is said.

    Raises:
        msgspec.DecodeError: where it is no JSON.
        UnicodeDecodeError: where it is no UTF-8.
        RecursionError: where it is nested too deeply.
    """
    _reserving(_WHOLE, body, RESERVED_FRAMES)
    yield
    return (yield from _grown(body, DEPTH, decode))


def _reserving(decode: Any, body: bytes, frames: int) -> Any:  # noqa: ANN401  # whatever it makes
    return _reserving(decode, body, frames - 1) if frames else decode(body)


def _grown(text: Any, depth: int, decode: Decode) -> Generator[None, None, Json]:  # noqa: ANN401  # bytes, or Raw
    view = memoryview(text)
    if len(view) <= PIECE_BYTES or not depth:
        return decode(text)
    first = bytes(view[:PIECE_BYTES]).lstrip(_SPACE)[:1]
    if first == b"{":
        fields = _OBJECT(text)
        yield
        whole: dict[str, Json] = {}
        for name, part in fields.items():
            whole[name] = yield from _grown(part, depth - 1, decode)
        return whole
    if first == b"[":
        return (yield from _array(text, depth, decode))
    return decode(text)


def _array(text: Any, depth: int, decode: Decode) -> Generator[None, None, list[Json]]:  # noqa: ANN401
    parts = _ARRAY(text)
    yield
    parts.reverse()
    whole: list[Json] = []
    some: list[msgspec.Raw] = []
    size = 0
    while parts:
        part = parts.pop()
        length = len(memoryview(part))
        if length > PIECE_BYTES:
            whole += _joined(some, decode)
            some, size = [], 0
            whole.append((yield from _grown(part, depth - 1, decode)))
            continue
        some.append(part)
        size += length + 1
        if size >= PIECE_BYTES:
            whole += _joined(some, decode)
            some, size = [], 0
            yield
    whole += _joined(some, decode)
    return whole


def _joined(parts: list[msgspec.Raw], decode: Decode) -> list[Json]:
    decoded: list[Json] = decode(b"[" + b",".join(map(bytes, parts)) + b"]") if parts else []
    return decoded
