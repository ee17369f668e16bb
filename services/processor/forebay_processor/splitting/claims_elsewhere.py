"""Claims in other streams: an endpoint that was moved is known there too (docs/design/0042).

EVENTS refuses what is stored in it, and knows nothing of the shard in which the endpoint was. A
provider repeats for days, so before a wave is stored it is asked there what is claimed: one request
for each shard, and one more where something is. The same content is a repeat, other content is a
variant, as within one stream. Nothing new is split there meanwhile, so what was not claimed when it
was asked is not claimed later.

This only reads: if the process dies, the webhook comes again and is asked about again. While NATS
gives no answer the wave waits: never a guess.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind, in_any_partition, stream_name
from forebay_processor.splitting.cutting import Part

__all__ = ["ClaimsElsewhere", "StoredClaims"]


class StoredClaims(Protocol):
    """What is known of other streams: a part of `Partition`."""

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the sequences of the messages that these subjects have; raises StoreError."""

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of these messages, of those that are there; raises StoreError."""


class ClaimsElsewhere:
    """Finds what another shard has already."""

    def __init__(
        self, stored: StoredClaims, shards_of: Callable[[EndpointName], Sequence[str]]
    ) -> None:
        """Prepare.

        Args:
            stored: Where claims are.
            shards_of: Returns the other shards that an endpoint has something in.
        """
        self._stored = stored
        self._shards_of = shards_of

    async def sift(self, parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
        """Return the parts that are still to be stored, in their order, and those that are repeats.

        One whose key has other content elsewhere is replaced by its variant.

        Raises:
            StoreError: where NATS does not answer.
        """
        by_shard: dict[str, list[int]] = {}
        for number, part in enumerate(parts):
            for shard in self._shards_of(part.webhook.subject.endpoint):
                by_shard.setdefault(shard, []).append(number)
        if not by_shard:
            return list(parts), []
        left = dict(enumerate(parts))
        repeats: list[Part] = []
        for shard, numbers in by_shard.items():
            asked = [number for number in numbers if number in left]
            while asked:
                found = await self._digests(shard, (left[number] for number in asked))
                again: list[int] = []
                for number in asked:
                    part = left[number]
                    digest = found.get(_claim_of(part, shard))
                    if digest is None:
                        continue
                    if digest == part.item.digest or part.item.variant:
                        # The key of a variant follows from its content.
                        repeats.append(left.pop(number))
                    else:
                        left[number] = part.variant()
                        again.append(number)
                asked = again
        return [left[number] for number in sorted(left)], repeats

    async def _digests(self, shard: str, parts: Iterable[Part]) -> dict[str, str]:
        """Return the digests of what is claimed in a shard, by claim."""
        stream = stream_name(StreamKind.EVENTS, shard)
        claims = await self._stored.claims(stream, [_claim_of(part, shard) for part in parts])
        if not claims:
            return {}
        digests = await self._stored.digests(stream, list(claims.values()))
        return {
            in_any_partition(subject): digests[sequence]
            for subject, sequence in claims.items()
            # What went between the two questions is claimed no more.
            if sequence in digests
        }


def _claim_of(part: Part, shard: str) -> str:
    """Return the subject under which an item is claimed in a shard, in whichever partition."""
    stream, kind, _, _, rest = part.subject.split(".", 4)
    return f"{stream}.{kind}.{shard}.*.{rest}"
