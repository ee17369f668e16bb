"""How much of a request's form is borne, whichever protocol reads it: heads, pipelines, endings.

These are no settings: they are far above what any provider sends and far below what would hurt.
What depends on an installation is in `forebay_receiver.settings`.
"""

from typing import Final

__all__ = [
    "FIRST_BYTE_SECONDS",
    "HEADERS_LIMIT",
    "HEAD_LIMIT",
    "LINGER_SECONDS",
    "PIPELINE_LIMIT",
]

HEAD_LIMIT: Final = 32 * 1024
"""Bytes of a request's line and headers; a provider's have less than 2 KiB."""

HEADERS_LIMIT: Final = 100
"""Headers of a request; a provider sends about 15."""

PIPELINE_LIMIT: Final = 16
"""Requests of one connection that wait for the one before; then no more is read."""

LINGER_SECONDS: Final = 1.0
"""How long what comes after a closing answer is read and thrown away (RFC 9112, 9.6)."""

FIRST_BYTE_SECONDS: Final = 10.0
"""For a new connection to bring its first byte. Gateways open some ahead of need and bear that they
are closed; one that has brought a request may be idle for longer."""
