"""The keys of a body's items, by the table of the corpus (tests/data/payloads).

Forebay's own splitter has its own code for the same rules. This one is kept apart on purpose: a
comparison of what was sent with what was delivered is worth something only if the two sides do not
share a mistake.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

__all__ = ["RECEIPT_WINDOW", "item_keys"]

Json = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None."""

RECEIPT_WINDOW: Final = "{received_at//300}"
"""Stands in the keys of items without an id of their own. The real key has the receipt's time in
windows of 300 s there, which only the receiver knows."""

_PARTICIPANT: Final = (
    "recipient_participant_user_id",
    "recipient_participant_id",
    "participant_recipient_id",
)

_ENCODE_CANONICAL = msgspec.json.Encoder(order="deterministic").encode


def item_keys(body: bytes) -> tuple[str, ...]:
    """Return the key of every item; none for a body that is no webhook of WhatsApp."""
    try:
        return tuple(_document_keys(msgspec.json.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        return ()


def _document_keys(document: Json) -> Iterator[str]:
    if "event" in document and "data" in document:
        yield f"d360:{document['event']}:{document['id']}"
        data = document["data"]
        if document["event"] == "history":
            yield from _history_keys(data["metadata"]["phone_number_id"], data)
        return
    for entry in document["entry"]:
        for change in entry["changes"]:
            yield from _change_keys(entry, change["field"], change["value"])


def _change_keys(entry: Json, field: str, value: Json) -> Iterator[str]:
    if "metadata" not in value:
        yield f"acct:{entry['id']}:{field}:{entry['time']}:{_digest(value)}"
        return
    channel = value["metadata"]["phone_number_id"]
    by_field = _FIELDS.get(field)
    if by_field is None:
        yield f"acct:{entry['id']}:{field}:{entry['time']}:{_digest(value)}"
    else:
        yield from by_field(channel, value)


def _message_keys(channel: str, value: Json) -> Iterator[str]:
    for message in value.get("messages", ()):
        key = f"msg:{channel}:{message['id']}"
        if message["type"] == "reaction":
            key = f"{key}:{message['reaction'].get('emoji') or '-'}:{message['timestamp']}"
        yield key
    for status in value.get("statuses", ()):
        yield _payment_key(channel, status) if "payment" in status else _status_key(channel, status)
    if "messages" not in value and "statuses" not in value:
        yield f"hash:{channel}:{_digest(value)}:{RECEIPT_WINDOW}"


def _status_key(channel: str, status: Json) -> str:
    key = f"st:{channel}:{status['id']}:{status['status']}"
    participant = next(filter(None, map(status.get, _PARTICIPANT)), None)
    return f"{key}:{participant}" if participant else key


def _payment_key(channel: str, status: Json) -> str:
    payment = status["payment"]
    transaction = payment["transaction"]
    refunds = ",".join(refund["id"] for refund in payment.get("refunds", ()))
    own = f"{status['id']}:{status['status']}"
    return f"pay:{channel}:{own}:{transaction['id']}:{transaction['status']}:{refunds}"


def _history_keys(channel: str, value: Json) -> Iterator[str]:
    for message in value.get("messages", ()):
        yield f"histmedia:{channel}:{message['id']}"
    for chunk in value.get("history", ()):
        if "errors" in chunk:
            yield f"hash:{channel}:{_digest(value)}:{RECEIPT_WINDOW}"
        for thread in chunk.get("threads", ()):
            for message in thread["messages"]:
                yield f"hist:{channel}:{message['id']}"


def _call_keys(channel: str, value: Json) -> Iterator[str]:
    for call in value.get("calls", ()):
        yield f"call:{channel}:{call['id']}:{call['event']}"
    for status in value.get("statuses", ()):
        yield f"callst:{channel}:{status['id']}:{status['status']}"


def _preference_keys(channel: str, value: Json) -> Iterator[str]:
    for each in value["user_preferences"]:
        person = each.get("user_id") or each["wa_id"]
        choice = f"{each['category']}:{each['value']}:{each['timestamp']}"
        yield f"pref:{channel}:{person}:{choice}"


def _echo_keys(channel: str, value: Json) -> Iterator[str]:
    for echo in value["message_echoes"]:
        yield f"echo:{channel}:{echo['id']}"


def _sync_keys(channel: str, value: Json) -> Iterator[str]:
    for each in value["state_sync"]:
        number, moment = each["contact"]["phone_number"], each["metadata"]["timestamp"]
        contact = _digest(each["contact"])
        yield f"sync:{channel}:{each['action']}:{number}:{moment}:{contact}"


def _digest(value: Json) -> str:
    return hashlib.sha256(_ENCODE_CANONICAL(value)).hexdigest()


_FIELDS: Final[Mapping[str, Callable[[str, Json], Iterator[str]]]] = {
    "messages": _message_keys,
    "calls": _call_keys,
    "user_preferences": _preference_keys,
    "smb_message_echoes": _echo_keys,
    "smb_app_state_sync": _sync_keys,
    "history": _history_keys,
}
"""Fields that belong to a number. All others belong to an account, or are not known."""
