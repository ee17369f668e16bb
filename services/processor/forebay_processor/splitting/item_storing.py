"""Storing what was cut, a wave at a time: in order, each item once, and until it is done.

A wave is some hundred items of one or more webhooks. Within it the items of one conversation are
stored one after the other, each only when the one before is; different conversations go side by
side, so a wave takes as many rounds as its longest conversation has items. What could not be
stored is tried again in place, with all that follows it in its conversation: nothing overtakes.

Why an item waits for the answer to the one before, though JetStream stores what one connection
sends in the order sent: when an item is refused in the middle (no room, a leader that moves), those
behind it may be stored already, and be handed out before it is stored at last (docs/design/0012).

If the process dies, or the connection is lost: before an item is stored, its webhook is unacked and
comes again; after it is stored and before that is known, it comes again too, and its own claim
refuses it, with its own content: a repeat. A variant dies the same way, for its key follows from
its content.
"""

import asyncio
import enum
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ForebayError
from forebay.runtime.jetstream.errors import (
    MessageTooLarge,
    SequenceMismatch,
    StoreError,
)
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_processor.splitting.claims_elsewhere import ClaimsElsewhere
from forebay_processor.splitting.cutting import Part
from forebay_processor.splitting.repeat_check import ClaimJudge, Verdict

__all__ = ["ItemOutcome", "PartitionLost", "Settled", "Storage", "WaveStore"]

_log = structlog.get_logger(__name__)

STALL_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before items that could not be stored are tried again."""


class PartitionLost(ForebayError):  # noqa: N818  # a state, not a failure of the program
    """The partition is somebody else's: what is left of the wave is theirs to store."""


class ItemOutcome(enum.StrEnum):
    """The outcome for an item."""

    NEW = "new"
    VARIANT = "variant"
    REPEAT = "repeat"
    TOO_LARGE = "too_large"


class Settled(NamedTuple):
    """An item that needs nothing more."""

    part: Part
    outcome: ItemOutcome


class Holder(Protocol):
    """Who says whether a partition is ours: a part of `Partition`."""

    async def held(self) -> bool:
        """Wait while that is not known; False where it is somebody else's for good."""


class Storage(Protocol):
    """Where items are stored: a part of `Publisher`."""

    async def publish_all(
        self, messages: Sequence[tuple[str, bytes, Mapping[str, str]]], within: float
    ) -> list[PubAck | StoreError]:
        """Store messages in this order, pipelined, and return the answer to each."""


class WaveStore:
    """Stores waves for one lane of one partition of RAW."""

    def __init__(
        self,
        partition: Holder,
        storage: Storage,
        judge: ClaimJudge,
        elsewhere: ClaimsElsewhere,
        seconds: float,
    ) -> None:
        self._partition = partition
        self._storage = storage
        self._judge = judge
        self._elsewhere = elsewhere
        self._seconds = seconds

    async def check(self) -> None:
        """Go on where the partition is ours, wait while that is not known; else PartitionLost."""
        if not await self._partition.held():
            raise PartitionLost

    async def store(
        self,
        parts: Sequence[Part],
        consumer: str,
        stall_seconds: tuple[float, float] = STALL_SECONDS,
    ) -> list[Settled]:
        """Store all items of a wave; waits in place where it cannot.

        Raises:
            PartitionLost: where the partition is somebody else's meanwhile.
        """
        shortest, longest = stall_seconds
        pause, is_stalled = shortest, False
        settled: list[Settled] = []
        left = list(parts)
        is_sifted = False
        while True:
            before = len(left)
            if not is_sifted:
                left, is_sifted = await self._sift(left, settled)
            if is_sifted:
                left = await self._try(left, settled)
            if not left:
                break
            # EVENTS is full or NATS is away: wait in place, so that nothing overtakes.
            if not is_stalled:
                is_stalled = True
                _log.warning("split_stalled", consumer=consumer, items=len(left))
            pause = shortest if len(left) < before else min(pause * 2, longest)
            await asyncio.sleep(pause)
        if is_stalled:
            _log.info("split_goes_on", consumer=consumer)
        return settled

    async def _sift(self, parts: list[Part], settled: list[Settled]) -> tuple[list[Part], bool]:
        """Settle what another shard has already; says whether NATS answered, else all is left."""
        try:
            left, repeats = await self._elsewhere.sift(parts)
        except StoreError as error:
            _log.warning("claims_not_read", reason=str(error))
            return parts, False
        settled += [Settled(part, ItemOutcome.REPEAT) for part in repeats]
        return left, True

    async def _try(self, parts: Sequence[Part], settled: list[Settled]) -> list[Part]:
        """Store what can be stored, in rounds; return what could not, in its order."""
        chains = _Chains(parts, settled)
        while heads := chains.heads():
            await self.check()
            answers = await self._storage.publish_all(
                [(part.subject, part.payload, part.headers) for part in heads], self._seconds
            )
            refused: list[tuple[Part, int]] = []
            for part, answer in zip(heads, answers, strict=True):
                match answer:
                    case PubAck():
                        self._judge.remember(part)
                        chains.settle(
                            part, ItemOutcome.VARIANT if part.item.variant else ItemOutcome.NEW
                        )
                    case SequenceMismatch():
                        refused.append((part, answer.sequence))
                    case MessageTooLarge():
                        chains.settle(part, ItemOutcome.TOO_LARGE)
                    case StoreError():
                        chains.fail(part)
            if refused:
                await self._ask(chains, refused)
        return chains.failed

    async def _ask(self, chains: "_Chains", refused: Sequence[tuple[Part, int]]) -> None:
        """Find out what the refusals mean, and go on by that."""
        verdicts = await self._judge.judge(refused)
        for (part, _), verdict in zip(refused, verdicts, strict=True):
            match verdict:
                case Verdict.REPEAT:
                    chains.settle(part, ItemOutcome.REPEAT)
                case Verdict.DIFFERENT:
                    chains.replace(part, part.variant())
                case Verdict.GONE:
                    continue  # it is offered again in the next round
                case Verdict.UNKNOWN:
                    chains.fail(part)


class _Chains:
    """The items of a wave by conversation, each in its order."""

    def __init__(self, parts: Sequence[Part], settled: list[Settled]) -> None:
        self._by_conversation: dict[tuple[EndpointName, str], deque[Part]] = {}
        for part in parts:
            self._by_conversation.setdefault(part.chain, deque()).append(part)
        self._settled = settled
        self.failed: list[Part] = []
        """What could not be stored now, with all that follows it."""

    def heads(self) -> list[Part]:
        """Return the first item of each conversation."""
        return [waiting[0] for waiting in self._by_conversation.values()]

    def settle(self, head: Part, outcome: ItemOutcome) -> None:
        """Note the outcome of one of those."""
        self._settled.append(Settled(head, outcome))
        waiting = self._by_conversation[head.chain]
        waiting.popleft()
        if not waiting:
            del self._by_conversation[head.chain]

    def replace(self, head: Part, by: Part) -> None:
        """Have another one stored in its place."""
        self._by_conversation[head.chain][0] = by

    def fail(self, head: Part) -> None:
        """Note that one could not be stored: what follows it waits with it."""
        self.failed += self._by_conversation.pop(head.chain)
