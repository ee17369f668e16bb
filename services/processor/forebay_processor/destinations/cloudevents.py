"""An item as a CloudEvent 1.0 in JSON, and its Standard Webhooks signature.

Formats: CloudEvents 1.0 JSON event format (structured mode), Standard Webhooks 1.0. The extension
attributes are `itemkey`, `itemtype`, `lane`, `channel`, `conversation`, `otherchannel`,
`superseded`, `variant` and `repaired`.

Keys, types and channels hold what a body says, which can be anything that a JSON string can hold.
An attribute of a CloudEvent cannot: control characters and what Unicode will never assign are
percent-encoded there (`data` has them as they came), and it ends after `ATTRIBUTE_CHARACTERS`. The
item is distinguished from others by its `id`, a hash of the key as it is.
"""

import base64
import hmac
import re
from typing import Final

import msgspec

from forebay.core.events import TYPE_PREFIX, Event, subject_of
from forebay_processor.destinations.port import Attempt

__all__ = [
    "BATCH_TYPE",
    "CLOUDEVENTS_TYPE",
    "attribute_text",
    "data_of",
    "encode_event",
    "event_of",
    "standard_webhooks_signature",
]

CLOUDEVENTS_TYPE: Final = "application/cloudevents+json; charset=utf-8"
BATCH_TYPE: Final = "application/cloudevents-batch+json; charset=utf-8"
"""Of a JSON array of events (CloudEvents 1.0, JSON batch format)."""

ATTRIBUTE_CHARACTERS: Final = 1024
"""Of an attribute that comes from a body: readers and their proxies bound what they take, the
specification asks for no more than 64 KiB of the whole event."""

_FORBIDDEN: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
"""What no string of a CloudEvent may hold (CloudEvents 1.0, type system): control characters,
surrogates and noncharacters."""

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix that the standard gives secrets


_ENCODE = msgspec.json.Encoder().encode


def encode_event(attempt: Attempt) -> bytes:
    """Return the body of a delivery.

    It is equal for every attempt of an item, but for a status outside the order: that can be
    `superseded` at a later attempt. Its `traceparent` (CloudEvents' extension for distributed
    tracing) is the item's, where it began; the request that brings it has its own.
    """
    return _ENCODE(event_of(attempt))


def event_of(attempt: Attempt) -> Event:
    """Return an attempt's item as an event: for who hands it on in another form than as JSON."""
    item = attempt.item
    namespace, name = attempt.endpoint
    return Event(
        specversion="1.0",
        id=attempt.token,
        source=f"/forebay/{namespace}/{name}",
        type=TYPE_PREFIX + item.kind,
        subject=attribute_text(subject_of(item.kind, item.data)),
        time=item.time,
        datacontenttype="application/json",
        traceparent=attempt.traceparent,
        itemkey=attribute_text(item.key),
        itemtype=attribute_text(item.type),
        lane=attempt.lane,
        channel=attribute_text(item.channel),
        conversation=attempt.conversation,
        otherchannel=attempt.other_channel,
        superseded=attempt.superseded,
        variant=item.variant,
        repaired=item.repaired,
        transformed=attempt.transformed is not None,
        data=data_of(attempt),
    )


def data_of(attempt: Attempt) -> msgspec.Raw:
    """Return what a destination gets of the item itself, as JSON."""
    return attempt.item.data if attempt.transformed is None else attempt.transformed


def attribute_text(text: str) -> str:
    """Return a text of a body as an attribute may hold it."""
    if len(text) > ATTRIBUTE_CHARACTERS:
        text = text[:ATTRIBUTE_CHARACTERS]
    if text.isascii() and text.isprintable():
        return text
    return _FORBIDDEN.sub(_percent_encoded, text)


def _percent_encoded(found: re.Match[str]) -> str:
    octets = found.group().encode("utf-8", "surrogatepass")
    return "".join(f"%{octet:02X}" for octet in octets)


def standard_webhooks_signature(
    secrets: tuple[str, ...], webhook_id: str, timestamp: int, body: bytes
) -> str:
    """Return the header `webhook-signature`: one `v1` signature for each live secret.

    Args:
        secrets: `whsec_` and base64, or base64 alone.
        webhook_id: The header `webhook-id`.
        timestamp: The header `webhook-timestamp`, Unix seconds.
        body: The bytes as they are sent.
    """
    content = b"%s.%d." % (webhook_id.encode(), timestamp) + body
    signatures = []
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
        digest = hmac.digest(key, content, "sha256")
        signatures.append(f"v1,{base64.b64encode(digest).decode()}")
    return " ".join(signatures)
