"""Attempts at one destination that are made together, several items in one request.

An attempt waits until there are enough for a batch, or for `max_wait_seconds`, and then for one of
the destination's requests (`maxInFlight`, `ratePerSecond`, the endpoint's share). A success is
everybody's. A failure that speaks of the destination is everybody's too: no connection, a refused
credential, `Retry-After`. Any other one may be the fault of one item, which must not hold up the
others: then each is tried alone. When `ILL` of them failed alone and none got through, the
destination is ill, and the rest has failed like them. Who failed alone where others did not, is
tried alone the next time, too.

All items of a conversation but one wait for it to end, so those of a batch are of different ones.

What waits here is bounded by the places of the destination's queue (`limits.BATCH_ITEMS`); encoded
are no more than go out. If the process dies: nothing of this is stored; each item is unacked in
EVENTS or has its row, and is tried again.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from forebay.core.tables import Batch
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.destinations.port import (
    Attempt,
    BatchPort,
    Delivered,
    Failed,
    Result,
    Trouble,
)

__all__ = ["ILL", "BatchedAttempts"]

ILL: Final = 3
"""So many items that fail alone, and none that does not, speak against the destination: as many as
for the breaker (`circuit_breaker.MIN_DISTINCT_ITEMS`)."""

REMEMBERED: Final = 1024
"""Items of which it is known that they failed alone."""


class _Waiting:
    """One attempt, and who waits for what comes of it."""

    __slots__ = ("attempt", "future", "item", "port")

    def __init__(
        self, attempt: Attempt, port: BatchPort, future: asyncio.Future[Result], item: bytes
    ) -> None:
        self.attempt = attempt
        self.port = port
        self.future = future
        self.item = item
        """As it was encoded; empty until then."""

    def end(self, result: Result) -> None:
        if not self.future.done():
            self.future.set_result(result)


class BatchedAttempts:
    """Gathers attempts at one destination."""

    def __init__(self, requests: AttemptLimiter) -> None:
        """Begin with nothing; `requests` are the places for requests under way."""
        self._requests = requests
        self._loop = asyncio.get_running_loop()
        self._settings = Batch()
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        """Of the waiting items' content: what a request takes besides is not counted."""

        self._is_due = False
        self._is_called = False
        """Whether it is called when a request may begin."""

        self._timer: asyncio.TimerHandle | None = None
        self._failed_alone: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(self, attempt: Attempt, port: BatchPort, settings: Batch) -> Result:
        """Try to deliver an item, with others if there are any."""
        self._settings = settings
        waiting = _Waiting(attempt, port, self._loop.create_future(), b"")
        if attempt.token in self._failed_alone:
            self._start(self._each_alone([waiting], are_known=True))
            return await waiting.future
        self._waiting.append(waiting)
        self._bytes += len(attempt.item.data)
        if len(self._waiting) >= settings.max_items or self._bytes >= settings.max_bytes:
            self._send()
        elif self._timer is None:
            self._timer = self._loop.call_later(settings.max_wait_seconds, self._time_came)
        return await waiting.future

    def _time_came(self) -> None:
        self._timer = None
        self._is_due = True
        self._send()

    def _request_came(self) -> None:
        self._is_called = False
        self._send()

    def _send(self) -> None:
        """Send what is due, as far as requests may begin."""
        while self._waiting and (self._is_due or self._is_full):
            if not self._requests.try_take():
                if not self._is_called:
                    self._is_called = True
                    self._requests.call_when_free(self._request_came)
                return
            batch = self._take()
            if batch:
                self._start(self._together(batch))
            else:
                self._requests.give_back()
        if not self._waiting:
            self._is_due = False
        elif self._timer is None and not self._is_due:
            wait = self._settings.max_wait_seconds
            self._timer = self._loop.call_later(wait, self._time_came)

    @property
    def _is_full(self) -> bool:
        settings = self._settings
        return len(self._waiting) >= settings.max_items or self._bytes >= settings.max_bytes

    def _take(self) -> list[_Waiting]:
        """Return the next ones that fit into one request, for the same settings; maybe none."""
        batch: list[_Waiting] = []
        size = len("[]")
        while self._waiting and len(batch) < self._settings.max_items:
            first = self._waiting[0]
            if batch and first.port is not batch[0].port:
                break
            if not first.future.done() and _is_encoded(first):
                size += len(first.item) + len(",")
                if batch and size > self._settings.max_bytes:
                    break
                batch.append(first)
            self._waiting.popleft()
            self._bytes -= len(first.attempt.item.data)
        return batch

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _together(self, batch: list[_Waiting]) -> None:
        """Make one request, which was begun; who of it is tried alone begins anew."""
        try:
            result = await self._answer(batch)
        except Exception as error:  # noqa: BLE001  # a fault of ours is told by each attempt
            for each in batch:
                if not each.future.done():
                    each.future.set_exception(error)
            return
        finally:
            self._requests.give_back()
        if len(batch) == 1 or _is_everybodys(result):
            for each in batch:
                each.end(result)
        else:
            await self._each_alone(batch)

    async def _answer(self, batch: list[_Waiting]) -> Result:
        first = batch[0]
        if len(batch) == 1:
            return await first.port.deliver(first.attempt)
        tokens = [each.attempt.token for each in batch]
        items = [each.item for each in batch]
        return await first.port.deliver_batch(first.attempt.endpoint, tokens, items)

    async def _each_alone(self, batch: list[_Waiting], *, are_known: bool = False) -> None:
        """Try one after the other, until it is plain that it is not the items' fault.

        Args:
            batch: Whose request failed.
            are_known: Whether they failed alone before where others did not.
        """
        failed: list[str] = []
        got_through = are_known
        verdict: Result | None = None
        for each in batch:
            if verdict is None and not each.future.done():
                result = await self._alone(each)
                each.end(result)
                match result:
                    case Failed(trouble=Trouble.ITEM):
                        failed.append(each.attempt.token)
                        if len(failed) >= ILL and not got_through:
                            verdict = result
                    case Failed():
                        verdict = result
                    case _:
                        got_through = True
            elif verdict is not None:
                each.end(verdict)
        if got_through:
            self._remember(failed)

    async def _alone(self, waiting: _Waiting) -> Result:
        await self._begin()
        self._failed_alone.pop(waiting.attempt.token, None)
        try:
            return await waiting.port.deliver(waiting.attempt)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not cost the others
            if not waiting.future.done():
                waiting.future.set_exception(error)
            return Failed(f"crashed: {type(error).__name__}")
        finally:
            self._requests.give_back()

    async def _begin(self) -> None:
        """Wait until a request may begin, and begin it."""
        begun = self._loop.create_future()

        def take() -> None:
            if begun.done():  # nobody waits any more: the process ends
                return
            if self._requests.try_take():
                begun.set_result(None)
            else:
                self._requests.call_when_free(take)

        take()
        await begun

    def _remember(self, failed: list[str]) -> None:
        for token in failed:
            self._failed_alone[token] = None
        while len(self._failed_alone) > REMEMBERED:
            del self._failed_alone[next(iter(self._failed_alone))]


def _is_encoded(waiting: _Waiting) -> bool:
    """Encode an item; a fault of ours is told by its attempt."""
    if not waiting.item:
        try:
            waiting.item = waiting.port.encode(waiting.attempt)
        except Exception as error:  # noqa: BLE001  # it must not cost the others
            waiting.future.set_exception(error)
            return False
    return True


def _is_everybodys(result: Result) -> bool:
    """Say whether an answer to several items is the answer to each of them."""
    match result:
        case Delivered() | Failed(trouble=Trouble.DESTINATION | Trouble.REFUSED):
            return True
        case _:
            return False
