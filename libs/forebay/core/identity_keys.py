"""Keys: what makes an item this one and no other. A stored format, version 2 (docs/design/0014).

A key names one thing that happened, by all fields that distinguish two of its kind: the table of
tests/data/payloads. Where one of them is missing, or is no id (null, empty, an object), the key is
incomplete. Then the item goes by its content and its time (`hash:`), which never takes two things
for one; only what has neither an id nor a time of its own gets the receipt's.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from forebay.core.json_values import Json, as_dict, as_list, as_text, canonical_json, first_text

__all__ = [
    "PARTICIPANT_NAMES",
    "PAYMENT",
    "REPEAT_WINDOW_SECONDS",
    "complete_key",
    "is_payment",
    "is_reaction",
    "moment_of",
    "sha256_of",
    "time_of",
]

REPEAT_WINDOW_SECONDS: Final = 300
"""Items without an id and a time of their own get this bucket of the receipt's time into their key:
two true errors can be equal, so only equals within a bucket count as repeats."""

PAYMENT: Final = "payment"
"""The type of a status about a payment, and the property that holds it."""

PARTICIPANT_NAMES: Final = (
    "recipient_participant_user_id",
    "recipient_participant_id",
    "participant_recipient_id",
)
"""The member of a group that a status is of: the provider's pages spell it in three ways."""

_TIME_NAMES: Final = ("timestamp", "time")
_NO_TIME: Final = ("", "0")

_OF_MESSAGES: Final = ("", "message")
"""The types of a status that are a message's own course; others have one of their own."""

_BY_NOBODY: Final = "sent"
"""The one status of a group's message that no member caused."""


def sha256_of(value: Json) -> str:
    """Return the SHA-256 of a value as canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def is_reaction(message: dict[str, Json]) -> bool:
    """Say whether a message is a reaction to another: these have several things under one id."""
    return message.get("type") == "reaction" or isinstance(message.get("reaction"), dict)


def is_payment(status: dict[str, Json]) -> bool:
    """Say whether a status is of a payment: those have a course of their own."""
    return status.get("type") == PAYMENT or isinstance(status.get(PAYMENT), dict)


def time_of(part: Json) -> str:
    """Return the time that a provider gave to something, as it stands there; empty where none."""
    properties = as_dict(part)
    return _time_in(properties) or _time_in(as_dict(properties.get("metadata")))


def _time_in(properties: dict[str, Json]) -> str:
    for name in _TIME_NAMES:
        value = properties.get(name)
        text = repr(value) if isinstance(value, float) else as_text(value)
        if text not in _NO_TIME:
            return text
    return ""


def moment_of(part: Json) -> str | None:
    """Return what stands for the time in an incomplete key; None where nothing of its own does.

    What has an id needs no time: it goes by its content.
    """
    return time_of(part) or ("" if as_text(as_dict(part).get("id")) else None)


def complete_key(kind: str, channel: str, part: dict[str, Json]) -> str | None:
    """Return the key of something in a list of a channel's; None where it would be incomplete."""
    fields = _FIELDS[kind](part)
    if fields is None or not channel:
        return None
    prefix, tail = fields
    return f"{prefix}:{channel}:{tail}"


_Fields = tuple[str, str] | None


def _joined(prefix: str, *fields: str) -> _Fields:
    return (prefix, ":".join(fields)) if all(fields) else None


def _named(prefix: str, *names: str) -> Callable[[dict[str, Json]], _Fields]:
    """Return the rule of a kind whose key is nothing but some of its properties."""

    def fields(part: dict[str, Json]) -> _Fields:
        return _joined(prefix, *(as_text(part.get(name)) for name in names))

    return fields


def _message(part: dict[str, Json]) -> _Fields:
    own = as_text(part.get("id"))
    if not is_reaction(part):
        return _joined("msg", own)
    reaction = part.get("reaction")
    if not isinstance(reaction, dict):
        return None
    emoji = reaction.get("emoji")
    mark = "-" if emoji is None or emoji == "" else as_text(emoji)
    return _joined("msg", own, mark, as_text(part.get("timestamp")))


def _status(part: dict[str, Json]) -> _Fields:
    if is_payment(part):
        return _payment(part)
    if part.get("type") not in (None, *_OF_MESSAGES):
        return None
    own, status = as_text(part.get("id")), as_text(part.get("status"))
    if participant := first_text(part, PARTICIPANT_NAMES):
        return _joined("st", own, status, participant)
    if part.get("recipient_type") == "group" and status != _BY_NOBODY:
        return None
    return _joined("st", own, status)


def _payment(part: dict[str, Json]) -> _Fields:
    payment = as_dict(part.get(PAYMENT))
    transaction = as_dict(payment.get("transaction"))
    refunds = [as_text(as_dict(each).get("id")) for each in as_list(payment.get("refunds"))]
    fields = _joined(
        "pay",
        as_text(part.get("id")),
        as_text(part.get("status")),
        as_text(transaction.get("id")),
        as_text(transaction.get("status")),
    )
    if fields is None or not all(refunds):
        return None
    return "pay", f"{fields[1]}:{','.join(refunds)}"


def _contact(part: dict[str, Json]) -> _Fields:
    contact = as_dict(part.get("contact"))
    return _joined(
        "sync",
        as_text(part.get("action")),
        as_text(contact.get("phone_number")),
        as_text(as_dict(part.get("metadata")).get("timestamp")),
        sha256_of(contact),
    )


def _preference(part: dict[str, Json]) -> _Fields:
    return _joined(
        "pref",
        first_text(part, ("user_id", "wa_id")),
        as_text(part.get("category")),
        as_text(part.get("value")),
        as_text(part.get("timestamp")),
    )


_FIELDS: Final[dict[str, Callable[[dict[str, Json]], _Fields]]] = {
    "messages": _message,
    "statuses": _status,
    "calls": _named("call", "id", "event"),
    "call-statuses": _named("callst", "id", "status"),
    "echoes": _named("echo", "id"),
    "contacts": _contact,
    "preferences": _preference,
    "history": _named("hist", "id"),
    "history-media": _named("histmedia", "id"),
}
"""For each kind that stands in a list of a channel's: what its key begins with and consists of."""
