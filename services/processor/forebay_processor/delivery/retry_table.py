"""The rows of RETRY of one channel: stored, tried again, put off, deleted, and dead letters.

What a row's place in its conversation is, and when it may be tried, is the channel's business
(`queue.py`); here is what happens to one row.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import structlog

from forebay.core import envelope
from forebay.core.letters import DeadReason
from forebay.core.naming import EndpointName
from forebay.core.subjects import RetrySubject, StreamKind, stream_name
from forebay.core.tables import Retry
from forebay.runtime.store_errors import StoreError, StoreFull
from forebay_processor.delivery.attempt import Attempts
from forebay_processor.delivery.backoff import backoff_seconds
from forebay_processor.delivery.dead_letters import bury, kept
from forebay_processor.delivery.destination_settings import ChannelState
from forebay_processor.delivery.status_order import is_behind_a_higher
from forebay_processor.delivery.work import Parked, Work
from forebay_processor.destinations.port import Delivered, Failed
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Rows"]

_log = structlog.get_logger(__name__)

EXPECTED_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"
"""The store refuses a row where it holds another version of it: an owner wrote or deleted it since
(docs/design/0005)."""

STORE_PAUSE_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before RETRY is written again after a failure."""


_Outcome = Delivered | Failed | tuple[DeadReason, str] | None
"""Delivered, to be tried again, why it is given up, or None where it is not ours any more."""


class Rows:
    """Works single rows of one destination of one endpoint."""

    def __init__(  # its collaborators, each one thing
        self,
        endpoint: EndpointName,
        name: str,
        attempts: Attempts,
        metrics: ProcessorMetrics,
        random: Random,
        time: StreamTime,
    ) -> None:
        self.retry = Retry()
        """Pauses between attempts, and when an item is given up."""

        self._endpoint = endpoint
        self._name = name
        self._attempts = attempts
        self._metrics = metrics
        self._random = random
        self._time = time
        self._troubles: set[str] = set()
        """What the store refused since it last took something: told once and not for each row."""

    async def store(self, row: Parked, work: Work, on_refused: Callable[[], None]) -> bool:
        """Write a row, and again until it is stored: EVENTS keeps the item until then.

        Between two writes it is `spare`, where RETRY surely does not hold it: then it may be tried
        from memory. Otherwise a full RETRY could wait for ever, for what it holds may stand behind
        what it has no room for. What finds no room until EVENTS is about to forget it becomes a
        dead letter.

        Returns False where it is tried from memory, or the partition is given back or lost.
        """
        pause, longest = STORE_PAUSE_SECONDS
        is_surely_out = True
        while self._attempts.settings.state is not ChannelState.DELETED:
            try:
                headers = self._row_headers(row, work.headers)
                headers[envelope.EPOCH] = str(row.partition.epoch)
                ack = await row.partition.publish(str(row.subject), work.payload, headers)
            except StoreError as error:
                # RETRY is full or NATS is away.
                if row.partition.is_lost:
                    return False
                self.trouble("park_failed", error)
                if await self._has_expired(row, work):
                    row.is_finished = True
                    break
                # Where no answer came the row may be there, and would be delivered once more.
                is_surely_out = is_surely_out and isinstance(error, StoreFull)
                if is_surely_out:
                    row.spare = work
                    on_refused()
                is_going_on = await row.partition.pause(pause)
                if not is_going_on or (is_surely_out and row.spare is None):
                    return False
                row.spare = None
                pause = min(pause * 2, longest)
                continue
            self.no_trouble()
            row.sequence = ack.seq
            break
        # Only of a row that was stored while the partition was certainly ours does the next owner
        # know: it loads RETRY after our lease. EVENTS may forget the item of no other.
        return await row.partition.held()

    async def _has_expired(self, row: Parked, work: Work) -> bool:
        """Bury what RETRY has no room for, where EVENTS keeps it no longer; say whether it did."""
        if self._time.now() < row.partition.ages.item_ends(work.stored_at):
            return False
        verdict = (DeadReason.EXPIRED, "RETRY has no room")
        try:
            await self.bury(
                row.partition, row.subject, work.payload, work.headers, row.attempts, verdict
            )
        except StoreError as error:
            self.trouble("bury_failed", error)
            return False
        return True

    async def work(self, row: Parked, give_up: str | None = None) -> bool:
        """Try a row; returns whether it is over: delivered, dead or gone, or not ours any more.

        Args:
            row: The first of its chain.
            give_up: What to say in its dead letter, where its age is over and it cannot be tried.

        Raises:
            StoreError: where the store refuses; the row stays as it is.
        """
        state = self._attempts.settings.state
        if row.is_finished or (state is ChannelState.DELETED and not row.subject.is_replay):
            await self._delete(row)
            return True
        stream = stream_name(StreamKind.RETRY, row.subject.shard)
        found = await row.partition.read(stream, str(row.subject))
        if found is None:
            # Somebody deleted it by hand: then that is what was wanted.
            return True
        payload, headers, sequence = found
        # A replica that is behind shows an older copy of the row: the payload is the same.
        row.sequence = max(row.sequence, sequence)
        if not await row.partition.held():
            return True
        outcome, headers = await self._try(row, payload, headers, give_up)
        match outcome:
            case None:
                return True
            case Delivered():
                await self._delete(row)
                return True
            case Failed():
                await self._put_off(row, payload, headers, outcome)
                return False
            case _:
                await self.bury(row.partition, row.subject, payload, headers, row.attempts, outcome)
                await self._delete(row)
                return True

    async def work_spare(self, row: Parked, work: Work, give_up: str | None = None) -> bool:
        """Try an item from memory whose row found no room; returns whether it is over.

        As a first attempt: EVENTS keeps the item until it is over, so if the process dies it comes
        again, and arrives twice only if it was under way.

        Raises:
            StoreError: where DEAD refuses.
        """
        if self._attempts.settings.state is ChannelState.DELETED:
            return True
        if not await row.partition.held():
            return False
        outcome, headers = await self._try(row, work.payload, work.headers, give_up)
        match outcome:
            case None:
                return False
            case Delivered():
                return True
            case Failed():
                row.due = self.next_try(row, outcome)
                return False
            case _:
                await self.bury(
                    row.partition, row.subject, work.payload, headers, row.attempts, outcome
                )
                return True

    async def _try(
        self, row: Parked, payload: bytes, headers: dict[str, str], give_up: str | None
    ) -> tuple[_Outcome, dict[str, str]]:
        """Make an attempt, if there is to be one.

        Returns what came of it, and the headers: with the mark of a late status where it became one
        before the attempt.
        """
        # What an endpoint that is gone had left is dropped, but not what a person sent again.
        if self._attempts.settings.state in {ChannelState.REMOVED, ChannelState.DELETED}:
            return (DeadReason.DESTINATION_REMOVED, ""), headers
        if row.verdict is None and give_up is not None:
            row.verdict = (DeadReason.EXPIRED, give_up)
        if row.verdict is not None:
            return row.verdict, headers
        headers = await self._marked(row, payload, headers)
        row.attempts += 1
        result = await self._attempts.make(row.subject, payload, headers, row.attempts)
        if isinstance(result, Delivered):
            return result, headers
        if row.partition.is_lost:
            return None, headers
        if isinstance(result, Failed) and self._is_young(row):
            return result, headers
        reason = DeadReason.EXPIRED if isinstance(result, Failed) else DeadReason.REJECTED
        row.verdict = (reason, result.error)
        return row.verdict, headers

    async def _marked(self, row: Parked, payload: bytes, headers: dict[str, str]) -> dict[str, str]:
        """Return the row's headers, with the mark of a late status where it became one."""
        settings = self._attempts.settings
        if not settings.is_monotonic or (settings.is_ordered and not row.subject.is_replay):
            # What is in order was marked before it was parked.
            return headers
        if await is_behind_a_higher(row.partition, row.subject, payload):
            return {**headers, envelope.SUPERSEDED: "true"}
        return headers

    def _is_young(self, row: Parked) -> bool:
        return self._time.steady() - row.since < self.retry.max_age_seconds

    async def _put_off(
        self, row: Parked, payload: bytes, headers: dict[str, str], result: Failed
    ) -> None:
        """Write down that a row was tried, and when it is tried again."""
        row.due = self.next_try(row, result)
        # Where this fails the row keeps its older count: no more than an early attempt.
        told = self._row_headers(row, headers)
        told[EXPECTED_SEQUENCE] = str(row.sequence)
        ack = await row.partition.publish(str(row.subject), payload, told)
        row.sequence = ack.seq

    async def _delete(self, row: Parked) -> None:
        """Delete a row that is finished; where that fails it is tried again, without delivering.

        The dead letter that a replayed row came from goes first: whoever replayed it may have died
        before he removed it, and it must not be replayed once more when its row is gone.
        """
        row.is_finished = True
        if row.letter is not None:
            letter, sequence = row.letter
            stream = stream_name(StreamKind.DEAD, letter.shard)
            await row.partition.purge(stream, str(letter), sequence + 1)
        if row.sequence:
            stream = stream_name(StreamKind.RETRY, row.subject.shard)
            await row.partition.delete(stream, row.sequence)

    async def bury(  # all that a dead letter is made of
        self,
        partition: Partition,
        subject: RetrySubject,
        payload: bytes,
        headers: dict[str, str],
        attempts: int,
        verdict: tuple[DeadReason, str],
    ) -> None:
        """Write a dead letter; raises StoreError."""
        await bury(partition, subject, payload, headers, attempts, verdict, self._metrics)

    def next_try(self, row: Parked, result: Failed) -> float:
        """Return when to try again, on the steady clock: the last time is when `maxAge` ends."""
        now = self._time.steady()
        row.asked = now + result.retry_after
        wait = max(backoff_seconds(self.retry, row.attempts, self._random), result.retry_after)
        return min(now + wait, max(now, row.since + self.retry.max_age_seconds))

    def expires_at(self, row: Parked) -> float:
        """Return when an item's age is over, on the steady clock.

        While nobody may try it, `maxAge` does not count; the shard's window does, for after that
        the store does not know the item any more.
        """
        if self._attempts.settings.state is ChannelState.OPEN:
            return row.since + self.retry.max_age_seconds
        return row.partition.ages.item_ends(row.since)

    def _row_headers(self, row: Parked, headers: dict[str, str]) -> dict[str, str]:
        return {
            **kept(headers),
            envelope.CONVERSATION: row.subject.conversation,
            envelope.ORDER: str(row.order),
            envelope.ATTEMPTS: str(row.attempts),
            envelope.DUE_AT: self._millis(row.due),
            envelope.FIRST_TRIED_AT: self._millis(row.since),
        }

    def _millis(self, moment: float) -> str:
        return str(int(self._time.to_streams(moment) * 1000))

    def trouble(self, event: str, error: StoreError) -> None:
        """Say that the store refuses, once until it takes something again."""
        if event not in self._troubles:
            self._troubles.add(event)
            _log.warning(
                event, endpoint=str(self._endpoint), destination=self._name, reason=str(error)
            )

    def no_trouble(self) -> None:
        """Note that the store took something."""
        self._troubles.clear()
