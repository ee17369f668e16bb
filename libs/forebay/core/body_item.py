"""Whole webhooks as items: for destinations that want them as the provider sent them.

Such an item has the kind `body` and the SHA-256 of its bytes as its key, so each body is delivered
once. Where nothing in it has an id or a time of its own, the receipt's bucket is in the key as
well, and at a generic endpoint the event's id is the key: Raw merges only what is one event. It
goes the way of all items: claims, order, retries, dead letters (docs/design/0007).
"""

import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from forebay.core.envelope import CONTENT_ENCODING, CONTENT_TYPE, EVENT_ID, StoredItem
from forebay.core.errors import ForebayError
from forebay.core.identity_keys import REPEAT_WINDOW_SECONDS
from forebay.core.item import Item, rfc3339
from forebay.core.json_values import Json
from forebay.core.signatures import SIGNATURE_HEADERS
from forebay.core.subjects import Lane

__all__ = ["BODY_KIND", "WebhookBody", "body_item", "body_key", "decode_body", "lane_of_items"]

BODY_KIND: Final = "body"
"""No kind that a destination's `events` can list: those choose by what is in a body."""

_BODY_TYPE: Final = "webhook"

_KEPT_HEADERS: Final = (CONTENT_TYPE.lower(), CONTENT_ENCODING.lower(), *SIGNATURE_HEADERS)
_RANKS: Final = {lane: rank for rank, lane in enumerate(Lane)}


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """A whole webhook, as the `data` of its item."""

    body: str
    """The provider's bytes as text, which needs less room than base64 and can be read in a dead
    letter. Bytes that are no UTF-8 (compressed ones, or a provider's fault) are in base64."""

    encoding: Literal["utf-8", "base64"] = "utf-8"
    """How `body` holds the bytes."""

    headers: dict[str, str]
    """Content type and encoding and the provider's signatures, names in lower case."""

    holds: tuple[tuple[str, str], ...]
    """Kind and channel of its items, each pair once: what filters compare."""

    @property
    def content(self) -> bytes:
        """The provider's bytes, exactly; raises ForebayError where they are not there."""
        if self.encoding == "utf-8":
            return self.body.encode()
        try:
            return binascii.a2b_base64(self.body, strict_mode=True)
        except ValueError as error:
            message = "a stored webhook cannot be read: its body is no base64"
            raise ForebayError(message) from error


_DECODE = msgspec.json.Decoder(WebhookBody).decode


def lane_of_items(items: Sequence[Item]) -> Lane:
    """Return the lane of the most urgent one of at least one item."""
    return min((item.lane for item in items), key=_RANKS.__getitem__)


def body_key(
    body_sha256: str, received_at: float, event_id: str | None = None, *, is_dateless: bool
) -> str:
    """Return the key of a whole webhook.

    Args:
        body_sha256: The SHA-256 of its bytes, in hex.
        received_at: When it came, in seconds since the epoch.
        event_id: At a generic endpoint, what distinguishes this event from all others.
        is_dateless: Whether none of its items has an id or a time of its own.
    """
    if event_id:
        return f"event::{event_id}"
    if is_dateless:
        return f"{body_sha256}:{int(received_at // REPEAT_WINDOW_SECONDS)}"
    return body_sha256


def body_item(
    body: bytes, headers: Mapping[str, str], items: Sequence[Item], received_at: float
) -> Item:
    """Return the item of a whole webhook.

    Its conversation is that of its most urgent item. Nearly every webhook holds one conversation,
    and its bodies are in order; one that holds several is in order with one of them.

    Args:
        body: The bytes as they came, which were split before.
        headers: What the webhook was stored with, an event's id among it at generic endpoints.
        items: What was cut out of it, at least one of each kind, channel and datelessness.
        received_at: When it came, in seconds since the epoch.
    """
    digest = hashlib.sha256(body).hexdigest()
    is_dateless = all(item.is_dateless for item in items)
    given = {name.lower(): value for name, value in headers.items()}
    lane = lane_of_items(items)
    first = next(item for item in items if item.lane is lane)
    channels = {item.channel for item in items}
    data: dict[str, Json] = {
        **_as_text(body),
        "headers": {name: given[name] for name in _KEPT_HEADERS if name in given},
        "holds": [list(pair) for pair in dict.fromkeys((i.kind, i.channel) for i in items)],
    }
    return Item(
        key=body_key(digest, received_at, given.get(EVENT_ID.lower()), is_dateless=is_dateless),
        kind=BODY_KIND,
        type=_BODY_TYPE,
        channel=first.channel if len(channels) == 1 else "",
        conversation=first.conversation,
        time=rfc3339(received_at),
        data=data,
        digest=digest[:16],
        is_dateless=is_dateless,
    )


def _as_text(body: bytes) -> dict[str, Json]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body": binascii.b2a_base64(body, newline=False).decode(), "encoding": "base64"}


def decode_body(item: StoredItem) -> WebhookBody:
    """Read a whole webhook out of its item; raises ForebayError where there is none."""
    try:
        return _DECODE(item.data)
    except msgspec.DecodeError as error:
        message = f"a stored webhook cannot be read: {error}"
        raise ForebayError(message) from error
