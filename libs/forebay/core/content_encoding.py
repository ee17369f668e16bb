"""Bodies that were sent compressed: which encodings are taken, and their contents, within bounds.

A webhook is stored as it came, for its signature is over those bytes; what it holds is asked for
when it is split. Everything that is read counts: the bytes that come out, the members of a gzip
file, the encodings that are put one over the other. So a body costs no more than its limit, however
it was made. zlib lets other threads run: who may not be held up for the time of a large body (about
a millisecond for each MiB that comes out) calls `decode_body` in one.
"""

import zlib
from typing import Final

from forebay.core.errors import ExpandsTooFar, UnreadableBody

__all__ = [
    "LAYERS_LIMIT",
    "MEMBERS_LIMIT",
    "SUPPORTED",
    "beginning",
    "decode_body",
    "is_supported",
]

SUPPORTED: Final = frozenset({"identity", "gzip", "x-gzip", "deflate"})
"""Content codings that are taken, in lower case (RFC 9110, 8.4.1); others are answered 415."""

LAYERS_LIMIT: Final = 3
"""Codings of one body, one over the other. Nobody has a use for more than one."""

MEMBERS_LIMIT: Final = 1000
"""Members of one gzip file (RFC 1952, 2.2). Each may be empty, and so cost much and bring nothing;
programs that compress in parallel write one for each 128 KiB."""

_CHUNK: Final = 64 * 1024
"""Bytes that are given to zlib at once: what is left of them is copied at the end of a member."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_DEFLATE_HEADER: Final = 2
_DEFLATE_METHOD: Final = 8


def is_supported(encoding: str) -> bool:
    """Say whether a `Content-Encoding` is one that `decode_body` takes apart.

    Args:
        encoding: The header's value: codings in the order in which they were applied; repeated
            headers joined by commas. An empty value is no encoding.
    """
    names = _names(encoding)
    return len(names) <= LAYERS_LIMIT and SUPPORTED.issuperset(names)


def decode_body(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return the content of a body.

    Args:
        body: The bytes as they came.
        encoding: The value of `Content-Encoding`; see `is_supported`.
        max_bytes: The most that may come out, at each of the layers.

    Raises:
        ExpandsTooFar: where more would come out.
        UnreadableBody: where the body is not what the encoding says, or ends too early.
    """
    for name in _layers(encoding):
        if name == "deflate":
            body = _inflated(body, _deflate_form(body), max_bytes)
        elif name != "identity":
            body = _inflated(body, _GZIP, max_bytes)
    return body


def _layers(encoding: str) -> list[str]:
    """Return the codings in the order in which they come off."""
    if not is_supported(encoding):
        message = "the body has an encoding that is not supported"
        raise UnreadableBody(message)
    return _names(encoding)[::-1]


def _names(encoding: str) -> list[str]:
    return [name for part in encoding.split(",") if (name := part.strip(" \t").lower())]


def _deflate_form(body: bytes) -> int:
    """Return how zlib is to read `deflate`: with its header, as RFC 9110 wants, or raw.

    Some senders leave the header out. Two bytes of it are a check of each other.
    """
    head = int.from_bytes(body[:_DEFLATE_HEADER])
    has_header = head % 31 == 0 and (head >> 8) % 16 == _DEFLATE_METHOD
    return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS


def _inflated(body: bytes, form: int, max_bytes: int) -> bytes:
    """Take one layer off; what is held is never more than the limit and some chunks."""
    parts: list[bytes] = []
    left = max_bytes
    chunks = _Chunks(body, is_padded=form == _GZIP)
    for _ in range(MEMBERS_LIMIT if form == _GZIP else 1):
        member = zlib.decompressobj(form)
        is_whole = False
        while not is_whole:
            part = _part(member, chunks.next(), left + 1)
            is_whole = member.eof
            chunks.put_back(member.unused_data if is_whole else member.unconsumed_tail)
            left -= len(part)
            if left < 0:
                message = "the body holds more than its limit once it is decoded"
                raise ExpandsTooFar(message)
            parts.append(part)
        if chunks.are_used_up():
            return b"".join(parts)
    message = "there is more behind the body's encoding than there may be"
    raise UnreadableBody(message)


def _part(member: "zlib._Decompress", chunk: bytes, limit: int) -> bytes:
    if not chunk:
        message = "the body ends in the middle of its encoding"
        raise UnreadableBody(message)
    try:
        return member.decompress(chunk, limit)
    except zlib.error as error:
        message = "the body is not of the encoding that its header names"
        raise UnreadableBody(message) from error


class _Chunks:
    """A body, a chunk at a time."""

    def __init__(self, body: bytes, *, is_padded: bool) -> None:
        self._body = memoryview(body)
        self._place = 0
        self._rest = b""
        self._is_padded = is_padded
        """Whether zeros behind a member are no part of anything."""

    def next(self) -> bytes:
        """Return what is next; nothing at the end."""
        rest, self._rest = self._rest, b""
        if not rest:
            rest = bytes(self._body[self._place : self._place + _CHUNK])
            self._place += len(rest)
        return rest

    def put_back(self, rest: bytes) -> None:
        """Take back what was not used of the chunk."""
        self._rest = rest

    def are_used_up(self) -> bool:
        """Say whether nothing comes that counts."""
        while True:
            rest = self.next()
            if self._is_padded:
                rest = rest.lstrip(b"\0")
            if rest or self._place >= len(self._body):
                self.put_back(rest)
                return not rest


def beginning(body: bytes, encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """Return how a body's content begins, and whether that is all of it; costs next to nothing.

    Args:
        body: The bytes as they came.
        encoding: The value of `Content-Encoding`; see `is_supported`.
        max_bytes: The most that is returned.

    Raises:
        UnreadableBody: where the body does not begin as the encoding says.
    """
    is_whole = True
    for name in _layers(encoding):
        if name == "identity":
            continue
        member = zlib.decompressobj(_deflate_form(body) if name == "deflate" else _GZIP)
        start = _part(member, body[:_CHUNK], max_bytes)
        is_whole = is_whole and member.eof and not member.unused_data and len(body) <= _CHUNK
        body = start
    return body[:max_bytes], is_whole and len(body) <= max_bytes
