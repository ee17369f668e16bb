"""A stored webhook as `raw show` shows it."""

from typing import Any, Final

from forebay.core import envelope
from forebay.core.body_packing import SHOWN_LIMIT, as_it_came
from forebay.core.content_encoding import decode_body, is_supported
from forebay.core.errors import ForebayError
from forebay.core.json_values import Json
from forebay.core.masking import masked
from forebay.core.signatures import SIGNATURE_HEADERS
from forebay.core.subjects import RawSubject
from forebay.core.tolerant_json import read_json
from forebay.runtime.jetstream.api import StoredMessage
from forebay.views.texts import millis_text, utc_text

__all__ = ["webhook_body", "webhook_facts"]

_SHOWN: Final = frozenset({envelope.CONTENT_TYPE.lower(), envelope.CONTENT_ENCODING.lower()})
"""Headers of the sender that say nothing of persons, nor prove who sent it."""


def webhook_facts(
    stored: StoredMessage, shard: str, *, reveal: bool, limit: int = SHOWN_LIMIT
) -> dict[str, Any]:
    """Return what a program gets of a webhook, but its body; signatures only where revealed."""
    try:
        subject = RawSubject.parse(stored.subject)
        endpoint, lane = str(subject.endpoint), str(subject.lane)
    except ValueError:
        endpoint, lane = None, None
    received = envelope.received_millis(stored.headers)
    shown = {
        name: text
        for name, text in stored.headers.items()
        if name.lower() in _SHOWN or (reveal and name.lower() in SIGNATURE_HEADERS)
    }
    return {
        "sequence": stored.sequence,
        "shard": shard,
        "endpoint": endpoint,
        "lane": lane,
        "receivedAt": millis_text(received) if received else None,
        "storedAt": utc_text(stored.stored_at),
        "bytes": len(as_it_came(stored.payload, stored.headers, limit)),
        "storedBytes": len(stored.payload),
        "reason": stored.headers.get(envelope.REASON),
        "headers": shown,
    }


def webhook_body(stored: StoredMessage, *, reveal: bool, limit: int = SHOWN_LIMIT) -> Json:
    """Return a webhook's body; its shape alone where it is not revealed.

    A body of 4 MiB takes a tenth of a second or more.
    """
    content = as_it_came(stored.payload, stored.headers, limit)
    encoding = stored.headers.get(envelope.CONTENT_ENCODING, "")
    try:
        if is_supported(encoding):
            content = decode_body(content, encoding, limit)
        document, _ = read_json(content)
    except ForebayError:
        return content.decode(errors="replace") if reveal else f"<{len(content)} bytes, no JSON>"
    if reveal:
        return document
    # The Cloud API's fields are documented; those of any other body can be somebody's own.
    return masked(document, known=isinstance(document, dict) and "entry" in document)
