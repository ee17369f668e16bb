"""The header block that a webhook is stored with: its ids, its receipt, and headers of its sender.

For `intake` only. The providers repeat a webhook byte for byte, so at their endpoints equal bodies
are one event: the message id is the digest of endpoint and body, and the stream's 2-minute window
knows a quick repeat. At a generic endpoint equal bodies are two events (a door bell rings twice),
unless the sender says by an id that they are one: there the message id and `Forebay-Event-Id` are
of the sender's id, with the name of its header, else of an id that is made for this request.

If the process dies here, nothing was stored and nothing answered. Where it dies after the store and
before the answer, a sender with ids of its own sends the same id again, which is known; one without
gets two events out of one: there is nothing by which they could be distinguished.
"""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Final

from forebay.core import envelope
from forebay.core.signatures import SIGNATURE_HEADERS
from forebay.core.trace_context import is_traceparent
from forebay_receiver.services.routes import ServedEndpoint

__all__ = ["begin_message_id", "event_id", "passed_on", "stored_headers"]

EVENT_ID_DIGITS: Final = 32
"""Hex digits of an event's id: as many as an item's token has."""

_BEFORE_ID: Final = f"NATS/1.0\r\n{envelope.MESSAGE_ID}: "
_BEFORE_ENDPOINT: Final = f"\r\n{envelope.ENDPOINT}: "
_BEFORE_TIME: Final = f"\r\n{envelope.RECEIVED_AT}: "
_BEFORE_TRACE: Final = f"\r\n{envelope.TRACEPARENT}: "
_BEFORE_EVENT_ID: Final = f"\r\n{envelope.EVENT_ID}: "
_BEFORE_PACKED: Final = f"\r\n{envelope.PACKED}: "
"""What stands before the values: a header block as `encode_headers` makes it."""

_SENDERS_HEADERS: Final = (
    (f"\r\n{envelope.CONTENT_TYPE}: ".encode(), b"content-type"),
    (f"\r\n{envelope.CONTENT_ENCODING}: ".encode(), b"content-encoding"),
    *((f"\r\n{name}: ".encode(), name.encode()) for name in SIGNATURE_HEADERS),
)
"""The request's headers that are stored with it: what stands before a value, and their name."""


def event_id(endpoint: ServedEndpoint, headers: Mapping[bytes, bytes]) -> str | None:
    """Return what identifies this request's event at a generic endpoint; else None."""
    if endpoint.id_headers is None:
        return None
    for name in endpoint.id_headers:
        if given := headers.get(name):
            return hashlib.sha256(b"%b\n%b" % (name, given)).hexdigest()[:EVENT_ID_DIGITS]
    return secrets.token_hex(EVENT_ID_DIGITS // 2)


def begin_message_id(endpoint: ServedEndpoint, event: str | None) -> "hashlib._Hash":
    """Return the digest that, once it is fed with the body, is the webhook's message id."""
    digest = endpoint.digest.copy()
    if event is not None:
        digest.update(event.encode())
    return digest


def passed_on(given: bytes | None, message_id: str) -> str:
    """Return the trace that a webhook is stored with where this process takes no part in it.

    It is the sender's, as it came. One that begins here takes its ids from the message id, so that
    repeats of a webhook share one.

    Args:
        given: The request's `traceparent`.
        message_id: 64 hex digits, of `begin_message_id`.
    """
    if given is not None and given.isascii() and is_traceparent(text := given.decode()):
        return text
    return f"00-{message_id[:32]}-{message_id[32:48]}-00"


def stored_headers(  # noqa: PLR0913, PLR0917  # all that stands in it
    endpoint: ServedEndpoint,
    headers: Mapping[bytes, bytes],
    message_id: str,
    event: str | None,
    received: float,
    trace: str,
    packed_from: int | None = None,
) -> bytes:
    """Return the header block that is stored with a webhook.

    Values are the request's own bytes: the HTTP parser lets no line break through.

    Args:
        endpoint: Which endpoint it is for.
        headers: The request's, by lower-case name.
        message_id: 64 hex digits, of `begin_message_id`.
        event: What `event_id` gave.
        received: When the body was there, in seconds since the epoch.
        trace: Its `traceparent`.
        packed_from: How many bytes the body has, where it is stored packed.
    """
    lines = (
        f"{_BEFORE_ID}{message_id}{_BEFORE_TIME}{int(received * 1000)}"
        f"{_BEFORE_ENDPOINT}{endpoint.label}{_BEFORE_TRACE}{trace}"
    )
    if event is not None:
        lines = f"{lines}{_BEFORE_EVENT_ID}{event}"
    if packed_from is not None:
        lines = f"{lines}{_BEFORE_PACKED}{packed_from}"
    parts = [lines.encode()]
    for line, name in _SENDERS_HEADERS:
        if name in headers:
            parts += (line, headers[name])
    parts.append(b"\r\n\r\n")
    return b"".join(parts)
