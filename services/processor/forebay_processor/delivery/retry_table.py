"""The rows of RETRY of one destination: stored, tried, deleted, and made dead letters.

What a row's place in its conversation is, and when it may be tried, is the business of
`retry_queue`; here is what happens to one row. A row is never written again: how often it was
tried, and when it is due, are in memory (docs/design/0020).

If the process dies: see docs/design/0020. What is stored and not acked in EVENTS comes again and is
refused by RETRY; what is delivered and not deleted is delivered again by the next owner.
"""

import enum
from collections.abc import Callable
from random import Random
from typing import Final

from forebay.core import envelope
from forebay.core.dead_letters import DeadReason
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import RetrySubject, StreamKind, stream_name
from forebay.core.tables import Retry
from forebay.core.trace_context import trace_id_of
from forebay.runtime.jetstream.errors import ClaimedBefore, StoreError, StoreFull, StoreUnavailable
from forebay_processor.delivery.attempt import Attempts
from forebay_processor.delivery.backoff import backoff_seconds
from forebay_processor.delivery.dead_letters import dead_letter, kept
from forebay_processor.delivery.delivery_traces import record_publish
from forebay_processor.delivery.destination_backlog import MemoryBounds
from forebay_processor.delivery.destination_settings import DestinationState
from forebay_processor.delivery.entry import EntryState, PendingDelivery, RetryEntry
from forebay_processor.delivery.incidents import StoreStep
from forebay_processor.delivery.retry_row_reader import epoch_of
from forebay_processor.delivery.status_order import is_behind_a_higher
from forebay_processor.destinations.port import Delivered, Failed
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["RetryTable", "Stored"]

STORE_PAUSE_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before RETRY is written again after a failure."""

WRITES_AT_ONCE: Final = 5
"""How often a row is written at once that was refused for one which is gone when it is read."""


class Stored(enum.Enum):
    """The outcome of storing a row."""

    NEW = enum.auto()
    KNOWN = enum.auto()
    """It was there: the item came from EVENTS before."""

    NEVER = enum.auto()
    """It is not needed any more: delivered, dead, or of a deleted endpoint."""

    TRIED = enum.auto()
    """RETRY had no room, and it is being tried from memory."""

    LEFT = enum.auto()
    """The partition is given back or lost: EVENTS keeps the item for the next owner."""


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
    ) -> None:
        self.retry = Retry()
        """Pauses between attempts, and when an item is given up."""

        self._endpoint = endpoint
        self._name = name
        self._attempts = attempts
        self._incidents = attempts.incidents
        self.strays = attempts.incidents.strays
        """Notes rows that count for nothing."""

        self._metrics = metrics
        self._random = random
        self._time = time
        self._bounds = bounds

    async def store(
        self, entry: RetryEntry, work: PendingDelivery, on_no_room: Callable[[], None]
    ) -> Stored:
        """Write a row, and again until it is stored: EVENTS keeps the item until then.

        Between two writes it is `UNSTORED`, where RETRY surely does not hold it: then it may be
        tried from memory. Otherwise a full RETRY could wait forever, for what it holds may stand
        behind what it has no room for. What finds no room until EVENTS is about to forget it
        becomes a dead letter.
        """
        pause, longest = STORE_PAUSE_SECONDS
        is_surely_out = True
        outcome = Stored.NEVER
        while self._attempts.settings.state is not DestinationState.DELETED:
            if entry.state is EntryState.FINISHED and is_surely_out:
                break
            try:
                outcome = await self._write(entry, work)
            except StoreError as error:
                # RETRY is full or NATS is away.
                if entry.partition.is_lost:
                    return Stored.LEFT
                self.trouble("park", error)
                if await self._has_expired(entry, work):
                    break
                # Where no answer came the row may be there, and would be delivered once more.
                is_surely_out = is_surely_out and isinstance(error, StoreFull)
                if is_surely_out and entry.state is EntryState.STORING:
                    entry.state = EntryState.UNSTORED
                    on_no_room()
                is_going_on = await entry.partition.pause(pause)
                if entry.state is EntryState.IN_FLIGHT:
                    return Stored.TRIED
                if not is_going_on:
                    return Stored.LEFT
                if entry.state is EntryState.UNSTORED:
                    entry.state = EntryState.STORING
                pause = min(pause * 2, longest)
                continue
            break
        # Only of a row that was stored while the partition was certainly ours does the next owner
        # know: it asks RETRY after our lease. EVENTS may forget the item of no other.
        return outcome if await entry.partition.held() else Stored.LEFT

    async def _write(self, entry: RetryEntry, work: PendingDelivery) -> Stored:
        """Write a row once; raises StoreError.

        Where RETRY holds one of the item already, that may be void: an owner whose partition it was
        not any more stored it. Such a row will be deleted by whoever comes across it, so it does
        not count.
        """
        partition = entry.partition
        stream = stream_name(StreamKind.RETRY, entry.subject.shard)
        headers = self._row_headers(entry, work.headers)
        tracer = self._metrics.tracer
        began = 0.0 if tracer is None else tracer.now()
        for _ in range(WRITES_AT_ONCE):
            try:
                ack = await partition.publish(str(entry.subject), work.payload, headers)
            except ClaimedBefore:
                there = await partition.first_row(stream, str(entry.subject), 0)
                if there is None:
                    continue
                if partition.is_void(epoch_of(there), there.sequence):
                    await partition.delete(stream, there.sequence)
                    continue
                entry.sequence = there.sequence
                return Stored.KNOWN
            entry.sequence = ack.seq
            if tracer is not None:
                record_publish(
                    tracer,
                    StreamKind.RETRY,
                    entry.subject,
                    headers,
                    began,
                    has_failed=entry.attempts > 0,
                )
            return Stored.NEW
        message = "a row of RETRY comes and goes"
        raise StoreUnavailable(message)

    async def _has_expired(self, entry: RetryEntry, work: PendingDelivery) -> bool:
        """Bury what RETRY has no room for, where EVENTS keeps it no longer; say whether it did."""
        if self._time.now() < entry.partition.ages.item_ends(work.stored_at):
            return False
        failure = (DeadReason.EXPIRED, "RETRY has no room")
        try:
            await self.dead_letter(
                entry.partition, entry.subject, work.payload, work.headers, entry.attempts, failure
            )
        except StoreError as error:
            self.trouble("dead_letter", error)
            return False
        return True

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
        if await is_behind_a_higher(entry.partition, entry.subject, payload):
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
        """Write a dead letter; raises StoreError."""
        await dead_letter(partition, subject, payload, headers, attempts, failure, self._metrics)
        self._incidents.dead(*failure, subject.key, trace_id_of(headers))

    def failed(self, entry: RetryEntry, result: Failed) -> float:
        """Note an attempt that failed, and return when to make the next one."""
        due = self.next_try(entry, result)
        blocked = self._time.steady() + self._attempts.blocked_seconds
        self._incidents.failed(result, max(due, blocked))
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

    def _row_headers(self, entry: RetryEntry, headers: dict[str, str]) -> dict[str, str]:
        return {
            **kept(headers),
            envelope.CONVERSATION: entry.subject.conversation,
            envelope.ORDER: str(entry.order),
            envelope.ATTEMPTS: str(entry.attempts),
            envelope.EPOCH: str(entry.partition.epoch),
            envelope.DUE_AT: self._millis(entry.due),
            envelope.FIRST_TRIED_AT: self._millis(entry.since),
        }

    def _millis(self, moment: float) -> str:
        return str(int(self._time.to_streams(moment) * 1000))

    def trouble(self, step: StoreStep, error: StoreError) -> None:
        """Note that the store refuses."""
        self._incidents.store_failed(step, error)
