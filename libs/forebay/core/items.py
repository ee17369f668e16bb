"""Splitting a webhook's body into items, each with the key that tells it from all others.

A body holds `entry x change x item`: up to 1,000 items, of several channels. Each item comes out
as the provider's own change, cut down to that one item, so that nothing the provider sent is lost
and a destination finds it where the provider's reference says. Kinds and fields that do not exist
yet come out whole, as kind `unknown`; what is of the wrong shape is kept the same way. A body that
is not JSON, or of no known envelope, raises UnreadableBody.

The keys are the corpus' (tests/data/payloads): they are a stored format, see `subjects`.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from forebay.core.errors import UnreadableBody
from forebay.core.frames import (
    Frame,
    Json,
    as_dict,
    as_list,
    as_text,
    canonical_json,
    channel_of,
    identity,
    is_small,
)
from forebay.core.reading import read_json
from forebay.core.subjects import Lane, conversation_token, key_token
from forebay.core.tables import Provider

__all__ = [
    "ACCOUNT_FIELDS",
    "KINDS",
    "KIND_LANES",
    "REPEAT_WINDOW_SECONDS",
    "WALKS",
    "Item",
    "canonical_json",
    "cut",
    "rfc3339",
    "split",
    "variant_of",
]

KIND_LANES: Final[dict[str, Lane]] = {
    "messages": Lane.LIVE,
    "calls": Lane.LIVE,
    "call-statuses": Lane.LIVE,
    "echoes": Lane.LIVE,  # a colleague wrote from the app: part of the talk that goes on now
    "preferences": Lane.LIVE,  # a person said stop: it has to hold before the next message leaves
    "generic": Lane.LIVE,
    "statuses": Lane.STATUS,
    "errors": Lane.STATUS,
    "contacts": Lane.BULK,
    "history": Lane.BULK,
    "history-media": Lane.BULK,
    "account": Lane.BULK,
    "partner": Lane.BULK,
    "unknown": Lane.BULK,
}
"""Every kind of item and the lane it is in. A kind is a token of the EVENTS subject and what a
destination's `events` lists."""

KINDS: Final = tuple(KIND_LANES)
"""Every kind of item."""

REPEAT_WINDOW_SECONDS: Final = 300
"""Items without an id of their own get this bucket of the receipt's time into their key: two true
errors can be equal, so only equals within a bucket count as repeats."""

ACCOUNT_FIELDS: Final = frozenset(
    {
        "account_alerts",
        "account_review_update",
        "account_update",
        "business_capability_update",
        "flows",
        "message_template_components_update",
        "message_template_quality_update",
        "message_template_status_update",
        "partner_solutions",
        "payment_configuration_update",
        "phone_number_name_update",
        "phone_number_quality_update",
        "security",
        "template_category_update",
    },
)
"""Fields that belong to a WhatsApp Business Account, not to a number. Source: the Cloud API's
webhook reference. A field that is in no list here is kind `unknown`."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, cut out of a webhook."""

    key: str
    """What makes it this item and no other, readable: `msg:<phone number id>:<wamid>`."""

    kind: str
    """One of KINDS."""

    type: str
    """What the provider calls it within its kind: `text`, `delivered`, `connect`, a field."""

    channel: str
    """The phone number id; empty for what belongs to a whole account."""

    conversation: str
    """16 hex digits: items of one person's talk with one channel share them."""

    time: str
    """When it happened, RFC 3339 in UTC; the receipt's time where the provider says none."""

    data: Json
    """The provider's change, cut down to this item."""

    digest: str = ""
    """16 hex digits of its content, without what changes by itself. Two items with one key and one
    digest are one; with two digests the second is a variant."""

    is_complete: bool = True
    """Whether the key holds all fields that belong to it; else it is a hash of the item."""

    is_dateless: bool = False
    """Whether it has neither an id nor a time of its own: the receipt's bucket is in its key."""

    variant: bool = False
    """Whether its key was taken by an item of other content."""

    repaired: bool = False
    """Whether something in the body could not be represented and was replaced."""

    @property
    def lane(self) -> Lane:
        """How urgent it is."""
        return KIND_LANES[self.kind]

    @property
    def token(self) -> str:
        """The key's hash, as subjects and `webhook-id` carry it."""
        return key_token(self.key)


def variant_of(item: Item) -> Item:
    """Return an item whose key is taken by other content, under a key of its own."""
    return msgspec.structs.replace(item, key=f"{item.key}~{item.digest}", variant=True)


def split(
    provider: Provider, body: bytes, received_at: float, event_id: str | None = None
) -> list[Item]:
    """Cut a body into its items, all at once; see `cut`.

    Raises:
        UnreadableBody: where the body is not JSON, or of no envelope known for this provider.
    """
    document, repaired = read_json(body)
    return list(
        cut(
            provider,
            document,
            body_sha256=hashlib.sha256(body).hexdigest(),
            received_at=received_at,
            event_id=event_id,
            repaired=repaired,
        )
    )


def cut(  # what a body is, and what is known of its receipt
    provider: Provider,
    document: Json,
    *,
    body_sha256: str,
    received_at: float,
    event_id: str | None = None,
    repaired: bool = False,
) -> Iterator[Item]:
    """Cut a body that was read into its items, one by one, in the order in which they stand in it.

    What is no webhook is told at once, before the first item.

    Args:
        provider: Whose envelope to expect; a `generic` body is one item whatever it holds.
        document: The body, decoded.
        body_sha256: The SHA-256 of the body's bytes, in hex.
        received_at: When it came, in seconds since the epoch: the same at every redelivery, for it
            is part of some keys.
        event_id: At a generic endpoint, what tells this event from all others.
        repaired: Whether something in the body could not be represented and was replaced.

    Raises:
        UnreadableBody: where the body is of no envelope known for this provider.
    """
    cutter = _Cut(received_at, repaired=repaired)
    if provider == "generic":
        return iter([cutter.generic(body_sha256, document, event_id)])
    if not isinstance(document, dict):
        message = "the body is not a JSON object"
        raise UnreadableBody(message)
    if isinstance(document.get("entry"), list) and document["entry"]:
        return cutter.entries(document)
    if isinstance(document.get("event"), str) and "data" in document:
        return cutter.partner_event(document)
    message = "the body has neither entries nor a partner event"
    raise UnreadableBody(message)


def _sha256(value: Json) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


class _Cut:
    """Cuts one body; holds what is the same for all its items."""

    def __init__(self, received_at: float, *, repaired: bool) -> None:
        self._bucket = int(received_at // REPEAT_WINDOW_SECONDS)
        self._received_at = received_at
        self._repaired = repaired

    def generic(self, body_sha256: str, document: Json, event_id: str | None) -> Item:
        """Make one item of a whole body."""
        key = f"event::{event_id}" if event_id else f"hash::{body_sha256}:{self._bucket}"
        return self._item(key, "generic", "generic", channel="", person="", data=document)

    def entries(self, document: dict[str, Json]) -> Iterator[Item]:
        """Cut the entries of the Cloud API's envelope."""
        outside = {name: part for name, part in document.items() if name not in _ENVELOPE}
        if not is_small(outside) or outside.keys() & _NAMED_WITHIN:
            yield self._oddity(outside, "envelope", {"envelope": outside})
            outside = {}
        for entry in document["entry"]:
            if not as_list(as_dict(entry).get("changes")):
                yield self._oddity(entry, "entry", {**outside, "entry": entry})
                continue
            within = {name: part for name, part in entry.items() if name != "changes"}
            if not is_small(within):
                yield self._oddity(within, "entry", {"entry": within})
                within = identity(within, ("id", "time"))
            around = {**outside, **within}
            for change in entry["changes"]:
                if not isinstance(change, dict) or not isinstance(change.get("value"), dict):
                    yield self._oddity(change, "change", {**around, "change": change})
                    continue
                yield from self._change(around, change)

    def partner_event(self, event: dict[str, Json]) -> Iterator[Item]:
        """Cut one of 360dialog's partner events; the history in one comes out by message."""
        data = as_dict(event.get("data"))
        metadata = as_dict(data.get("metadata"))
        channel = as_text(metadata.get("phone_number_id"))
        own, name = event, as_text(event["event"])
        if "history" in data:
            rest = {key: part for key, part in data.items() if key != "history"}
            own = {**event, "data": rest}
        key = f"d360:{as_text(event.get('id'))}"
        if not as_text(event.get("id")):
            key = f"hash:{channel}:{_sha256(event)}:{self._bucket}"
        yield self._item(key, "partner", name, channel=channel, person="", data=own)
        if "history" in data:
            around = {"id": as_text(data.get("id"))}
            value = {key: part for key, part in data.items() if key != "id"}
            yield from self._change(around, {"field": "history", "value": value})

    def _change(self, around: dict[str, Json], change: dict[str, Json]) -> Iterator[Item]:
        field, value = as_text(change.get("field")), change["value"]
        walk = WALKS.get(field)
        if walk is None:
            yield self._account(around, change, field)
            return
        lists = [name for name in walk if isinstance(value.get(name), list) and value[name]]
        if not lists:
            yield self._oddity(value, field, {**around, **change}, channel=channel_of(value))
            return
        frame = Frame(around, change, lists)
        if frame.too_large is not None:
            yield self._oddity(frame.too_large, field, frame.too_large, frame.channel)
        for name in lists:
            if name == "errors":
                yield self._errors(frame, "errors")
            elif name == "history":
                yield from self._history(frame)
            else:
                for part in value[name]:
                    yield self._part(frame, walk[name], name, part)
        if left := frame.left_contacts():
            yield self._oddity(left, "contacts", frame.contacts_alone(), frame.channel)

    def _part(self, frame: Frame, kind: str, name: str, part: Json) -> Item:
        data = frame.cut(name, part)
        if not isinstance(part, dict):
            return self._oddity(part, name, data, channel=frame.channel)
        tail, kind_type = _key_tail(kind, part)
        if tail is None:
            key = f"hash:{frame.channel}:{_sha256(part)}:{self._bucket}"
        else:
            key = f"{_PREFIXES[kind]}:{frame.channel}:{tail}"
        return self._item(
            key,
            kind,
            kind_type,
            channel=frame.channel,
            person=_person(kind, part),
            data=data,
            timestamp=part.get("timestamp"),
        )

    def _history(self, frame: Frame) -> Iterator[Item]:
        bare: list[Json] = []
        for chunk in frame.value["history"]:
            threads = as_list(as_dict(chunk).get("threads"))
            full = [thread for thread in threads if as_list(as_dict(thread).get("messages"))]
            if not full:
                # Progress without messages, or the business declined: told once for the value.
                bare.append(chunk)
                continue
            around = {name: part for name, part in chunk.items() if name != "threads"}
            if len(full) < len(threads):
                empty = [
                    thread for thread in threads if not as_list(as_dict(thread).get("messages"))
                ]
                bare.append({**around, "threads": empty})
            if not is_small(around):
                yield self._oddity(around, "history", frame.cut("history", around), frame.channel)
                around = {}
            for thread in full:
                yield from self._thread(frame, around, thread)
        if bare:
            key = f"hash:{frame.channel}:{_sha256(frame.value)}:{self._bucket}"
            data = frame.cut_list("history", bare)
            kind_type = "declined" if any(as_dict(c).get("errors") for c in bare) else "progress"
            yield self._item(key, "history", kind_type, channel=frame.channel, person="", data=data)

    def _thread(
        self, frame: Frame, around: dict[str, Json], thread: dict[str, Json]
    ) -> Iterator[Item]:
        rest = {name: part for name, part in thread.items() if name != "messages"}
        if not is_small(rest):
            data = frame.cut("history", {**around, "threads": [rest]})
            yield self._oddity(rest, "history", data, channel=frame.channel)
            rest = identity(rest, ("id",))
        for message in thread["messages"]:
            data = frame.cut("history", {**around, "threads": [{**rest, "messages": [message]}]})
            message_id = as_text(as_dict(message).get("id"))
            if not message_id:
                yield self._oddity(message, "history", data, channel=frame.channel)
                continue
            yield self._item(
                f"hist:{frame.channel}:{message_id}",
                "history",
                as_text(message.get("type")) or "unknown",
                channel=frame.channel,
                person=as_text(thread.get("id")),
                data=data,
                timestamp=message.get("timestamp"),
            )

    def _errors(self, frame: Frame, name: str) -> Item:
        key = f"hash:{frame.channel}:{_sha256(frame.value)}:{self._bucket}"
        data = frame.cut_list(name, frame.value[name])
        return self._item(key, "errors", "error", channel=frame.channel, person="", data=data)

    def _account(self, around: dict[str, Json], change: dict[str, Json], field: str) -> Item:
        account, moment = as_text(around.get("id")), as_text(around.get("time"))
        value = change["value"]
        key = f"acct:{account}:{field}:{moment or f'b{self._bucket}'}:{_sha256(value)}"
        kind = "account" if field in ACCOUNT_FIELDS else "unknown"
        return self._item(
            key,
            kind,
            field or "unknown",
            channel=channel_of(value),
            person="",
            scope=account,
            data={**around, **change},
            timestamp=around.get("time"),
        )

    def _oddity(self, what: Json, name: str, data: Json, channel: str = "") -> Item:
        """Make an item of something whose shape no parser knows, so that it is not lost."""
        key = f"hash:{channel}:{_sha256(what)}:{self._bucket}"
        return self._item(key, "unknown", name or "unknown", channel=channel, person="", data=data)

    def _item(  # noqa: PLR0913  # one place where every item is made
        self,
        key: str,
        kind: str,
        kind_type: str,
        *,
        channel: str,
        person: str,
        data: Json,
        scope: str = "",
        timestamp: Json = None,
    ) -> Item:
        return Item(
            key=key,
            kind=kind,
            type=kind_type,
            channel=channel,
            conversation=conversation_token(channel or scope, person),
            time=_event_time(timestamp) or rfc3339(self._received_at),
            data=data,
            digest=hashlib.sha256(canonical_json(data)).hexdigest()[:16],
            repaired=self._repaired,
        )


_ENVELOPE: Final = frozenset({"object", "entry"})
_NAMED_WITHIN: Final = frozenset({"id", "time", "changes", "field", "value"})
"""What stands inside the envelope under these names is not to be mixed up with what is outside."""

WALKS: Final[dict[str, dict[str, str]]] = {
    "messages": {"messages": "messages", "statuses": "statuses", "errors": "errors"},
    "calls": {"calls": "calls", "statuses": "call-statuses", "errors": "errors"},
    "smb_message_echoes": {"message_echoes": "echoes", "errors": "errors"},
    "smb_app_state_sync": {"state_sync": "contacts", "errors": "errors"},
    "user_preferences": {"user_preferences": "preferences", "errors": "errors"},
    "history": {"history": "history", "messages": "history-media", "errors": "errors"},
}
"""For each field of a number: the lists in its value that hold items, and the items' kind."""

_PREFIXES: Final = {
    "messages": "msg",
    "statuses": "st",
    "calls": "call",
    "call-statuses": "callst",
    "echoes": "echo",
    "contacts": "sync",
    "preferences": "pref",
    "history-media": "histmedia",
}


def _key_tail(kind: str, part: dict[str, Json]) -> tuple[str | None, str]:
    """Return what the key ends in (None: it has no id, so it has to be hashed) and the type."""
    own = as_text(part.get("id"))
    match kind:
        case "messages" if part.get("type") == "reaction":
            emoji = as_text(as_dict(part.get("reaction")).get("emoji")) or "-"
            return (f"{own}:{emoji}" if own else None), "reaction"
        case "statuses":
            status = as_text(part.get("status"))
            participant = as_text(part.get("recipient_participant_id"))
            tail = f"{own}:{status}:{participant}" if participant else f"{own}:{status}"
            return (tail if own and status else None), status or "unknown"
        case "call-statuses":
            status = as_text(part.get("status"))
            return (f"{own}:{status}" if own and status else None), status.lower() or "unknown"
        case "calls":
            event = as_text(part.get("event"))
            return (f"{own}:{event}" if own and event else None), event or "unknown"
        case "contacts":
            action = as_text(part.get("action"))
            number = as_text(as_dict(part.get("contact")).get("phone_number"))
            moment = as_text(as_dict(part.get("metadata")).get("timestamp"))
            complete = action and number and moment
            return (f"{action}:{number}:{moment}" if complete else None), action or "unknown"
        case "preferences":
            person = as_text(part.get("user_id")) or as_text(part.get("wa_id"))
            category, value = as_text(part.get("category")), as_text(part.get("value"))
            tail = f"{person}:{category}:{value}:{as_text(part.get('timestamp'))}"
            return (tail if person and category else None), value or "unknown"
        case _:
            return own or None, as_text(part.get("type")) or "unknown"


def _person(kind: str, part: dict[str, Json]) -> str:
    """Return whose talk the item belongs to: a group, else the user id, else the number."""

    def first(*names: str) -> str:
        return next((text for name in names if (text := as_text(part.get(name)))), "")

    match kind:
        case "messages" | "history-media":
            return first("group_id", "from_user_id", "from")
        case "statuses" if part.get("recipient_type") == "group":
            return first("recipient_id")
        case "statuses" | "call-statuses":
            return first("recipient_user_id", "recipient_id")
        case "calls" if part.get("direction") == "BUSINESS_INITIATED":
            return first("to_user_id", "to")
        case "calls":
            return first("from_user_id", "from")
        case "echoes":
            return first("group_id", "to_user_id", "to")
        case "contacts":
            contact = as_dict(part.get("contact"))
            return as_text(contact.get("user_id")) or as_text(contact.get("phone_number"))
        case "preferences":
            return first("user_id", "wa_id")
        case _:
            return ""


def _event_time(timestamp: Json) -> str | None:
    """Read a provider's timestamp: Unix seconds as text or number."""
    try:
        return rfc3339(int(as_text(timestamp)))
    except (ValueError, OverflowError, OSError):
        return None


def rfc3339(seconds: float) -> str:
    """Return a time since the epoch as items have it: in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
