"""What is stored around a body or an item: header names and the item's own form. Version 2.

RAW holds the provider's bytes as they came, large ones packed (`body_packing`); EVENTS, RETRY and
DEAD hold one item as JSON, the `StoredItem` below. Headers carry what is needed before the payload
is read.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from forebay.core.errors import ForebayError
from forebay.core.item import Item

__all__ = [
    "ATTEMPTS",
    "BODY",
    "CARRIED",
    "CONTENT_ENCODING",
    "CONTENT_TYPE",
    "CONVERSATION",
    "DEATHS",
    "DIGEST",
    "DUE_AT",
    "ENDPOINT",
    "EPOCH",
    "ERROR",
    "EVENT_ID",
    "EXPECTED_SEQUENCE",
    "EXPECTED_SUBJECT",
    "FIRST_TRIED_AT",
    "LATEST_MILLIS",
    "MAX_ITEMS",
    "MESSAGE_ID",
    "ORDER",
    "PACKED",
    "RAW_SEQUENCE",
    "REASON",
    "RECEIVED_AT",
    "REPLAY_OF",
    "SUPERSEDED",
    "TRACEPARENT",
    "StoredItem",
    "conversation_of",
    "decode_item",
    "encode_item",
    "header_number",
    "readable_item",
    "received_millis",
]

MESSAGE_ID: Final = "Nats-Msg-Id"
"""Of a raw message: SHA-256 over endpoint and body, for the stream's 2-minute window."""

RECEIVED_AT: Final = "Forebay-Received-At"
"""When the receiver had the whole body: milliseconds since the epoch."""

ENDPOINT: Final = "Forebay-Endpoint"
"""`namespace/name`."""

RAW_SEQUENCE: Final = "Forebay-Raw-Seq"
"""The sequence in RAW of the webhook that an item came in."""

TRACEPARENT: Final = "traceparent"
"""W3C Trace Context, as it came or as the receiver began it."""

CONTENT_TYPE: Final = "Content-Type"

CONTENT_ENCODING: Final = "Content-Encoding"
"""Of a raw message: what has to be taken off its bytes before they are read. Absent for nothing."""

PACKED: Final = "Forebay-Packed"
"""Of a raw message whose payload `body_packing` packed: how many bytes the body had as it
came. Absent where it is stored as it came."""

EVENT_ID: Final = "Forebay-Event-Id"
"""Of a raw message of a generic endpoint: 32 hex digits that distinguish this event from all
others. Of the sender's own id where it sent one, else made by the receiver for this request."""

DIGEST: Final = "Forebay-Digest"
"""On items in EVENTS: the digest of the item's content. A refused claim is a repeat only where the
item that is stored has the same."""

CONVERSATION: Final = "Forebay-Conversation"
"""The conversation's token, on items."""

BODY: Final = "Forebay-Body"
"""On items whose webhook is an item as well: the token of that. Who wants whole webhooks gets that
one, and items without this header one by one: they were cut before anyone wanted the whole."""

EXPECTED_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
"""On items in EVENTS: stored only where none of these subjects holds a message (design 0013)."""

MAX_ITEMS: Final = "Forebay-Max-Items"
"""On a raw message that a person replayed from the lane `invalid`: how many items it may hold. The
other limits do not hold for it."""

ORDER: Final = "Forebay-Order"
"""On what waits in RETRY: the item's sequence in EVENTS, by which its conversation is ordered."""

ATTEMPTS: Final = "Forebay-Attempts"
"""How often delivery was tried."""

EPOCH: Final = "Forebay-Epoch"
"""On a row of RETRY as it was first stored: the epoch of the partition's owner (design 0005)."""

DUE_AT: Final = "Forebay-Due-At"
"""When to try next: milliseconds since the epoch, in the time of the streams' servers; a row
without it is due."""

FIRST_TRIED_AT: Final = "Forebay-First-Tried-At"
"""When delivery was first due, in the same time; `maxAge` counts from it. A row without it is as
old as its message."""

REASON: Final = "Forebay-Reason"
"""Why a dead letter died, or a webhook was set aside: one of the documented reasons."""

ERROR: Final = "Forebay-Error"
"""What the destination said last: a status or the kind of failure, never its text."""

REPLAY_OF: Final = "Forebay-Replay-Of"
"""On a replayed row: the dead letter that it came from, `<subject> <sequence>`."""

DEATHS: Final = "Forebay-Deaths"
"""On a replayed row, and on the dead letter that may come of it: the deaths before, the oldest
first, as JSON: `[[milliseconds, destination, reason, attempts, error], ...]`."""

SUPERSEDED: Final = "Forebay-Superseded"
"""On a status that waits, or died: `true` where a higher one of its message came before it."""

CARRIED: Final = (RECEIVED_AT, ENDPOINT, RAW_SEQUENCE, TRACEPARENT, SUPERSEDED)
"""Headers that go with an item wherever it goes: to RETRY, to DEAD, and back by a replay."""


class StoredItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item as EVENTS, RETRY and DEAD hold it."""

    key: str
    kind: str
    type: str
    channel: str
    time: str
    data: msgspec.Raw
    """The provider's change, cut down to the item: JSON that is passed on as it is."""

    variant: bool = False
    """Its key was taken by an item of other content, so it has one of its own."""

    repaired: bool = False
    """Something in its webhook could not be represented, and was replaced."""


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(StoredItem).decode


LATEST_MILLIS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: what is later is no time that can be written down."""

_TOKEN: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


def conversation_of(headers: Mapping[str, str], key: str) -> str:
    """Return the conversation of a stored item; one of its own where none is given.

    It becomes a part of subjects: what would be more than one token of them, or none, is not one
    of ours, and nothing could be stored under it.

    Args:
        headers: The item's.
        key: The item's.
    """
    given = headers.get(CONVERSATION, "")
    return given if _TOKEN.fullmatch(given) else key[:16]


def header_number(headers: Mapping[str, str], name: str, most: int = LATEST_MILLIS) -> int:
    """Return the number that a header holds, such as a time in milliseconds; 0 where there is none.

    What stands there can be anybody's who may publish: a value beyond `most` is no number.
    """
    text = headers.get(name, "")
    if len(text) > len(str(most)) or not (text.isascii() and text.isdigit()):
        return 0
    number = int(text)
    return number if number <= most else 0


def received_millis(headers: Mapping[str, str]) -> int:
    """Return when a webhook came, in milliseconds since the epoch; 0 where nothing says so."""
    return header_number(headers, RECEIVED_AT)


def encode_item(item: Item) -> bytes:
    """Return the JSON that is stored for an item."""
    return _ENCODE(
        StoredItem(
            key=item.key,
            kind=item.kind,
            type=item.type,
            channel=item.channel,
            time=item.time,
            data=msgspec.Raw(_ENCODE(item.data)),
            variant=item.variant,
            repaired=item.repaired,
        ),
    )


def decode_item(payload: bytes) -> StoredItem:
    """Read a stored item; raises ForebayError where the payload is none."""
    try:
        return _DECODE(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"a stored item cannot be read: {error}"
        raise ForebayError(message) from error


def readable_item(payload: bytes) -> StoredItem | None:
    """Return a stored item; None where the payload is none that can be read."""
    try:
        return decode_item(payload)
    except ForebayError:
        return None
