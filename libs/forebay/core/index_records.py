"""The index: what happened to each item, as the stream `FOREBAY_INDEX_<s>` holds it. Version 1.

A message of that stream is a JSON array of records, each an array that begins with its kind. They
are spread over 32 buckets by the id of the message that they are about, so that all of one message
is in one bucket, and whoever asks for it reads a thirty-second part of the stream. The id itself is
not kept: a provider's id holds the person's phone number (docs/design/0031).

A record may be missing (the process died before it was written) or there twice (NATS stored it and
its answer was lost). Nothing is decided by it but what a person is shown.
"""

import enum
import hashlib
import zlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from forebay.core.errors import ForebayError

__all__ = [
    "BUCKETS",
    "IndexOutcome",
    "IndexRecord",
    "ItemHandled",
    "ItemStored",
    "bucket_of",
    "decode_records",
    "encode_records",
    "message_digest",
    "message_id_of",
    "readable_records",
    "records_without",
]

BUCKETS: Final = "0123456789abcdefghijklmnopqrstuv"
"""Their names, one character each. Where little happens, nearly each record is a message: half as
many buckets, and a question takes twice as long. Where much happens, each bucket is a message every
second, which a list of an hour reads and the server flushes to disk."""


class IndexOutcome(enum.StrEnum):
    """What a record says that happened."""

    NEW = "new"
    """Stored as an item of its own."""

    VARIANT = "variant"
    """Stored, though its key was taken: by an item of other content."""

    REPEAT = "repeat"
    """Not stored: the same item came before."""

    UNWANTED = "unwanted"
    """No destination of its endpoint is for such items."""

    FILTERED = "filtered"
    """The filter of a destination did not let it through."""

    PARKED = "parked"
    """Waits in RETRY, without an attempt of its own before."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """An attempt; there will be another."""

    REJECTED = "rejected"
    """An attempt; there will be no other."""

    DEAD = "dead"
    """Given up: a dead letter was stored."""


class ItemStored(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """An item was cut out of a webhook."""

    at: int
    """When that was, as all times here: milliseconds since the epoch, in the streams' time."""

    token: str
    """Of its key: its `webhook-id`."""

    message: str
    """`message_digest` of the message that it is about."""

    endpoint: str
    kind: str
    conversation: str
    channel: str
    outcome: IndexOutcome
    received: int
    """When the receiver had the webhook; 0 where nothing says so."""

    raw: int
    """The webhook's sequence in RAW."""


class ItemHandled(msgspec.Struct, array_like=True, tag="h", gc=False):
    """Something happened between an item and a destination."""

    at: int
    """When an attempt began."""

    token: str
    endpoint: str
    kind: str
    conversation: str
    channel: str
    destination: str
    """Empty where the item has none."""

    outcome: IndexOutcome
    attempt: int
    """1 for the first; 0 for what is no attempt."""

    millis: int
    """What the attempt took."""

    why: str
    """`status 503` and the like, or the reason of a dead letter; empty where all went well."""

    due: int = 0
    """When it was to be tried again; 0 where that is not known."""

    said: str = ""
    """The first words of the destination's answer, without what could be private."""


IndexRecord = ItemStored | ItemHandled

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(list[IndexRecord]).decode
_DECODE_ONE: Final = msgspec.json.Decoder(IndexRecord).decode
_DECODE_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def message_id_of(key: str) -> str:
    """Return the provider's id in an item's key; the key itself where it holds none.

    Keys are `kind:channel:id` and what else there is, and no id of a provider holds a colon or a
    tilde, with which a variant's own digest begins.
    """
    parts = key.split(":", 3)
    return parts[2].partition("~")[0] if len(parts) > 2 else key  # noqa: PLR2004  # kind, channel, id


def message_digest(message: str) -> str:
    """Return the 16 hex digits that stand for a provider's id in records."""
    return hashlib.sha256(message.encode()).hexdigest()[:16]


def bucket_of(message: str) -> str:
    """Return the bucket of all records about a message, by its id."""
    return BUCKETS[zlib.crc32(message.encode()) & 31]


def encode_records(records: Sequence[IndexRecord]) -> bytes:
    """Return a message's payload."""
    return _ENCODE(records)


def decode_records(payload: bytes) -> list[IndexRecord]:
    """Read a message's payload; raises ForebayError where it is none."""
    try:
        return _DECODE(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"a message of the index cannot be read: {error}"
        raise ForebayError(message) from error


def readable_records(payload: bytes) -> tuple[list[IndexRecord], int]:
    """Return what can be read of a message's payload, and how many parts cannot.

    A later version has kinds of records and outcomes that this one does not know.
    """
    try:
        return _DECODE(payload), 0
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        parts = _DECODE_PARTS(payload)
    except (msgspec.DecodeError, RecursionError):
        return [], 1
    found = [record for part in parts if (record := _readable(part)) is not None]
    return found, len(parts) - len(found)


def _readable(part: msgspec.Raw) -> IndexRecord | None:
    """Return one record of a message; None where it cannot be read."""
    try:
        return _DECODE_ONE(part)
    except (msgspec.DecodeError, RecursionError):
        return None


def records_without(
    payload: bytes, is_meant: Callable[[IndexRecord], bool]
) -> tuple[bytes | None, int]:
    """Return a message's payload without some of its records, and how many those are.

    What cannot be read stays as it is. None where nothing is left.
    """
    try:
        parts = _DECODE_PARTS(payload)
    except (msgspec.DecodeError, RecursionError):
        return payload, 0
    kept = [part for part in parts if (record := _readable(part)) is None or not is_meant(record)]
    return (_ENCODE(kept) if kept else None), len(parts) - len(kept)
