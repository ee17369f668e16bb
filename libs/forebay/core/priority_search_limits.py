"""What finding a webhook's lane may cost: the lane is that of the most urgent thing in it.

For the formats of bodies in `providers`, of which receivers ask the lane of every webhook. So they
read no more than they need, and what they read is bounded whatever the body is:

- **A small body** is decoded by msgspec, which skips what stands in the items (1 to 2 µs for 0.5
  KB). One of an unusual shape is read with the tolerant reader and walked like the splitter does.
- **A large body** is searched piece by piece, and no object is made of it.
- Of **a compressed body** only the beginning is read.

The lane says how soon a webhook is split, never whether: the splitter judges each body by itself,
and sets aside what it cannot read whatever its lane was. So a large body that only looks like a
webhook goes to the lane that it looks like.
"""

from typing import Final

from forebay.core.subjects import Lane

__all__ = ["BEGINNING", "BULK", "INVALID", "LIVE", "PIECE", "SMALL_BODY", "first_and_last"]

SMALL_BODY: Final = 16 * 1024
"""Bytes of a body up to which it is decoded. The worst of this size takes a few milliseconds and
some hundred kilobytes; most webhooks have less than 4 KiB."""

PIECE: Final = 64 * 1024
"""Bytes that are searched at once: 0.05 ms, and 0.7 ms where all of it is quotes."""

BEGINNING: Final = 64 * 1024
"""Bytes of a compressed body's content that are read."""

LIVE: Final = Lane.LIVE
BULK: Final = Lane.BULK
INVALID: Final = Lane.INVALID
"""Looking up an enumeration's member takes as long as looking up four of these."""

_MARK: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\n\r"


def first_and_last(body: bytes) -> bytes:
    """Return the first and the last byte that are no space; nothing where all of it is."""
    first = last = b""
    for start in range(0, len(body), PIECE):
        if first := body[start : start + PIECE].removeprefix(_MARK).lstrip(_SPACE)[:1]:
            break
    for end in range(len(body), 0, -PIECE):
        if last := body[max(0, end - PIECE) : end].rstrip(_SPACE)[-1:]:
            break
    return first + last
