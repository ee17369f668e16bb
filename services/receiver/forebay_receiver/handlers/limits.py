"""How much of a request's form is allowed: heads, framing, trailers, pipelines, endings.

Every byte that is read counts into one of these or into the body's own limit. They are no settings:
they are far above what any provider sends and far below what would hurt. What depends on an
installation is in `forebay_receiver.settings`.
"""

from typing import Final

__all__ = [
    "BACKLOG_LIMIT",
    "FIRST_BYTE_SECONDS",
    "FRAMING_LIMIT",
    "HEADERS_LIMIT",
    "HEAD_LIMIT",
    "LINGER_SECONDS",
    "PIPELINE_LIMIT",
    "PIPELINE_MOST",
    "SLICE_BYTES",
    "TURN_SECONDS",
    "WAITING_BYTES",
]

HEAD_LIMIT: Final = 32 * 1024
"""Bytes of a request's line and headers, together with its trailers; a provider's have less than
2 KiB. Blank lines before a request have the same limit."""

HEADERS_LIMIT: Final = 100
"""Headers of a request, together with its trailers; a provider sends about 15."""

FRAMING_LIMIT: Final = 8
"""Bytes of chunk sizes, their extensions and line ends for each byte of a body, beyond HEAD_LIMIT.
A chunk of one byte has five; who writes JSON token by token sends such."""

SLICE_BYTES: Final = 16 * 1024
"""Bytes that are read before the limits are checked again; a socket may bring 256 KiB at once.
What exceeds a limit does so by this much at most. Nothing can be read that takes the loop longer
than a slice of requests that are refused: some 400 of them, 5 ms."""

TURN_SECONDS: Final = 0.001
"""How long slices of one read are read in one turn of the loop, before others have theirs. A body
comes in whole in that time; what is cut into tiny requests or chunks does not."""

BACKLOG_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of all connections that came and are not read, for others had their turn; what exceeds it
is read at once."""

PIPELINE_LIMIT: Final = 16
"""Requests of one connection that wait for the one before; then no more is read."""

PIPELINE_MOST: Final = 8 * PIPELINE_LIMIT
"""Requests that wait where one slice brought more than that; the next one is refused, and is the
last. No webhook is so small that a slice brings as many."""

WAITING_BYTES: Final = 1024
"""What a request that waits takes beside the bytes of its head and body."""

LINGER_SECONDS: Final = 1.0
"""How long what comes after a closing answer is read and thrown away (RFC 9112, 9.6)."""

FIRST_BYTE_SECONDS: Final = 10.0
"""For a new connection to bring its first byte. Gateways open some ahead of need and accept that
they are closed; one that has brought a request may be idle for longer."""
