"""Which stored items are of one person: for `forebay erase`.

A person is named by a number, a user id or both, and a conversation by a hash of one of them and
the channel (docs/design/0001). So one that is known by one name is learned by the others from the
items that hold both, and a conversation's token is understood from the items that it stands on.

An item is of a person if it is of that person's conversation with a channel, or names the person
anywhere: as the sender in a group, as the recipient, in a contact card. What somebody wrote in a
sentence is not searched: it is the other's text.
"""

import enum
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from forebay.core import envelope
from forebay.core.body_item import BODY_KIND, decode_body
from forebay.core.envelope import StoredItem
from forebay.core.errors import ForebayError, UnreadableBody
from forebay.core.json_values import Json
from forebay.core.participants import IDENTITY_NAMES
from forebay.core.subjects import conversation_token
from forebay.core.tolerant_json import read_json

__all__ = ["NAMES_LIMIT", "NAME_CHARACTERS", "NAME_LEAST", "Holds", "Person"]

NAMES_LIMIT: Final = 64
"""Names that one person is known by: a usual one has two or three."""

NAME_LEAST: Final = 5
"""Characters: what is shorter is no number, and stands in many places by chance."""

NAME_CHARACTERS: Final = 128
"""Of a name of a person: a user id has 30."""

CHANNELS_KEPT: Final = 10_000
"""Channels of an endpoint for which the person's tokens are kept: 10 MB with the most names."""

_CHANNEL_NAMES: Final = frozenset({"display_phone_number", "phone_number_id"})
"""Properties that name the business, which no person is."""

_ALIASES: Final = (
    ("from", "from_user_id"),
    ("to", "to_user_id"),
    ("recipient_id", "recipient_user_id"),
    ("recipient_participant_id", "recipient_participant_user_id"),
    ("participant_recipient_id", "recipient_participant_user_id"),
    ("wa_id", "user_id"),
    ("phone_number", "user_id"),
)
"""Properties of one object that name one person in two ways."""

_OF_PERSONS: Final = frozenset(IDENTITY_NAMES) | {"phone_number"}


class Holds(enum.Enum):
    """What a stored message holds of a person."""

    NOTHING = "nothing"
    PERSON = "person"
    """Something of the person, and of nobody else."""

    OTHERS_TOO = "others too"
    """A whole webhook, in which something of others is as well."""


class Person:
    """One person at one endpoint, by all names that are known."""

    def __init__(self, *, names: frozenset[str], conversations: frozenset[str]) -> None:
        """Begin with what was given.

        Args:
            names: Numbers or user ids, as webhooks have them.
            conversations: Tokens of conversations.
        """
        self.names: set[str] = set()
        self._quoted: tuple[bytes, ...] = ()
        self._anywhere: re.Pattern[bytes] | None = None
        self._conversations = conversations
        self._by_channel: dict[str, frozenset[str]] = {}
        for name in names:
            self._know(name)

    def _know(self, name: str) -> None:
        if NAME_LEAST <= len(name) <= NAME_CHARACTERS and len(self.names) < NAMES_LIMIT:
            self.names.add(name)
            self._by_channel.clear()
            self._quoted = tuple(msgspec.json.encode(each) for each in sorted(self.names))
            whole = b"|".join(re.escape(each.encode()) for each in sorted(self.names))
            self._anywhere = re.compile(rb"(?<![0-9A-Za-z])(?:" + whole + rb")(?![0-9A-Za-z])")

    def has_conversation(self, conversation: str, channel: str) -> bool:
        """Say whether a conversation at a channel is this person's, by its token."""
        if conversation in self._conversations:
            return True
        own = self._by_channel.get(channel)
        if own is None:
            own = frozenset(conversation_token(channel, name) for name in self.names)
            if len(self._by_channel) < CHANNELS_KEPT:
                self._by_channel[channel] = own
        return conversation in own

    def has_in_item(self, headers: Mapping[str, str], payload: bytes) -> Holds:
        """Say what an item of EVENTS, RETRY or DEAD holds of the person, and learn from it."""
        item = envelope.readable_item(payload)
        if item is None:
            # Nobody can read it, so it may be anybody's.
            return Holds.OTHERS_TOO if self._is_in(payload) else Holds.NOTHING
        if item.kind == BODY_KIND:
            try:
                return self.has_in_body(decode_body(item).content)
            except ForebayError:
                return Holds.OTHERS_TOO if self._is_in(payload) else Holds.NOTHING
        conversation = headers.get(envelope.CONVERSATION, "")
        is_own = self.has_conversation(conversation, item.channel)
        if not is_own and not any(each in payload for each in self._quoted):
            return Holds.NOTHING
        data = _decoded(item)
        if is_own:
            self._learn_conversation(conversation, item.channel, data)
        elif not self._is_named(data):
            return Holds.NOTHING
        self._learn(data)
        return Holds.PERSON

    def has_in_body(self, body: bytes) -> Holds:
        """Say what a whole webhook holds of the person, and learn from it."""
        if not self._is_in(body):
            return Holds.NOTHING
        try:
            document, _ = read_json(body)
        except UnreadableBody:
            return Holds.OTHERS_TOO
        if not self._is_named(document):
            # In a sentence, or in a form that nobody knows: it goes, where nobody loses by it.
            return Holds.OTHERS_TOO
        self._learn(document)
        return Holds.OTHERS_TOO if self._others(document) else Holds.PERSON

    def _is_in(self, data: bytes) -> bool:
        return self._anywhere is not None and self._anywhere.search(data) is not None

    def _is_named(self, data: Json) -> bool:
        return any(
            self._is_name(value, name) for part in _objects(data) for name, value in part.items()
        )

    def _is_name(self, value: Json, name: str) -> bool:
        """Say whether a property's value, or one of several, is a name of the person."""
        if isinstance(value, list):
            return any(isinstance(each, str) and each in self.names for each in value)
        return isinstance(value, str) and value in self.names and name not in _CHANNEL_NAMES

    def _others(self, document: Json) -> bool:
        channels = {
            value
            for part in _objects(document)
            for name, value in part.items()
            if name in _CHANNEL_NAMES and isinstance(value, str)
        }
        return any(
            isinstance(value, str) and value not in self.names and value not in channels
            for part in _objects(document)
            for name, value in part.items()
            if name in _OF_PERSONS
        )

    def _learn(self, data: Json) -> None:
        for part in _objects(data):
            for pair in _ALIASES:
                both = [value for name in pair if isinstance(value := part.get(name), str)]
                if len(both) == len(pair) and not self.names.isdisjoint(both):
                    for name in both:
                        if name not in self.names:
                            self._know(name)

    def _learn_conversation(self, conversation: str, channel: str, data: Json) -> None:
        """Find the name of which a token that was given is the hash."""
        if conversation not in self._conversations:
            return
        for part in _objects(data):
            for name, value in part.items():
                if (
                    name in _OF_PERSONS
                    and isinstance(value, str)
                    and value not in self.names
                    and len(value) <= NAME_CHARACTERS
                    and _token(channel, value) == conversation
                ):
                    self._know(value)


_token = functools.lru_cache(maxsize=4096)(conversation_token)


def _decoded(item: StoredItem) -> Json:
    try:
        decoded: Json = msgspec.json.decode(item.data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return decoded


def _objects(data: Json) -> Iterator[dict[str, Json]]:
    """Yield all objects in a JSON value, however deep."""
    left: list[Json] = [data]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
