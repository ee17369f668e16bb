"""The rows of RETRY of one destination: tried, deleted, and made dead letters.

What a row's place in its conversation is, and when it may be tried, is the business of
`retry_queue`; how it is stored, of `row_storing`; here is what happens to one row. A row is never
written again: how often it was tried, and when it is due, are in memory (docs/design/0020).

If the process dies: see docs/design/0020. What is delivered and not deleted is delivered again by
the next owner.
"""

from random import Random

from forebay.core import envelope
from forebay.core.dead_letters import DeadReason
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import RetrySubject, StreamKind, stream_name
from forebay.core.tables import Retry
from forebay.core.trace_context import trace_id_of
from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.delivery.attempt import Attempts
from forebay_processor.delivery.backoff import backoff_seconds
from forebay_processor.delivery.dead_letters import dead_letter
from forebay_processor.delivery.destination_backlog import MemoryBounds
from forebay_processor.delivery.destination_settings import DestinationState
from forebay_processor.delivery.entry import EntryState, PendingDelivery, RetryEntry
from forebay_processor.delivery.incidents import DestinationIncidents, StoreStep
from forebay_processor.delivery.shares import BeyondShare, DestinationShare, row_bytes
from forebay_processor.delivery.status_order import is_behind_a_higher
from forebay_processor.destinations.port import Delivered, Failed
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["RetryTable"]

_Outcome = Delivered | Failed | tuple[DeadReason, str] | None
"""Delivered, to be tried again, why it is given up, or None where it is not ours any more."""


class RetryTable:
    """Works single rows of one destination of one endpoint."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        endpoint: EndpointName,
        name: str,
        attempts: Attempts,
        metrics: ProcessorMetrics,
        random: Random,
        time: StreamTime,
        bounds: MemoryBounds,
        share: DestinationShare,
    ) -> None:
        self.retry = Retry()
        """Pauses between attempts, and when an item is given up."""

        self._endpoint = endpoint
        self._name = name
        self._attempts = attempts
        self.incidents: DestinationIncidents = attempts.incidents
        self.share = share
        """What of RETRY and DEAD the destination may have."""

        self.strays = attempts.incidents.strays
        """Notes rows that count for nothing."""

        self._metrics = metrics
        self._random = random
        self._time = time
        self._bounds = bounds

    @property
    def state(self) -> DestinationState:
        """How the destination is."""
        return self._attempts.settings.state

    async def work(self, entry: RetryEntry, give_up: str | None = None) -> bool:
        """Try a row; returns whether it is over: delivered, dead or gone, or not ours any more.

        Args:
            entry: The first of its conversation.
            give_up: What to say in its dead letter, where its age is over and it cannot be tried.

        Raises:
            StoreError: where the store refuses; the row stays as it is.
        """
        state = self._attempts.settings.state
        if entry.state is EntryState.FINISHED or (
            state is DestinationState.DELETED and not entry.subject.is_replay
        ):
            await self._delete(entry)
            return True
        payload, headers = entry.payload, entry.headers
        if payload is None:
            stream = stream_name(StreamKind.RETRY, entry.subject.shard)
            found = await entry.partition.row_at(stream, entry.sequence)
            if found is None:
                # Somebody deleted it by hand: then that is what was wanted.
                return True
            payload, headers = found.payload, found.headers
        if not await entry.partition.held():
            return True
        is_over = await self._attempt(entry, payload, headers, give_up)
        if is_over:
            await self._delete(entry)
        return is_over is not False

    async def work_from_memory(
        self, entry: RetryEntry, work: PendingDelivery, give_up: str | None = None
    ) -> bool:
        """Try an item whose row found no room; returns whether it is over.

        As a first attempt: EVENTS keeps the item until it is over, so if the process dies it comes
        again, and arrives twice only if it was under way.

        Raises:
            StoreError: where DEAD refuses.
        """
        if self._attempts.settings.state is DestinationState.DELETED:
            return True
        if not await entry.partition.held():
            return False
        return bool(await self._attempt(entry, work.payload, work.headers, give_up))

    async def _attempt(
        self, entry: RetryEntry, payload: bytes, headers: dict[str, str], give_up: str | None
    ) -> bool | None:
        """Try an item or give it up; returns whether it is over, None where it is not ours now.

        Raises:
            StoreError: where DEAD refuses.
        """
        outcome, headers = await self._try(entry, payload, headers, give_up)
        match outcome:
            case None:
                return None
            case Delivered():
                return True
            case Failed():
                entry.due = self.failed(entry, outcome)
                return False
            case _:
                await self.dead_letter(
                    entry.partition, entry.subject, payload, headers, entry.attempts, outcome
                )
                return True

    async def _try(
        self, entry: RetryEntry, payload: bytes, headers: dict[str, str], give_up: str | None
    ) -> tuple[_Outcome, dict[str, str]]:
        """Make an attempt, if there is to be one.

        Returns what came of it, and the headers: with the mark of a late status where it became one
        before the attempt.
        """
        gone = {DestinationState.REMOVED, DestinationState.DELETED}
        # What an endpoint that is gone had left is dropped, but not what a person sent again.
        if self._attempts.settings.state in gone:
            return (DeadReason.DESTINATION_REMOVED, ""), headers
        if entry.failure is None and give_up is not None:
            entry.failure = (DeadReason.EXPIRED, give_up)
        if entry.failure is not None:
            return entry.failure, headers
        headers = await self._marked(entry, payload, headers)
        entry.attempts += 1
        result = await self._attempts.make(
            entry.partition, entry.subject, payload, headers, entry.attempts, entry.failed_after
        )
        if isinstance(result, Delivered):
            return result, headers
        if entry.partition.is_lost:
            return None, headers
        if isinstance(result, Failed):
            entry.failed_after = self._attempts.successes
            if self._is_young(entry):
                return result, headers
        reason = DeadReason.EXPIRED if isinstance(result, Failed) else DeadReason.REJECTED
        entry.failure = (reason, result.error)
        return entry.failure, headers

    async def _marked(
        self, entry: RetryEntry, payload: bytes, headers: dict[str, str]
    ) -> dict[str, str]:
        """Return the row's headers, with the mark of a late status where it became one."""
        settings = self._attempts.settings
        if not settings.is_monotonic or (settings.is_ordered and not entry.subject.is_replay):
            # What is in order was marked before it was parked.
            return headers
        others = settings.other_shards
        if await is_behind_a_higher(entry.partition, entry.subject, payload, others):
            return {**headers, envelope.SUPERSEDED: "true"}
        return headers

    def _is_young(self, entry: RetryEntry) -> bool:
        return self._time.steady() - entry.since < self.retry.max_age_seconds

    async def _delete(self, entry: RetryEntry) -> None:
        """Delete a row that is finished; where that fails it is tried again, without delivering.

        The dead letter that a replayed row came from goes first: whoever replayed it may have died
        before he removed it, and it must not be replayed once more when its row is gone.
        """
        entry.state = EntryState.FINISHED
        if entry.letter is not None:
            letter, sequence = entry.letter
            stream = stream_name(StreamKind.DEAD, letter.shard)
            await entry.partition.purge(stream, str(letter), sequence + 1)
        if entry.sequence:
            await self.delete_row(entry.partition, entry.subject.shard, entry.sequence)

    async def delete_row(self, partition: Partition, shard: str, sequence: int) -> None:
        """Delete a row; raises StoreError."""
        await partition.delete(stream_name(StreamKind.RETRY, shard), sequence)
        self._bounds.deleted(shard, sequence)

    def is_deleted(self, shard: str, sequence: int) -> bool:
        """Say whether a row was deleted here a while ago; a replica may still show it."""
        return self._bounds.is_deleted(shard, sequence)

    async def dead_letter(  # all that a dead letter is made of
        self,
        partition: Partition,
        subject: RetrySubject,
        payload: bytes,
        headers: dict[str, str],
        attempts: int,
        failure: tuple[DeadReason, str],
    ) -> None:
        """Write a dead letter; raises StoreError, also where DEAD is kept for others."""
        size = row_bytes(len(payload))
        if not self.share.admits_letter(subject.shard, failure[0], size):
            message = "what is left of DEAD is for destinations that have little"
            raise BeyondShare(message)
        self.share.letter_begins(subject.shard, size)
        await dead_letter(partition, subject, payload, headers, attempts, failure, self._metrics)
        self.share.letter_stored(subject.shard, size)
        self.incidents.dead(*failure, subject.key, trace_id_of(headers))

    def failed(self, entry: RetryEntry, result: Failed) -> float:
        """Note an attempt that failed, and return when to make the next one."""
        due = self.next_try(entry, result)
        blocked = self._time.steady() + self._attempts.blocked_seconds
        self.incidents.failed(result, max(due, blocked))
        self._attempts.due(entry.subject, due)
        return due

    def next_try(self, entry: RetryEntry, result: Failed) -> float:
        """Return when to try again, on the steady clock: the last time is when `maxAge` ends."""
        now = self._time.steady()
        entry.asked = now + result.retry_after
        wait = max(backoff_seconds(self.retry, entry.attempts, self._random), result.retry_after)
        return min(now + wait, max(now, entry.since + self.retry.max_age_seconds))

    def expires_at(self, entry: RetryEntry) -> float:
        """Return when an item's age is over, on the steady clock.

        While nobody may try it, `maxAge` does not count; the shard's window does, for after that
        the store does not know the item any more.
        """
        if self._attempts.settings.state is DestinationState.OPEN:
            return entry.since + self.retry.max_age_seconds
        return entry.partition.ages.item_ends(entry.since)

    def trouble(self, step: StoreStep, error: StoreError) -> None:
        """Note that the store refuses."""
        self.incidents.store_failed(step, error)
