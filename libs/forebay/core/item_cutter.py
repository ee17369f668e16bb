"""Cutting a webhook that was read: entry by entry, change by change, list by list.

A body holds `entry x change x item`: up to 1,000 items, of several channels. Each item comes out as
the provider's own change, reduced to that one item, so that nothing the provider sent is lost and a
destination finds it where the provider's reference says. What no reference knows comes out as kind
`unknown`; what is of the wrong shape is kept the same way. The keys are those of the corpus
(tests/data/payloads): they are a stored format, see `subjects`.

For the providers' formats only. Items are made lazily, when they are asked for, and what several
have in common is stored once. So cutting takes time in proportion to the body, and no memory but
that of the items that somebody holds.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from forebay.core.identity_keys import (
    REPEAT_WINDOW_SECONDS,
    complete_key,
    moment_of,
    sha256_of,
    time_of,
)
from forebay.core.item import Item, rfc3339
from forebay.core.item_context import Frame, channel_of, identity, is_small, time_of_entry
from forebay.core.item_digests import digest_of
from forebay.core.item_kinds import ACCOUNT_FIELDS, UNKNOWN, WALKS, lists_of, type_of
from forebay.core.json_values import Json, as_dict, as_list, as_text
from forebay.core.participants import person_of
from forebay.core.subjects import conversation_token

__all__ = ["ItemCutter"]

_ENVELOPE: Final = frozenset({"object", "entry"})
_NAMED_WITHIN: Final = frozenset({"id", "time", "changes", "field", "value"})
"""What stands inside the envelope under these names is not to be mixed up with what is outside."""

_TEMPLATE: Final = "message_template_id"
"""In the value of an account's event: the template that it is about."""

_LONGEST_TIME: Final = 32
"""Characters of a timestamp."""


class _Key(NamedTuple):
    """A key and what is known of it."""

    text: str
    is_complete: bool = True
    is_dateless: bool = False


class ItemCutter:
    """Cuts one body; holds what is the same for all its items."""

    def __init__(self, received_at: float, *, repaired: bool) -> None:
        self._bucket = int(received_at // REPEAT_WINDOW_SECONDS)
        self._received_at = received_at
        self._repaired = repaired

    def generic(self, body_sha256: str, document: Json, event_id: str | None) -> Item:
        """Make one item of a whole body."""
        key = _Key(f"event::{event_id}")
        if not event_id:
            key = _Key(f"hash::{body_sha256}:{self._bucket}", is_complete=False, is_dateless=True)
        # All of an endpoint's events are one conversation: in order, unless it gives order up.
        return self._item(
            key, "generic", "generic", person="", data=document, digest=digest_of({"": document})
        )

    def entries(self, document: dict[str, Json]) -> Iterator[Item]:
        """Cut the entries of the Cloud API's envelope."""
        outside = {name: part for name, part in document.items() if name not in _ENVELOPE}
        if outside and (not is_small(outside) or outside.keys() & _NAMED_WITHIN):
            yield self._oddity(outside, "envelope", {"envelope": outside}, time_of(outside))
            outside = {}
        for entry in document["entry"]:
            yield from self._entry(outside, entry)

    def partner_event(self, event: dict[str, Json]) -> Iterator[Item]:
        """Cut one of 360dialog's partner events; the history in one comes out by message."""
        data = as_dict(event.get("data"))
        channel, own, name = channel_of(data), event, as_text(event["event"])
        if "history" in data:
            rest = {key: part for key, part in data.items() if key != "history"}
            own = {**event, "data": rest}
        about = as_text(data.get("id"))
        event_id = as_text(event.get("id"))
        key = _Key(f"d360:{name}:{event_id}")
        if not (event_id and name):
            key = self._hashed(channel, event, time_of(event) or time_of(data) or None)
        yield self._item(
            key,
            "partner",
            name or UNKNOWN,
            channel=channel,
            # What is about one channel or client is in order.
            person=about or key.text,
            data=own,
            digest=digest_of(own),
        )
        if "history" in data:
            value = {key: part for key, part in data.items() if key != "id"}
            around = {"id": about} if about else {}
            yield from self._change(around, {"field": "history", "value": value})

    def _entry(self, outside: dict[str, Json], entry: Json) -> Iterator[Item]:
        if not as_list(as_dict(entry).get("changes")):
            yield self._oddity(entry, "entry", {**outside, "entry": entry}, time_of(entry))
            return
        within = {name: part for name, part in entry.items() if name != "changes"}
        if not is_small(within):
            yield self._oddity(within, "entry", {"entry": within}, time_of(within))
            within = identity(within, ("id", "time"))
        around = {**outside, **within}
        for change in entry["changes"]:
            if isinstance(change, dict) and isinstance(change.get("value"), dict):
                yield from self._change(around, change)
            else:
                data = {**around, "change": change}
                yield self._oddity(change, "change", data, time_of(within))

    def _change(self, around: dict[str, Json], change: dict[str, Json]) -> Iterator[Item]:
        field, value = as_text(change.get("field")), change["value"]
        lists = lists_of(field, value)
        if not lists:
            yield self._whole(around, change, field)
            return
        frame = Frame(around, change, lists)
        if frame.too_large is not None:
            yield self._beside(frame, field, frame.too_large, frame.too_large)
        for name, kind in lists.items():
            if kind == "errors":
                yield self._of_value(frame, "errors", "error", value[name])
            elif kind == "history":
                yield from self._history(frame)
            else:
                for part in value[name]:
                    yield self._part(frame, kind, name, part)
        if left := frame.left_contacts():
            yield self._beside(frame, "contacts", left, frame.contacts_alone(left))

    def _whole(self, around: dict[str, Json], change: dict[str, Json], field: str) -> Item:
        """Make one item of a change that holds no lists of items."""
        value, data = change["value"], {**around, **change}
        account, channel = as_text(around.get("id")), channel_of(value)
        entry_time = time_of_entry(around)
        key = self._account_key(account, channel, field, entry_time, value)
        kind, person = UNKNOWN, key.text
        if field in ACCOUNT_FIELDS:
            # What happens to one template, or in one field of an account, is in order.
            kind, person = "account", f"{field}:{as_text(value.get(_TEMPLATE))}"
        return self._item(
            key,
            kind,
            field or UNKNOWN,
            channel=channel,
            person=person,
            scope=account,
            data=data,
            digest=digest_of(data),
            time=entry_time or time_of(value),
        )

    def _part(self, frame: Frame, kind: str, name: str, part: Json) -> Item:
        data = frame.cut(name, part)
        if not isinstance(part, dict):
            return self._oddity(part, name, data, "", frame.channel)
        if kind == UNKNOWN:
            return self._element(frame, name, part, data)
        key = self._key(frame, kind, name, part)
        return self._item(
            key,
            kind,
            type_of(kind, part),
            channel=frame.channel,
            scope=frame.account,
            person=person_of(kind, part) or as_text(part.get("id")) or key.text,
            data=data,
            digest=frame.digest(name, part),
            time=time_of(part),
        )

    def _element(self, frame: Frame, name: str, part: dict[str, Json], data: Json) -> Item:
        """Make an item of something in a list that no walk knows."""
        own = time_of(part)
        if frame.field in WALKS:
            key, kind_type = self._key(frame, UNKNOWN, name, part), name
        else:
            moment = moment_of(part)
            key = self._account_key(
                frame.account, frame.channel, frame.field, frame.time, data["value"], moment
            )
            kind_type = frame.field or name
        return self._item(
            key,
            UNKNOWN,
            kind_type,
            channel=frame.channel,
            scope=frame.account,
            person=key.text,
            data=data,
            digest=frame.digest(name, part),
            time=own or frame.time,
        )

    def _history(self, frame: Frame) -> Iterator[Item]:
        bare: list[Json] = []
        for chunk in frame.value["history"]:
            threads = as_list(as_dict(chunk).get("threads"))
            empty = [each for each in threads if not as_list(as_dict(each).get("messages"))]
            if len(empty) == len(threads):
                # Progress without messages, or the business declined: reported once for the value.
                bare.append(chunk)
                continue
            around = {name: part for name, part in chunk.items() if name != "threads"}
            if empty:
                bare.append({**around, "threads": empty})
            if not is_small(around):
                data = frame.cut("history", around)
                yield self._beside(frame, "history", around, data)
                around = {}
            for thread in threads:
                if as_list(as_dict(thread).get("messages")):
                    yield from self._thread(frame, around, thread)
        if bare:
            kind_type = "declined" if any(as_dict(c).get("errors") for c in bare) else "progress"
            yield self._of_value(frame, "history", kind_type, bare)

    def _thread(
        self, frame: Frame, around: dict[str, Json], thread: dict[str, Json]
    ) -> Iterator[Item]:
        rest = {name: part for name, part in thread.items() if name != "messages"}
        if not is_small(rest):
            data = frame.cut("history", {**around, "threads": [rest]})
            yield self._beside(frame, "history", rest, data)
            rest = identity(rest, ("id",))
        beside = [
            {name: part for name, part in around.items() if name not in _OF_TRANSFER},
            {name: part for name, part in rest.items() if name not in _OF_PERSON},
        ]
        for message in thread["messages"]:
            part = {**around, "threads": [{**rest, "messages": [message]}]}
            data = frame.cut("history", part, message)
            if not isinstance(message, dict):
                yield self._oddity(message, "history", data, "", frame.channel)
                continue
            key = self._key(frame, "history", "history", message)
            yield self._item(
                key,
                "history",
                as_text(message.get("type")) or UNKNOWN,
                channel=frame.channel,
                scope=frame.account,
                person=as_text(thread.get("id")) or as_text(message.get("id")) or key.text,
                data=data,
                digest=frame.digest("history", message, beside),
                time=time_of(message),
            )

    def _of_value(self, frame: Frame, kind: str, kind_type: str, parts: list[Json]) -> Item:
        """Make one item of a whole list."""
        moment = time_of(frame.first) or as_text(frame.first.get("id")) or None
        key = self._hashed(frame.scope, frame.value_with(kind, parts), moment)
        return self._item(
            key,
            kind,
            kind_type,
            channel=frame.channel,
            scope=frame.account,
            person=key.text,
            data=frame.cut_list(kind, parts),
            digest=frame.digest(kind, parts),
        )

    def _beside(self, frame: Frame, name: str, what: Json, data: Json) -> Item:
        """Make an item of what stands beside items and goes with none: it shares their time."""
        own = as_text(frame.first.get("id"))
        return self._oddity([what, own], name, data, time_of(frame.first) or own, frame.channel)

    def _oddity(
        self, what: Json, name: str, data: dict[str, Json], moment: str, channel: str = ""
    ) -> Item:
        """Make an item of something whose shape no parser knows, so that it is not lost."""
        key = self._hashed(channel, what, moment or None)
        return self._item(
            key,
            UNKNOWN,
            name or UNKNOWN,
            channel=channel,
            person=key.text,
            data=data,
            digest=digest_of(data),
        )

    def _key(self, frame: Frame, kind: str, name: str, part: dict[str, Json]) -> _Key:
        """Return the key of something in a list; the hash of it where that is incomplete."""
        if kind != UNKNOWN and (text := complete_key(kind, frame.channel, part)):
            return _Key(text)
        moment = moment_of(part)
        return self._hashed(frame.scope, {"field": frame.field, name: [part]}, moment)

    def _account_key(  # all that belongs to such a key
        self,
        account: str,
        channel: str,
        field: str,
        entry_time: str,
        value: Json,
        moment: str | None = None,
    ) -> _Key:
        """Return the key of something that is said of a whole account, or in an unknown field."""
        if account and field and entry_time:
            return _Key(f"acct:{account}:{field}:{entry_time}:{sha256_of(value)}")
        if moment is None:
            moment = entry_time or time_of(value) or None
        return self._hashed(channel or account, {"field": field, "value": value}, moment)

    def _hashed(self, scope: str, what: Json, moment: str | None) -> _Key:
        """Return an incomplete key: of the content and of its time, else of the receipt's.

        Args:
            scope: The channel, else the account.
            what: The content.
            moment: Its time; empty where it needs none, since it has an id; else None.
        """
        key = f"hash:{scope}:{sha256_of(what)}"
        if moment is None:
            return _Key(f"{key}:{self._bucket}", is_complete=False, is_dateless=True)
        return _Key(f"{key}:{moment}" if moment else key, is_complete=False)

    def _item(  # noqa: PLR0913  # one place where every item is made
        self,
        key: _Key,
        kind: str,
        kind_type: str,
        *,
        person: str,
        data: Json,
        digest: str,
        channel: str = "",
        scope: str = "",
        time: str = "",
    ) -> Item:
        return Item(
            key=key.text,
            kind=kind,
            type=kind_type,
            channel=channel,
            conversation=conversation_token(channel or scope, person),
            time=_event_time(time) or rfc3339(self._received_at),
            data=data,
            digest=digest,
            is_complete=key.is_complete,
            is_dateless=key.is_dateless,
            repaired=self._repaired,
        )


_OF_TRANSFER: Final = frozenset({"metadata"})
_OF_PERSON: Final = frozenset({"id", "context"})
"""What is left out of the digest of a history's message: see `item_digests`."""


def _event_time(time: str) -> str | None:
    """Read a provider's timestamp: Unix seconds."""
    return _read_time(time) if len(time) <= _LONGEST_TIME else None


@lru_cache(maxsize=1024)  # what comes at one moment has few times, and writing one costs 3 µs
def _read_time(time: str) -> str | None:
    try:
        return rfc3339(int(time) if time.isdecimal() else int(float(time)))
    except (ValueError, OverflowError, OSError):
        return None
