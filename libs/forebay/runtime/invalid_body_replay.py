"""Bodies that were set aside: found in RAW, split again, or removed. For `forebay dead --invalid`.

Each says why (`InvalidReason`); a body that a receiver could not read says nothing.

They are in the lane `invalid` of RAW until their age there ends. A replay stores the body once more
as it came, with its headers, for a processor to split it; then it removes the older copy. For each
body, one line after the other; what if the process dies there:

1. Is the body still in RAW? If not: nothing to do.
2. Store it anew. Dies: it is there twice, and is split twice; the claims of EVENTS, which hold for
   longer than RAW keeps it, let each item through once.
3. Remove the older copy, by its sequence. Dies: nothing is left to do.

What still cannot be read is in the list again, as a newer copy.
"""

import hashlib
from typing import Final

from typing_extensions import override

from forebay.core import envelope
from forebay.core.dead_letters import DeadLetter, DeadLetterFilter
from forebay.core.subjects import (
    DeadSubject,
    Lane,
    RawSubject,
    StreamKind,
    endpoint_partition,
    stream_name,
)
from forebay.runtime.dead_letter_store import DeadLetterOutcome, DeadLetterStore
from forebay.runtime.jetstream.api import SUBJECT, StoredMessage, get_direct
from forebay.runtime.jetstream.command_requests import SILENCE

__all__ = ["INVALID", "InvalidBodies"]

INVALID: Final = "Invalid"
"""Stands for the reason where none is given: a receiver could not read the body."""

_EVERY: Final = "-"
"""Stands for the destination: a body has none yet."""


class InvalidBodies(DeadLetterStore):
    """The bodies that were set aside, of some shards, over one connection."""

    kind = StreamKind.RAW

    max_items: int | None = None
    """How many items a body may hold that is replayed, in place of the processor's limits."""

    @override
    def subjects(self, shard: str, wanted: DeadLetterFilter) -> str:
        namespace, name = wanted.endpoint or ("*", "*")
        return f"forebay.raw.{shard}.*.{Lane.INVALID}.{namespace}.{name}"

    @override
    def letter(self, stored: StoredMessage) -> DeadLetter:
        subject = RawSubject.parse(stored.subject)
        key = hashlib.sha256(stored.payload).hexdigest()[:32]
        return DeadLetter(
            subject=DeadSubject(subject.shard, subject.endpoint, _EVERY, key),
            sequence=stored.sequence,
            died_at=stored.stored_at,
            headers={envelope.REASON: INVALID, **stored.headers},
            payload=stored.payload,
            item=None,
        )

    @override
    async def replay(self, letter: DeadLetter, destination: str | None = None) -> DeadLetterOutcome:
        del destination  # a body is split for all of its endpoint's
        shard, endpoint = letter.subject.shard, letter.subject.endpoint
        partition = endpoint_partition(endpoint, shard)
        subject = str(RawSubject(shard, partition, Lane.INVALID, endpoint))
        stream = stream_name(self.kind, shard)
        there = await get_direct(self.client, stream, letter.sequence, silence=SILENCE)
        if (there.headers or {}).get(SUBJECT) != subject:
            return DeadLetterOutcome.GONE
        headers = {name: text for name, text in letter.headers.items() if name != envelope.REASON}
        if self.max_items is not None:
            headers[envelope.MAX_ITEMS] = str(self.max_items)
        # Another id than the first store had, or it would count as a repeat.
        headers[envelope.MESSAGE_ID] = f"invalid-again-{letter.sequence}"
        await self.store(subject, letter.payload, headers)
        await self.delete(letter)
        return DeadLetterOutcome.REPLAYED
