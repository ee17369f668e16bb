"""Which statuses come late: after a higher one of the same message (docs/design/0008).

A higher status that came before is a claim in EVENTS with a lower sequence, in this partition or in
another one, where it names the person in another way. So the answer follows
from EVENTS alone: it is the same at every attempt, at every destination and for every owner of the
partition, and nothing is kept here that a restart could lose. All that is asked of a batch is asked
at once.

Of an endpoint that was moved, a higher status may be claimed in the shard where it was before: what
is there came before all that is here.

What is outside the order of its conversation, since it was replayed or the endpoint gave order up,
is late where a higher status is claimed at all: that one may have arrived already.

This only reads: if the process dies, the next one asks again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from forebay.core.envelope import decode_item
from forebay.core.errors import ForebayError
from forebay.core.status_ranks import STATUS_KIND, higher_claims
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RetrySubject,
    StreamKind,
    in_any_partition,
    stream_name,
)
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay_processor.shared.endpoints import Endpoints

__all__ = ["Claims", "StatusQuery", "is_behind_a_higher", "status_query", "superseded"]

AT_ONCE: Final = 120
"""Statuses in one request: at most 961 subjects, of the 1,024 that the server takes."""

_OF_STATUS: Final = f".{STATUS_KIND}."
"""In the subject of every status, and of few other items."""

PAUSE_SECONDS: Final = 0.25
"""Before NATS is asked again."""

REPLICA_TRIES: Final = 20
"""How often a replica that does not have the newest of the statuses is asked again. After that it
is taken for what is true: somebody removed it from EVENTS."""


class Claims(Protocol):
    """What is claimed in EVENTS: a part of `Partition`."""

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the sequences of those of these items that are claimed; raises StoreError."""


class StatusQuery(NamedTuple):
    """One status, and where higher ones of its message would be."""

    sequence: int
    own: str
    higher: list[str]
    is_ordered: bool
    other_shards: tuple[str, ...] = ()


def status_query(message: PulledMessage, endpoints: Endpoints) -> StatusQuery | None:
    """Return what to ask about a message of EVENTS; None where nothing is to be asked."""
    if _OF_STATUS not in message.subject:
        return None
    try:
        subject = EventSubject.parse(message.subject)
        endpoint = endpoints.find(subject.endpoint)
        if endpoint is not None and endpoint.status_order != "Monotonic":
            return None
        higher = higher_claims(subject, decode_item(message.data))
    except (ForebayError, ValueError):
        # Whoever delivers it says what is wrong with it.
        return None
    if not higher:
        return None
    # A table can bring the endpoint before the item is handed out.
    is_ordered = endpoint is None or endpoint.ordering == "Conversation"
    others = endpoints.other_shards(subject.endpoint)
    return StatusQuery(message.sequence, message.subject, higher, is_ordered, others)


async def superseded(
    claims: Claims, queries: Sequence[StatusQuery], pause: float = PAUSE_SECONDS
) -> set[int]:
    """Return the sequences of those that come late; waits while NATS does not answer.

    Args:
        claims: Those in the stream of all of them.
        queries: One for each status.
        pause: Seconds before NATS is asked again.
    """
    late: set[int] = set()
    for start in range(0, len(queries), AT_ONCE):
        some = queries[start : start + AT_ONCE]
        tries = 0
        while True:
            try:
                found = await _ask(claims, some)
                elsewhere = await _ask_elsewhere(claims, some)
            except StoreError:
                await asyncio.sleep(pause)
                continue
            tries += 1
            # Any replica answers. One that does not have the newest may not have others, either.
            if max(some).own in found or tries == REPLICA_TRIES:
                break
            await asyncio.sleep(pause)
        claimed = _anywhere(found)
        late.update(
            each.sequence for each in some if each.sequence in elsewhere or _is_late(each, claimed)
        )
    return late


async def is_behind_a_higher(
    claims: Claims, row: RetrySubject, payload: bytes, other_shards: Sequence[str] = ()
) -> bool:
    """Say whether a higher status is claimed than one that is outside the order.

    Args:
        claims: What is claimed.
        row: Where the status waits.
        payload: The status.
        other_shards: Where else its endpoint may have claims.

    Raises:
        StoreError: where NATS does not answer.
    """
    subject = EventSubject(
        row.shard, row.partition, Lane.STATUS, row.endpoint, STATUS_KIND, row.key
    )
    try:
        # Of another kind it has no key of a status.
        higher = higher_claims(subject, decode_item(payload))
    except ForebayError:
        return False
    if not higher:
        return False
    if await claims.claims(_events(row.shard), higher):
        return True
    for shard in other_shards:
        if await claims.claims(_events(shard), _in_shard(shard, higher)):
            return True
    return False


async def _ask_elsewhere(claims: Claims, queries: Sequence[StatusQuery]) -> set[int]:
    """Return the sequences of those of which a higher one is claimed in another shard."""
    late: set[int] = set()
    for shard in dict.fromkeys(shard for each in queries for shard in each.other_shards):
        asked = {
            each.sequence: _in_shard(shard, each.higher)
            for each in queries
            if shard in each.other_shards
        }
        subjects = [subject for higher in asked.values() for subject in higher]
        found = map(in_any_partition, await claims.claims(_events(shard), subjects))
        claimed = frozenset(found)
        late.update(sequence for sequence, higher in asked.items() if claimed & set(higher))
    return late


def _in_shard(shard: str, claims: Sequence[str]) -> list[str]:
    """Return the same claims in another shard, in whichever partition, each once."""
    found = (claim.split(".", 4) for claim in claims)
    return list(dict.fromkeys(f"{top}.{kind}.{shard}.*.{rest}" for top, kind, _, _, rest in found))


async def _ask(claims: Claims, queries: Sequence[StatusQuery]) -> dict[str, int]:
    subjects = [subject for each in queries for subject in each.higher]
    newest = max(queries).own
    stream = _events(EventSubject.parse(newest).shard)
    return await claims.claims(stream, [*subjects, newest])


def _anywhere(found: dict[str, int]) -> dict[str, int]:
    """Return the first sequence of each item, whichever partition it is in."""
    claimed: dict[str, int] = {}
    for subject, sequence in found.items():
        name = in_any_partition(subject)
        claimed[name] = min(sequence, claimed.get(name, sequence))
    return claimed


def _is_late(status: StatusQuery, claimed: dict[str, int]) -> bool:
    names = map(in_any_partition, status.higher)
    higher = [claimed[name] for name in names if name in claimed]
    return any(sequence < status.sequence or not status.is_ordered for sequence in higher)


def _events(shard: str) -> str:
    return stream_name(StreamKind.EVENTS, shard)
