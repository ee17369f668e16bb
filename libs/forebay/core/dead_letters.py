"""Dead letters: what is known of one, which of them are meant, and the row that replays one."""

import enum
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from forebay.core import envelope
from forebay.core.body_item import BODY_KIND, decode_body
from forebay.core.body_packing import as_it_came, size_of
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem, readable_item
from forebay.core.errors import ForebayError, UnreadableBody
from forebay.core.subjects import (
    REPLAY,
    DeadSubject,
    RetrySubject,
    conversation_partition,
)

__all__ = [
    "DEATHS_KEPT",
    "UNREADABLE",
    "DeadLetter",
    "DeadLetterFilter",
    "DeadReason",
    "Death",
    "dead_letter_of_row",
    "is_of_message",
    "only_one",
    "replay_row",
]

UNREADABLE: Final = "unreadable"
"""Stands for the kind of a letter whose payload is no item."""

KEY_DIGITS: Final = 32
"""Of a `webhook-id` in full."""


class DeadReason(enum.StrEnum):
    """Why items are given up; the values stand in dead letters and metrics."""

    REJECTED = "Rejected"
    """The destination said that it will never take the item."""

    EXPIRED = "Expired"
    """It was tried until `maxAge`, or nobody could try it within the shard's window."""

    NO_ROOM = "NoRoom"
    """RETRY had no room for it: its destination has its share, or the stream is full."""

    DESTINATION_REMOVED = "DestinationRemoved"
    """The manifest does not name the destination any more."""


class Death(msgspec.Struct, frozen=True, array_like=True):
    """An earlier death of an item that was replayed since."""

    at: Annotated[int, msgspec.Meta(ge=0, le=envelope.LATEST_MILLIS)]
    """Milliseconds since the epoch."""

    destination: str
    reason: str
    attempts: int
    error: str


MOST_ATTEMPTS: Final = 10**18 - 1

_DEATHS: Final = tuple[Death, ...]

DEATHS_KEPT: Final = 5
"""The newest ones: about 100 bytes each."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter as it is stored."""

    subject: DeadSubject
    sequence: int
    died_at: datetime
    headers: Mapping[str, str]
    payload: bytes
    item: StoredItem | None
    """None where the payload is no item that can be read."""

    @classmethod
    def read(
        cls,
        subject: str,
        sequence: int,
        died_at: datetime,
        headers: Mapping[str, str],
        payload: bytes,
    ) -> "DeadLetter":
        """Read a message of DEAD; raises ValueError where its subject is none of DEAD."""
        return cls(
            subject=DeadSubject.parse(subject),
            sequence=sequence,
            died_at=died_at,
            headers=headers,
            payload=payload,
            item=readable_item(payload),
        )

    @property
    def size(self) -> int:
        """How many bytes it has; of a body that is stored packed, how many it had as it came."""
        try:
            return size_of(self.headers) or len(self.payload)
        except UnreadableBody:
            return len(self.payload)

    def content(self) -> bytes:
        """Return the payload; of a body that is stored packed, the bytes as they came.

        What says that it is packed and cannot be unpacked is returned as it stands.
        """
        return as_it_came(self.payload, self.headers)

    @property
    def kind(self) -> str:
        """What kind of item it is."""
        return UNREADABLE if self.item is None else self.item.kind

    @property
    def reason(self) -> str:
        """Why it died."""
        return self.headers.get(envelope.REASON, "")

    @property
    def error(self) -> str:
        """What the destination said last: a status or a kind of failure."""
        return self.headers.get(envelope.ERROR, "")

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        return envelope.header_number(self.headers, envelope.ATTEMPTS, MOST_ATTEMPTS)

    @property
    def deaths(self) -> tuple[Death, ...]:
        """What it died of before it was replayed, the oldest first; empty where that is unknown."""
        try:
            return msgspec.json.decode(self.headers.get(envelope.DEATHS, "[]"), type=_DEATHS)
        except (msgspec.DecodeError, RecursionError):
            # Somebody else's: the letter is as good as any other.
            return ()

    @property
    def received_at(self) -> datetime | None:
        """When its webhook came."""
        millis = envelope.received_millis(self.headers)
        return datetime.fromtimestamp(millis / 1000, tz=UTC) if millis else None


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters are meant; what is None says nothing."""

    endpoint: EndpointName | None = None
    namespaces: frozenset[str] | None = None
    """Of endpoints of these only."""

    destination: str | None = None
    kind: str | None = None
    reason: str | None = None
    wamid: str | None = None
    key: str | None = None
    """The beginning of a `webhook-id`."""

    since: datetime | None = None
    """Letters that died at this moment or later."""

    until: datetime | None = None
    """Letters that died before this moment."""

    def subjects(self, shard: str) -> str:
        """Return the wildcard of all subjects of DEAD that can match."""
        whole = self.key is not None and len(self.key) == KEY_DIGITS
        namespace, name = self.endpoint or (only_one(self.namespaces) or "*", "*")
        if namespace == "*" and self.destination is None and not whole:
            # Not the same for the server: it need not compare each subject.
            return ">"
        return (
            f"forebay.dead.{shard}.{namespace}.{name}.{self.destination or '*'}."
            f"{self.key if whole else '*'}"
        )

    def matches(self, letter: DeadLetter) -> bool:
        """Say whether a letter of these subjects is meant."""
        return (
            (self.namespaces is None or letter.subject.endpoint.namespace in self.namespaces)
            and (self.kind is None or letter.kind == self.kind)
            and (self.reason is None or letter.reason.lower() == self.reason.lower())
            and (self.key is None or letter.subject.key.startswith(self.key))
            and (self.since is None or letter.died_at >= self.since)
            and (self.until is None or letter.died_at < self.until)
            and (self.wamid is None or is_of_message(letter.item, self.wamid))
        )


def only_one(names: frozenset[str] | None) -> str | None:
    """Return the one of some names; None where there are more, or any is meant."""
    return next(iter(names)) if names is not None and len(names) == 1 else None


def is_of_message(item: StoredItem | None, wamid: str) -> bool:
    """Say whether an item is of the message with this id of the provider."""
    if item is None:
        return False
    if item.kind == BODY_KIND:
        try:
            return f'"{wamid}"'.encode() in decode_body(item).content
        except ForebayError:
            return False
    # Keys are `kind:channel:id` and what else there is: no id of a provider holds a colon.
    return item.key.split(":")[2:3] == [wamid]


def replay_row(letter: DeadLetter, destination: str) -> tuple[str, dict[str, str]]:
    """Return subject and headers of the row of RETRY that delivers a dead letter once more.

    It begins anew: no attempts yet, due at once, and `maxAge` counts from when RETRY stores it. The
    clock of whoever replays it has no say in that.
    """
    subject = letter.subject
    conversation = envelope.conversation_of(letter.headers, subject.key)
    row = RetrySubject(
        subject.shard,
        conversation_partition(subject.endpoint, conversation, subject.shard),
        REPLAY,
        subject.endpoint,
        destination,
        conversation,
        subject.key,
    )
    carried = {name: letter.headers[name] for name in envelope.CARRIED if name in letter.headers}
    return str(row), {
        **carried,
        envelope.CONVERSATION: conversation,
        envelope.ORDER: "0",
        envelope.ATTEMPTS: "0",
        envelope.REPLAY_OF: f"{subject} {letter.sequence}",
        envelope.DEATHS: _deaths_with(letter),
    }


def _deaths_with(letter: DeadLetter) -> str:
    """Return the header that lists a letter's deaths, this one included."""
    own = Death(
        int(letter.died_at.timestamp() * 1000),
        letter.subject.destination,
        letter.reason,
        letter.attempts,
        letter.error,
    )
    deaths = (*letter.deaths, own)[-DEATHS_KEPT:]
    return json.dumps(msgspec.to_builtins(deaths))  # ASCII, as headers are


def dead_letter_of_row(headers: Mapping[str, str]) -> tuple[DeadSubject, int] | None:
    """Return which dead letter a row came from, by its headers; None where it came from none."""
    subject, _, sequence = headers.get(envelope.REPLAY_OF, "").partition(" ")
    try:
        return DeadSubject.parse(subject), int(sequence)
    except ValueError:
        return None
