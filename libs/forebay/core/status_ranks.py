"""Statuses of one message: which is higher, and where a higher one would be claimed.

A message's statuses say how far it has come; the highest one seen is where it is. Ranks are those
of tests/data/payloads. A key ends in the status (`identity_keys`), so the keys of all others of the
same message follow from one: `st:<channel>:<message>:<status>`, in a group with `:<participant>`
behind. Payments (`pay:`) have a course of their own, and no rank.

A person's statuses are in one partition, as long as they name the person in one way. But a failed
one of a message to a number names the number alone, where the others have the user id as well, and
who had a number first may have a user name later. So a higher one is searched for where either name
leads to, and everywhere where only one is given.
"""

from types import MappingProxyType
from typing import Any, Final

import msgspec

from forebay.core.envelope import StoredItem
from forebay.core.item import first_key
from forebay.core.json_values import as_text
from forebay.core.subjects import (
    EventSubject,
    conversation_partition,
    conversation_token,
    in_any_partition,
    key_token,
)

__all__ = ["MOST_CLAIMS", "STATUS_KIND", "STATUS_RANKS", "higher_claims"]

STATUS_KIND: Final = "statuses"
"""The kind of items that have ranks."""

_ASCENDING: Final = ("sent", "failed", "delivered", "read", "played")
STATUS_RANKS: Final = MappingProxyType({status: rank for rank, status in enumerate(_ASCENDING)})
"""A status that is not there has none: it says nothing of how far a message has come."""

_PREFIX: Final = "st:"

_SPELLINGS: Final = 2
"""A person has a user id and a number."""

MOST_CLAIMS: Final = _SPELLINGS * (len(_ASCENDING) - 1)
"""The most subjects that one status is looked up under."""


class _Recipient(msgspec.Struct, gc=False):
    recipient_type: Any = None
    recipient_user_id: Any = None
    recipient_id: Any = None


class _Value(msgspec.Struct, gc=False):
    statuses: tuple[_Recipient, ...] = ()


class _Change(msgspec.Struct, gc=False):
    value: _Value


_DECODE = msgspec.json.Decoder(_Change).decode


def higher_claims(subject: EventSubject, item: StoredItem) -> list[str]:
    """Return the subjects of EVENTS under which higher statuses of the same message are claimed.

    They hold a wildcard for the partition where it cannot be known. None for the highest status,
    for one that has no rank, and for one without an id.
    """
    rank = STATUS_RANKS.get(item.type)
    if rank is None or subject.kind != STATUS_KIND or not item.key.startswith(_PREFIX):
        return []
    key = first_key(item.key) if item.variant else item.key
    before, participant = _around(key, item.type)
    claims = [
        subject._replace(key=key_token(f"{before}:{higher}{participant}"))
        for higher in _ASCENDING[rank + 1 :]
    ]
    partitions = _partitions(subject, item)
    if partitions is None:
        return [in_any_partition(str(claim)) for claim in claims]
    return [str(claim._replace(partition=one)) for one in partitions for claim in claims]


def _partitions(subject: EventSubject, item: StoredItem) -> list[int] | None:
    """Return where statuses of this one's message and person may be; None for anywhere."""
    try:
        (status,) = _DECODE(item.data).value.statuses
    except (msgspec.DecodeError, ValueError):
        return None
    if status.recipient_type == "group":
        return [subject.partition]  # a group has one name
    names = (as_text(status.recipient_user_id), as_text(status.recipient_id))
    if not all(names):
        return None
    tokens = (conversation_token(item.channel, name) for name in names)
    found = (conversation_partition(subject.endpoint, token, subject.shard) for token in tokens)
    return list(dict.fromkeys((subject.partition, *found)))


def _around(key: str, status: str) -> tuple[str, str]:
    """Return what stands before the status in a key, and what stands behind it."""
    alone = f":{status}"
    if key.endswith(alone):
        return key.removesuffix(alone), ""
    before, _, participant = key.rpartition(f"{alone}:")
    return before, f":{participant}"
