"""How much of a request's form is borne: heads, framing, trailers, pipelines, endings.

Every byte that is read counts into one of these or into the body's own limit. They are no settings:
they are far above what any provider sends and far below what would hurt. What depends on an
installation is in `forebay_receiver.settings`.
"""

from typing import Final

__all__ = [
    "FIRST_BYTE_SECONDS",
    "FRAMING_LIMIT",
    "HEADERS_LIMIT",
    "HEAD_LIMIT",
    "LINGER_SECONDS",
    "PIPELINE_LIMIT",
    "SLICE_BYTES",
]

HEAD_LIMIT: Final = 32 * 1024
"""Bytes of a request's line and headers, together with its trailers; a provider's have less than
2 KiB. Blank lines before a request have the same limit."""

HEADERS_LIMIT: Final = 100
"""Headers of a request, together with its trailers; a provider sends about 15."""

FRAMING_LIMIT: Final = 8
"""Bytes of chunk sizes, their extensions and line ends for each byte of a body, beyond HEAD_LIMIT.
A chunk of one byte has five; who writes JSON token by token sends such."""

SLICE_BYTES: Final = 32 * 1024
"""Bytes that are read before the limits are looked at again; a socket may bring 256 KiB at once.
What exceeds a limit does so by this much at most."""

PIPELINE_LIMIT: Final = 16
"""Requests of one connection that wait for the one before; then no more is read."""

LINGER_SECONDS: Final = 1.0
"""How long what comes after a closing answer is read and thrown away (RFC 9112, 9.6)."""

FIRST_BYTE_SECONDS: Final = 10.0
"""For a new connection to bring its first byte. Gateways open some ahead of need and bear that they
are closed; one that has brought a request may be idle for longer."""
