"""Whether what EVENTS refuses is a repeat: only where the stored item has the same content.

Providers re-use ids in ways that nobody wrote down. So a refused claim is no more than a question:
is the item that holds the claim the same? Its digest says so. What was stored here a moment ago is
remembered, so an ordinary repeat costs nothing more; else the stored message is read.

An item is claimed in all partitions of its lane at once (`event_subjects`): the
partition follows from the person, and the same message can name its person in two ways.

This only reads: if the process dies, the webhook is unacked, comes again, is refused again and is
asked about again. While NATS gives no answer nothing is known, and the item is offered again later:
never a guess.
"""

import enum
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from forebay.core.item import first_key
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.splitting.cutting import Part

__all__ = ["ClaimJudge", "KnownItems", "StoredDigests", "Verdict"]

_log = structlog.get_logger(__name__)

REMEMBERED: Final = 50_000
"""Items: 5 MB. Repeats come within seconds, for the most part."""


class StoredDigests(Protocol):
    """What is known of stored messages: a part of `Partition`."""

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of these messages, of those that are there; raises StoreError."""


class Verdict(enum.Enum):
    """What a refused claim means."""

    REPEAT = enum.auto()
    """The same item is stored."""

    DIFFERENT = enum.auto()
    """Another item is stored under this key."""

    GONE = enum.auto()
    """What was stored is not there any more: the claim is free."""

    UNKNOWN = enum.auto()
    """NATS did not say."""


class KnownItems:
    """Items, with their content, that were stored here or found stored: for the whole process."""

    def __init__(self) -> None:
        # By a hash over subject and digest, with Python's secret for this process: 64 bits of which
        # nobody can aim at a stored one.
        self._known: dict[int, None] = {}

    def add(self, part: Part) -> None:
        """Remember an item; of a variant also that its content came under the key it had first."""
        item = part.item
        self._add(_hash(part, item.key))
        if item.variant:
            self._add(_hash(part, first_key(item.key)))

    def _add(self, known: int) -> None:
        self._known[known] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def __contains__(self, part: Part) -> bool:
        """Say whether this item with this content is remembered."""
        return _hash(part, part.item.key) in self._known


def _hash(part: Part, key: str) -> int:
    return hash((part.webhook.subject.endpoint, part.item.kind, key, part.item.digest))


class ClaimJudge:
    """Judges refused claims of one partition of RAW."""

    def __init__(self, stored: StoredDigests, known: KnownItems) -> None:
        self._stored = stored
        self._known = known

    def remember(self, part: Part) -> None:
        """Take notice that an item is stored."""
        self._known.add(part)

    async def judge(self, refused: Sequence[tuple[Part, int]]) -> list[Verdict]:
        """Say of each item, refused because of a stored message, what that means."""
        unknown = [sequence for part, sequence in refused if part not in self._known]
        digests: dict[int, str] = {}
        is_answered = True
        if unknown:
            stream = stream_name(StreamKind.EVENTS, refused[0][0].webhook.subject.shard)
            try:
                digests = await self._stored.digests(stream, unknown)
            except StoreError as error:
                is_answered = False
                _log.warning("claims_not_read", reason=str(error))
        return [self._verdict(part, digests.get(seq), is_answered) for part, seq in refused]

    def _verdict(self, part: Part, stored: str | None, is_answered: bool) -> Verdict:  # noqa: FBT001
        if part in self._known:
            return Verdict.REPEAT
        if not is_answered:
            return Verdict.UNKNOWN
        if stored is None:
            return Verdict.GONE
        if stored != part.item.digest:
            return Verdict.DIFFERENT
        self._known.add(part)
        return Verdict.REPEAT
