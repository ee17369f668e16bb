"""Large bodies are stored packed: as one Zstandard frame (RFC 8878), which says how long they were.

A stream stores one message after the other, so one of 4 MiB keeps all others waiting (design 0022).
Webhooks are JSON, of which a tenth is left. The message says so in its header `Forebay-Packed`:
who reads it asks `unpacked` for the bytes as they came, which are the same to the last one; the
sender's `Content-Encoding`, if it has one, is still over those.

Nothing that is read here is trusted: a frame gives its stated length and no byte more, takes no
more memory than its window of 8 MiB, and ends where the message does.
"""

import sys
from collections.abc import Generator, Mapping
from typing import Final

from forebay.core.envelope import PACKED
from forebay.core.errors import ExpandsTooFar, UnreadableBody

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["SHOWN_LIMIT", "as_it_came", "packing", "size_of", "unpacked"]

SHOWN_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that a body may come to where a person asks for it: 16 times a receiver's limit."""

_PIECE: Final = 64 * 1024
"""Bytes that are packed at once: about 0.1 ms."""

_LEVEL: Final = 1
"""The quickest of those with a table of what came before. Level 3 takes twice as long for a tenth
less of a real history."""

_WINDOW_LOG_MAX: Final = 23
"""How far back a frame may point, as a power of two: what is read holds as many bytes in memory."""

_MOST: Final = 0.75
"""What has to be left at most: else packing spares the stream little, and costs who reads."""


def packing(body: bytes) -> Generator[None, None, bytes | None]:
    """Return a body packed, in pieces; None where it is not worth it.

    Nothing beyond a first part of the body is tried where that part does not get smaller.
    """
    packer = zstd.ZstdCompressor(level=_LEVEL)
    view = memoryview(body)
    parts: list[bytes] = []
    size = 0
    for start in range(0, len(body), _PIECE):
        parts.append(packer.compress(view[start : start + _PIECE], zstd.ZstdCompressor.FLUSH_BLOCK))
        size += len(parts[-1])
        if size > _MOST * min(len(body), start + _PIECE):
            return None
        yield
    parts.append(packer.flush())
    return b"".join(parts)


def size_of(headers: Mapping[str, str]) -> int | None:
    """Return how long a stored body was as it came; None where it is stored as it came.

    Raises:
        UnreadableBody: where the header says no length.
    """
    given = headers.get(PACKED)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) <= len(str(sys.maxsize))):
        message = "a packed body does not say how long it is"
        raise UnreadableBody(message)
    return int(given)


def unpacked(payload: bytes, headers: Mapping[str, str], max_bytes: int) -> bytes:
    """Return a stored body as it came; takes about a millisecond for each MiB of a packed one.

    Args:
        payload: The message's bytes.
        headers: The message's.
        max_bytes: The most that may come out of a packed one.

    Raises:
        ExpandsTooFar: where it says that more would come out.
        UnreadableBody: where it is no frame of as many bytes as it says.
    """
    size = size_of(headers)
    if size is None:
        return payload
    if size > max_bytes:
        message = "a packed body is longer than its limit"
        raise ExpandsTooFar(message)
    reader = zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    )
    try:
        body = reader.decompress(payload, max_length=size + 1)
    except zstd.ZstdError as error:
        message = "a packed body cannot be unpacked"
        raise UnreadableBody(message) from error
    if len(body) != size or not reader.eof or reader.unused_data:
        message = "a packed body is not as long as it says"
        raise UnreadableBody(message)
    return body


def as_it_came(payload: bytes, headers: Mapping[str, str], limit: int = SHOWN_LIMIT) -> bytes:
    """Return a stored body as it came, for a person's question.

    What says that it is packed and cannot be unpacked, or comes to more than the limit, is returned
    as it stands.
    """
    try:
        return unpacked(payload, headers, limit)
    except UnreadableBody:
        return payload
