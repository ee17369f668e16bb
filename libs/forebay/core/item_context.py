"""What stands around the items of a webhook, and how one item is cut out of it.

For `item_cutter` only. An item keeps all that stood around it, as long as that is small: with 1,000
items a large rest would be stored 1,000 times, so it becomes one item of its own instead, and the
others keep the few properties that say which account, channel and field they are of.

What is around is shared by all items of a change, never copied: cutting takes time and memory in
proportion to the body.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

from forebay.core.identity_keys import time_of
from forebay.core.item_digests import digest_within, encoded_frame, hash_of_frame
from forebay.core.json_values import Json, as_dict, as_list, as_text, canonical_json
from forebay.core.participants import IDENTITY_NAMES, names_of_contact

__all__ = ["SMALL_REST_BYTES", "Frame", "channel_of", "identity", "is_small", "time_of_entry"]

SMALL_REST_BYTES: Final = 2048
"""What stands around the items goes with each of them up to this size."""

SHORT_CHARACTERS: Final = 256
"""An id is not longer than this; a property that says so of itself and is, is no id."""

_OUTER_IDENTITY: Final = ("id", "time", "field")
_VALUE_IDENTITY: Final = ("messaging_product",)
_CHANNEL_IDENTITY: Final = ("phone_number_id", "display_phone_number")


def channel_of(value: dict[str, Json]) -> str:
    """Return the phone number id of a change's value; empty where there is none."""
    return as_text(as_dict(value.get("metadata")).get("phone_number_id"))


def time_of_entry(around: dict[str, Json]) -> str:
    """Return the time of an entry; empty where it has none."""
    return time_of({"time": around.get("time")})


def is_small(value: Json) -> bool:
    """Say whether something may go with each of many items."""
    return not value or len(canonical_json(value)) <= SMALL_REST_BYTES


def identity(whole: dict[str, Json], names: Iterable[str]) -> dict[str, Json]:
    """Return those of the named properties that are short: enough to say what an item is of."""
    return {
        name: whole[name] for name in names if 0 < len(as_text(whole.get(name))) <= SHORT_CHARACTERS
    }


class Frame:
    """A change without its items: what stays the same around each item that is cut out of it."""

    def __init__(
        self, around: dict[str, Json], change: dict[str, Json], lists: dict[str, str]
    ) -> None:
        value: dict[str, Json] = change["value"]
        self.value = value
        self.channel = channel_of(value)
        self.account = as_text(around.get("id"))
        self.field = as_text(change.get("field"))
        self._lists, self._around = lists, around
        outer = {**around, **change}
        del outer["value"]
        contacts = as_list(value.get("contacts"))
        base = {name: part for name, part in value.items() if name not in lists}
        if isinstance(value.get("contacts"), list):
            base.pop("contacts", None)
        self.too_large: Json = None
        """The change without items, where it is too large to go with each; else None."""
        encoded = encoded_frame(outer, base)
        if len(encoded) > SMALL_REST_BYTES:
            self.too_large = {**outer, "value": base}
            metadata = identity(as_dict(base.get("metadata")), _CHANNEL_IDENTITY)
            base = identity(base, _VALUE_IDENTITY) | ({"metadata": metadata} if metadata else {})
            outer = identity(outer, _OUTER_IDENTITY)
            encoded = encoded_frame(outer, base)
        self._outer, self._base = outer, base
        self._contacts = _Contacts(contacts)
        self._hash = hash_of_frame(encoded)

    @property
    def scope(self) -> str:
        """The channel; the account where there is none."""
        return self.channel or self.account

    @property
    def time(self) -> str:
        """The time of the entry; empty where it has none."""
        return time_of_entry(self._around)

    @cached_property
    def first(self) -> dict[str, Json]:
        """The first item: its time and its id are those of what stands beside."""
        for name, kind in self._lists.items():
            parts: Iterable[Json] = self.value[name]
            if kind == "history":
                threads = _within(parts, "threads")
                parts = _within(threads, "messages")
            for part in parts:
                return as_dict(part)
        return {}

    def cut(self, name: str, part: Json, person: Json = None) -> Json:
        """Return the change with this one item in the named list, and the item's contact.

        Args:
            name: The list that it stands in.
            part: The item, or what holds it there.
            person: What names its persons, where that is not `part`.
        """
        return self._with(self._contacts.of(part if person is None else person), name, [part])

    def cut_list(self, name: str, parts: list[Json]) -> Json:
        """Return the change with these parts of the named list, which belong to no person."""
        return self._with(self._contacts.only, name, parts)

    def digest(self, name: str, part: Json, beside: Json = None) -> str:
        """Return the digest of an item of the named list, and of what stands beside it there."""
        return digest_within(self._hash, name, part, beside)

    def value_with(self, name: str, parts: list[Json]) -> Json:
        """Return the change's value with nothing but these parts of the named list."""
        contacts = self.value.get("contacts")
        beside = {"contacts": contacts} if isinstance(contacts, list) else {}
        return {**self._base, **beside, name: parts}

    def left_contacts(self) -> list[Json]:
        """Return the contacts that went with no item, once all items are cut."""
        return self._contacts.left()

    def contacts_alone(self, contacts: list[Json]) -> Json:
        """Return the change with nothing but these contacts."""
        return {**self._outer, "value": {**self._base, "contacts": contacts}}

    def _with(self, contacts: list[Json], name: str, parts: list[Json]) -> Json:
        value = {**self._base, name: parts}
        if contacts:
            value["contacts"] = contacts
        return {**self._outer, "value": value}


def _within(wholes: Iterable[Json], name: str) -> Iterator[Json]:
    for whole in wholes:
        yield from as_list(as_dict(whole).get(name))


class _Contacts:
    """The contacts of a change: each goes with the items of its person, and none is lost.

    Contacts are distinguished by their content: a batch can hold the same one for each message.
    """

    def __init__(self, contacts: list[Json]) -> None:
        self._all = {canonical_json(contact): contact for contact in contacts}
        self._used: set[bytes] = set()
        self._by_person: dict[str, bytes] = {}
        self._only: bytes | None = None
        small = [
            text
            for text, contact in self._all.items()
            if len(text) <= SMALL_REST_BYTES and isinstance(contact, dict)
        ]
        if len(small) == len(self._all) == 1:
            (self._only,) = small
            return
        for text in small:
            self._by_person.update(dict.fromkeys(names_of_contact(self._all[text]), text))

    @property
    def only(self) -> list[Json]:
        """The one contact, where there is exactly one: it belongs to everything."""
        if self._only is None:
            return []
        self._used.add(self._only)
        return [self._all[self._only]]

    def of(self, part: Json) -> list[Json]:
        """Return the contacts of an item's persons."""
        if self._only is not None or not self._by_person:
            return self.only
        properties = as_dict(part)
        found = {
            text: self._all[text]
            for name in IDENTITY_NAMES
            if (text := self._by_person.get(as_text(properties.get(name)))) is not None
        }
        self._used.update(found)
        return list(found.values())

    def left(self) -> list[Json]:
        """Return the contacts that were handed out to nobody."""
        return [contact for text, contact in self._all.items() if text not in self._used]
