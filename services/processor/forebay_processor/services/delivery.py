"""Delivery to one destination: first attempts, what waits in RETRY, order, dead letters.

One `Channel` stands for one destination of one endpoint. Its items are ordered by conversation and
lane (`Chain`); of each chain one attempt is under way at a time, unless the endpoint's ordering is
`None`: then every item is a chain of its own.

The first attempt never waits for long. An item that comes while an earlier one of its chain is
under way is held in memory for a moment; it is parked in RETRY when that attempt takes longer or
fails, when no place is free, when the endpoint is paused, or behind what is parked already.

What happens if the process dies, for each item and destination:

- before the attempt: its EVENTS message is unacked, it is delivered after the restart;
- during the attempt: the same; it may arrive twice, with the same `webhook-id`;
- after the attempt, before EVENTS is acked: the same;
- parked, before EVENTS is acked: it comes again and is found in RETRY; it is parked once;
- during or after an attempt from RETRY, before its row is deleted: it is delivered again;
- given up: the dead letter is stored first, then the row is deleted; it may be stored twice, as the
  same message of the same subject.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Final, Protocol

import structlog

from forebay.core import envelope
from forebay.core.envelope import decode_item
from forebay.core.errors import ForebayError
from forebay.core.naming import EndpointName
from forebay.core.subjects import RetrySubject, StreamKind, dead_subject, stream_name
from forebay.core.tables import Destination
from forebay.runtime.publisher import PubAck
from forebay.runtime.store_errors import StoreError
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    DestinationPort,
    Failed,
    Rejected,
    Result,
)
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.backoff import backoff_seconds
from forebay_processor.services.slots import Slots

__all__ = ["Channel", "DeadReason", "Parked", "Table", "Work"]

_log = structlog.get_logger(__name__)

HOLD_SECONDS: Final = 0.25
"""How long an item is held in memory behind an earlier one of its chain before it is parked:
a healthy destination answers within it, and parking costs two writes."""

HOLD_ITEMS: Final = 32
"""How many items are held so in one chain."""

STORE_PAUSE_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before RETRY or DEAD are written again after a failure."""


class DeadReason:
    """Why items are given up; the values stand in dead letters and metrics."""

    REJECTED = "Rejected"
    """The destination said that it will never take the item."""

    EXPIRED = "Expired"
    """It was tried until `maxAge`."""

    DESTINATION_REMOVED = "DestinationRemoved"
    """The manifest does not name the destination any more."""


class Table(Protocol):
    """What a channel needs from the store: RETRY as a table, and DEAD."""

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row or a dead letter; raises StoreError."""

    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Read a row; raises StoreError."""

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a row; raises StoreError."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; it never raises."""


class Work:
    """One item on its first way to one destination."""

    __slots__ = ("after_ack", "done", "headers", "order", "payload", "subject")

    def __init__(
        self, subject: RetrySubject, order: int, payload: bytes, headers: dict[str, str]
    ) -> None:
        self.subject = subject
        """Its row in RETRY, if it comes to that."""

        self.order = order
        self.payload = payload
        self.headers = headers
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Set when it is delivered, dead or parked: EVENTS may forget it."""

        self.after_ack: Callable[[], None] | None = None
        """To be called when EVENTS was told: what is parked may be tried from then on, or an item
        could be delivered from RETRY and once more when its EVENTS message comes again."""


class Parked:
    """One row of RETRY, without its payload."""

    __slots__ = (
        "attempts",
        "due",
        "first_tried",
        "is_finished",
        "is_ready",
        "order",
        "sequence",
        "subject",
    )

    def __init__(self, subject: RetrySubject, order: int, first_tried: float) -> None:
        self.subject = subject
        self.order = order
        """The item's sequence in EVENTS: the order of its chain."""

        self.first_tried = first_tried
        """Seconds since the epoch; `maxAge` counts from it."""

        self.attempts = 0
        self.due = first_tried
        """When to try, seconds since the epoch."""

        self.sequence = 0
        """Of the row in RETRY; 0 while it is being stored."""

        self.is_ready = False
        """Whether it may be tried: stored, and EVENTS acked."""

        self.is_finished = False
        """Whether it is delivered or dead, and only its row is left to be deleted."""


class _Chain:
    """What is under way and what waits of one conversation in one lane."""

    __slots__ = ("began", "held", "is_busy", "is_queued", "parked", "timer")

    def __init__(self) -> None:
        self.is_busy = False
        self.began = 0.0
        self.held: deque[Work] = deque()
        self.parked: list[Parked] = []
        """Sorted by order; the first is the next."""

        self.is_queued = False
        """Whether it waits for a slot."""

        self.timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        return not (self.is_busy or self.held or self.parked)


class Channel:
    """One destination of one endpoint."""

    def __init__(
        self,
        endpoint: EndpointName,
        name: str,
        table: Table,
        metrics: ProcessorMetrics,
        random: Random,
    ) -> None:
        self.endpoint = endpoint
        self.name = name
        self._table = table
        self._metrics = metrics
        self._random = random
        self._port: DestinationPort | None = None
        self._config = Destination(name=name)
        self._own_channel: str | None = None
        self._is_ordered = True
        self._is_paused = False
        self._is_removed = False
        self._slots = Slots(0)
        self._chains: dict[str, _Chain] = {}
        self._parked = 0

    @property
    def parked(self) -> int:
        """How many items wait in RETRY."""
        return self._parked

    def configure(
        self,
        config: Destination | None,
        port: DestinationPort | None,
        *,
        own_channel: str | None,
        is_ordered: bool,
        is_paused: bool,
    ) -> None:
        """Take new settings; without a port, the destination was removed."""
        self._port = port
        self._is_removed = config is None
        self._own_channel = own_channel
        self._is_ordered = is_ordered
        self._is_paused = is_paused
        if config is not None:
            self._config = config
            self._slots.resize(config.http.max_in_flight if config.http else 1024)
        for chain_key in list(self._chains):
            self._wake(chain_key)

    # -- first attempts

    def offer(self, work: Work) -> None:
        """Take an item that comes for the first time; its `done` tells when EVENTS may forget."""
        key = self._chain_key(work.subject)
        chain = self._chains.setdefault(key, _Chain())
        if any(row.subject.key == work.subject.key for row in chain.parked):
            # It comes again because its ack was lost: it is parked already.
            work.done.set_result(None)
            return
        if chain.parked or self._is_paused or self._port is None:
            self._park(key, chain, work)
        elif chain.is_busy:
            self._hold(key, chain, work)
        elif self._slots.try_take():
            chain.is_busy = True
            chain.began = asyncio.get_running_loop().time()
            self._table.spawn(self._work(key, chain, work))
        else:
            self._park(key, chain, work)

    def _hold(self, key: str, chain: _Chain, work: Work) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - chain.began >= HOLD_SECONDS or len(chain.held) >= HOLD_ITEMS:
            self._park_held(key, chain)
            self._park(key, chain, work)
            return
        chain.held.append(work)
        if chain.timer is None:
            chain.timer = loop.call_at(chain.began + HOLD_SECONDS, self._park_held, key, chain)

    def _park_held(self, key: str, chain: _Chain) -> None:
        if chain.timer is not None:
            chain.timer.cancel()
            chain.timer = None
        while chain.held:
            self._park(key, chain, chain.held.popleft())

    async def _work(self, key: str, chain: _Chain, work: Work) -> None:
        """Try an item, and then those that were held behind it. Holds one slot."""
        try:
            while True:
                chain.began = asyncio.get_running_loop().time()
                result = await self._attempt(work.subject, work.payload, work.headers, 1)
                if isinstance(result, Delivered):
                    work.done.set_result(None)
                elif isinstance(result, Rejected):
                    await self._bury(
                        work.subject,
                        work.payload,
                        work.headers,
                        1,
                        DeadReason.REJECTED,
                        result.error,
                    )
                    work.done.set_result(None)
                else:
                    self._park(key, chain, work, after=result)
                    self._park_held(key, chain)
                    return
                if not chain.held:
                    return
                work = chain.held.popleft()
        finally:
            if chain.timer is not None and not chain.held:
                chain.timer.cancel()
                chain.timer = None
            chain.is_busy = False
            self._slots.give_back()
            self._wake(key)

    # -- waiting

    def _park(self, key: str, chain: _Chain, work: Work, after: Failed | None = None) -> Parked:
        """Put an item into RETRY: at once into its chain, so that nothing overtakes it."""
        now = time.time()
        row = Parked(work.subject, work.order, now)
        if after is not None:
            row.attempts = 1
            row.due = now + self._delay(1, after)
        self._insert(chain, row)
        self._metrics.parked(self.endpoint, self.name)
        self._table.spawn(self._store_row(key, row, work))
        return row

    async def _store_row(self, key: str, row: Parked, work: Work) -> None:
        pause, longest = STORE_PAUSE_SECONDS
        while True:
            try:
                ack = await self._table.publish(
                    str(row.subject), work.payload, self._row_headers(row, work.headers)
                )
            except StoreError as error:
                # RETRY is full or NATS is away: EVENTS keeps the item until this succeeds.
                _log.warning("park_failed", endpoint=str(self.endpoint), reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
                continue
            break
        row.sequence = ack.seq
        work.after_ack = lambda: self._release(key, row)
        work.done.set_result(None)

    def _release(self, key: str, row: Parked) -> None:
        row.is_ready = True
        self._wake(key)

    def restore(self, row: Parked) -> None:
        """Take a row that was found in RETRY at the start."""
        key = self._chain_key(row.subject)
        row.is_ready = True
        self._insert(self._chains.setdefault(key, _Chain()), row)

    def start(self) -> None:
        """Begin with what was restored."""
        for key in list(self._chains):
            self._wake(key)

    def _insert(self, chain: _Chain, row: Parked) -> None:
        position = len(chain.parked)
        while position and chain.parked[position - 1].order > row.order:
            position -= 1
        chain.parked.insert(position, row)
        self._count(1)

    def _wake(self, key: str) -> None:
        """See whether the first row of a chain can be tried, now or later."""
        chain = self._chains.get(key)
        if chain is None or chain.is_busy:
            return
        if chain.is_idle:
            del self._chains[key]
            return
        if chain.held:
            # Left behind by an attempt that failed in an unforeseen way.
            self._park_held(key, chain)
        row = chain.parked[0]
        if not row.is_ready:
            return
        if self._is_paused and not self._is_removed:
            return
        wait = 0.0 if self._is_removed else row.due - time.time()
        if wait > 0:
            if chain.timer is not None:
                chain.timer.cancel()
            chain.timer = asyncio.get_running_loop().call_later(wait, self._timer_ended, key)
        elif self._slots.try_take():
            chain.is_busy = True
            self._table.spawn(self._work_row(key, chain, row))
        elif not chain.is_queued:
            chain.is_queued = True
            self._slots.call_when_free(lambda: self._slot_free(key))

    def _slot_free(self, key: str) -> None:
        chain = self._chains.get(key)
        if chain is not None:
            chain.is_queued = False
            self._wake(key)

    def _timer_ended(self, key: str) -> None:
        chain = self._chains.get(key)
        if chain is not None:
            chain.timer = None
            self._wake(key)

    async def _work_row(self, key: str, chain: _Chain, row: Parked) -> None:
        """Try the first row of a chain. Holds one slot."""
        try:
            await self._try_row(chain, row)
        except StoreError as error:
            _log.warning("retry_row_failed", endpoint=str(self.endpoint), reason=str(error))
            row.due = time.time() + STORE_PAUSE_SECONDS[1]
        finally:
            chain.is_busy = False
            self._slots.give_back()
            self._wake(key)

    async def _try_row(self, chain: _Chain, row: Parked) -> None:
        stream = stream_name(StreamKind.RETRY, row.subject.shard)
        if row.is_finished:
            await self._delete(chain, row)
            return
        found = await self._table.read(stream, str(row.subject))
        if found is None:
            # Somebody deleted it by hand: then that is what was wanted.
            self._forget(chain, row)
            return
        payload, headers, row.sequence = found
        if self._is_removed:
            await self._give_up(chain, row, payload, headers, DeadReason.DESTINATION_REMOVED, "")
            return
        row.attempts += 1
        result = await self._attempt(row.subject, payload, headers, row.attempts)
        if isinstance(result, Delivered):
            await self._delete(chain, row)
        elif isinstance(result, Rejected):
            await self._give_up(chain, row, payload, headers, DeadReason.REJECTED, result.error)
        elif time.time() - row.first_tried >= self._config.retry.max_age_seconds:
            await self._give_up(chain, row, payload, headers, DeadReason.EXPIRED, result.error)
        else:
            row.due = time.time() + self._delay(row.attempts, result)
            # Where this fails the row keeps its older count: no more than an early attempt.
            ack = await self._table.publish(
                str(row.subject), payload, self._row_headers(row, headers)
            )
            row.sequence = ack.seq

    async def _give_up(
        self,
        chain: _Chain,
        row: Parked,
        payload: bytes,
        headers: dict[str, str],
        reason: str,
        error: str,
    ) -> None:
        await self._bury(row.subject, payload, headers, row.attempts, reason, error)
        await self._delete(chain, row)

    async def _delete(self, chain: _Chain, row: Parked) -> None:
        """Delete a row that is finished; where that fails it is tried again, without delivering."""
        row.is_finished = True
        await self._table.delete(stream_name(StreamKind.RETRY, row.subject.shard), row.sequence)
        self._forget(chain, row)

    async def _bury(  # what a dead letter tells
        self,
        subject: RetrySubject,
        payload: bytes,
        headers: dict[str, str],
        attempts: int,
        reason: str,
        error: str,
    ) -> None:
        """Write a dead letter; goes on until it is stored."""
        letter = dead_subject(subject.shard, self.endpoint, self.name, subject.key)
        told = {
            **_kept(headers),
            envelope.CONVERSATION: subject.conversation,
            envelope.ATTEMPTS: str(attempts),
            envelope.REASON: reason,
            envelope.ERROR: error,
        }
        pause, longest = STORE_PAUSE_SECONDS
        while True:
            try:
                await self._table.publish(letter, payload, told)
            except StoreError as failure:
                _log.warning("bury_failed", endpoint=str(self.endpoint), reason=str(failure))
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
                continue
            self._metrics.dead(self.endpoint, self.name, reason)
            _log.warning(
                "dead_letter",
                endpoint=str(self.endpoint),
                destination=self.name,
                key=subject.key,
                reason=reason,
                error=error,
            )
            return

    # -- common

    async def _attempt(
        self, subject: RetrySubject, payload: bytes, headers: dict[str, str], number: int
    ) -> Result:
        port = self._port
        if port is None:
            return Failed("destination removed")
        try:
            item = decode_item(payload)
        except ForebayError:
            return Rejected("unreadable item")
        received_at = int(headers.get(envelope.RECEIVED_AT, "0")) / 1000
        attempt = Attempt(
            endpoint=self.endpoint,
            destination=self.name,
            lane=subject.lane,
            token=subject.key,
            conversation=subject.conversation,
            item=item,
            number=number,
            received_at=received_at,
            traceparent=headers.get(envelope.TRACEPARENT, ""),
            other_channel=bool(
                self._own_channel and item.channel and item.channel != self._own_channel
            ),
        )
        began = time.perf_counter()
        result = await port.deliver(attempt)
        seconds = time.perf_counter() - began
        self._metrics.attempt(self.endpoint, self.name, type(result).__name__.lower(), seconds)
        if isinstance(result, Delivered):
            self._metrics.delivered(self.endpoint, self.name, time.time() - received_at)
        return result

    def _delay(self, attempts: int, result: Failed) -> float:
        own = backoff_seconds(self._config.retry, attempts, self._random)
        return max(own, result.retry_after)

    def _row_headers(self, row: Parked, headers: dict[str, str]) -> dict[str, str]:
        return {
            **_kept(headers),
            envelope.CONVERSATION: row.subject.conversation,
            envelope.ORDER: str(row.order),
            envelope.ATTEMPTS: str(row.attempts),
            envelope.DUE_AT: str(int(row.due * 1000)),
            envelope.FIRST_TRIED_AT: str(int(row.first_tried * 1000)),
        }

    def _forget(self, chain: _Chain, row: Parked) -> None:
        chain.parked.remove(row)
        self._count(-1)

    def _count(self, change: int) -> None:
        self._parked += change
        self._metrics.waiting(self.endpoint, self.name, self._parked)

    def _chain_key(self, subject: RetrySubject) -> str:
        own = subject.conversation if self._is_ordered else subject.key
        return f"{subject.lane}.{own}"


_KEPT = (
    envelope.RECEIVED_AT,
    envelope.ENDPOINT,
    envelope.RAW_SEQUENCE,
    envelope.TRACEPARENT,
)


def _kept(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that stay with an item wherever it goes."""
    return {name: headers[name] for name in _KEPT if name in headers}
