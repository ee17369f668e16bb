"""Attempts at one destination that are made together, several items in one request.

Whoever begins an attempt takes a place in the batch that is being filled, and the first of them the
request that it goes with (`maxInFlight`, `ratePerSecond`, the endpoint's share). So what there is
no request for has no place either: it waits where everything waits, replies before statuses, in
RETRY if it is long. A batch goes when all of its places have come, or after `max_wait_seconds`.

A success is everybody's. A failure that speaks of the destination is everybody's too: no
connection, a refused credential, `Retry-After`. Any other one may be the fault of one item, which
must not hold up the others: then each is tried alone. When `ILL` of them failed alone and none got
through, or after `ALONE_SECONDS`, the rest has failed like the batch. Who failed alone where others
did not, is tried alone the next time, too.

All items of a conversation but one wait for it to end, so those of a batch are of different ones.

What is here is bounded by the places of the destination's queue (`destination_limits`). Nothing is
sent of a partition that is somebody else's by then. If the process dies: nothing of this is stored;
each item is unacked in EVENTS or has its row, and is tried again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sized
from typing import Any, Final

from forebay.core.tables import Batch
from forebay.runtime.tracing import Tracer
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.delivery_traces import BatchTrace
from forebay_processor.destinations.port import (
    Attempt,
    BatchPort,
    Delivered,
    Failed,
    Result,
    Trouble,
)
from forebay_processor.shared.partition_view import Partition

__all__ = ["ALONE_SECONDS", "ILL", "BatchedAttempts"]

ILL: Final = 3
"""So many items that fail alone, and none that does not, speak against the destination: as many as
for the breaker (`circuit_breaker.MIN_DISTINCT_ITEMS`)."""

ALONE_SECONDS: Final = 30.0
"""For the items of a batch that failed, one by one: EVENTS keeps them unacked meanwhile."""

REMEMBERED: Final = 1024
"""Items of which it is known that they failed alone."""

_LOST: Final = Failed("partition lost")
"""Of what is not sent any more; whoever tried it does nothing more for it."""


class _Waiting:
    """One attempt, and who waits for what comes of it."""

    __slots__ = ("attempt", "future", "item", "partition", "port")

    def __init__(self, attempt: Attempt, port: BatchPort, partition: Partition) -> None:
        self.attempt = attempt
        self.port = port
        self.partition = partition
        self.item: Sized = b""
        """As it stands in a batch."""

        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def end(self, result: Result) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def crash(self, error: Exception) -> None:
        """End with a fault of ours, which the attempt reports."""
        if not self.future.done():
            self.future.set_exception(error)

    async def is_wanted(self) -> bool:
        """Say whether it is to be sent; waits while it is not known whose the partition is."""
        if not self.future.done() and not await self.partition.held():
            self.end(_LOST)
        return not self.future.done()


class _Filling:
    """A batch that is being filled: its request is begun."""

    __slots__ = ("size", "timer", "waiting")

    def __init__(self, seconds: float, send: Callable[["_Filling"], None]) -> None:
        self.waiting: list[_Waiting] = []
        self.size = len("[]")
        """Bytes of the request's body."""

        self.timer = asyncio.get_running_loop().call_later(seconds, send, self)
        """When it goes, full or not."""


class BatchedAttempts:
    """Gathers attempts at one destination; the share that `AttemptLimiter` takes part in."""

    def __init__(
        self,
        requests: AttemptLimiter,
        on_room: Callable[[], None],
        tracer: Tracer | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            requests: The places for requests under way.
            on_room: Called when an attempt may begin that could not before.
            tracer: Records requests; None where nothing is traced.
        """
        self._tracer = tracer
        self.settings = Batch()
        self.taken = 0
        self.sent = self.sent_items = 0
        """Requests that held several items, and those items."""

        self._requests = requests
        self._on_room = on_room
        self._loop = asyncio.get_running_loop()
        self._filling: deque[_Filling] = deque()
        """All that wait for somebody who has a place; the last one has the places that are left."""

        self._places = 0
        """Those."""

        self._late: deque[_Waiting] = deque()
        """Whose batch went without them: they came late, or were too large for it."""

        self._is_called = False
        """Whether it is called when a request may begin."""

        self._failed_alone: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- places

    @property
    def has_room(self) -> bool:
        """Whether there is a place; who got none is called later."""
        if self._places or self._requests.may_begin:
            return True
        self._call_when_free()
        return False

    @property
    def is_held_off(self) -> bool:
        """Whether it is the rate that keeps requests from beginning."""
        return not self._places and self._requests.is_held_off

    def take(self) -> None:
        """Take a place, which `has_room` has found."""
        self.taken += 1
        if not self._places:
            self._requests.try_take()
            self._fill()
        self._places -= 1

    def give_back(self) -> None:
        """Note that an attempt has ended."""
        self.taken -= 1

    def leave(self) -> None:
        """Note that nobody takes places any more."""
        self._places = 0

    def _fill(self) -> None:
        """Begin to fill a batch, with a request that is begun."""
        self._filling.append(_Filling(self.settings.max_wait_seconds, self._send))
        self._places = self.settings.max_items

    def _call_when_free(self) -> None:
        if not self._is_called:
            self._is_called = True
            self._requests.call_when_free(self._request_is_free)

    def _request_is_free(self) -> None:
        self._is_called = False
        late = [each for each in self._late if not each.future.done()]
        self._late.clear()
        if late and self._requests.try_take():
            self._fill()
            self._places = max(self._places - len(late), 0)
        for each in late:
            self._put(each)
        self._on_room()

    # -- filling

    async def deliver(
        self, attempt: Attempt, port: BatchPort, partition: Partition, *, is_alone: bool = False
    ) -> Result:
        """Try to deliver an item that has a place.

        Args:
            attempt: What to deliver.
            port: Where to.
            partition: Whose it has to be when it is sent.
            is_alone: Whether it goes by itself; else with others, if there are any.
        """
        waiting = _Waiting(attempt, port, partition)
        if is_alone or attempt.token in self._failed_alone:
            self._start(self._by_itself(waiting))
        else:
            waiting.item = port.encode(attempt)
            self._put(waiting)
            if partition.is_closing:
                self.flush(partition)
        return await waiting.future

    def flush(self, partition: Partition) -> None:
        """Send what is gathered of a partition that is given back: it waits for no further items.

        Whoever is to have the partition waits for its attempts to end.
        """
        for filling in list(self._filling):
            if any(each.partition is partition for each in filling.waiting):
                self._send(filling)

    def _put(self, waiting: _Waiting) -> None:
        while self._filling:
            filling = self._filling[0]
            size = filling.size + len(waiting.item) + len(",")
            others = filling.waiting
            if not others or (size <= self.settings.max_bytes and others[0].port is waiting.port):
                filling.size = size
                others.append(waiting)
                if len(others) >= self.settings.max_items or size >= self.settings.max_bytes:
                    self._send(filling)
                return
            self._send(filling)
        self._late.append(waiting)
        self._call_when_free()

    def _send(self, filling: _Filling) -> None:
        if filling is self._filling[-1]:
            self._places = 0
        self._filling.remove(filling)
        filling.timer.cancel()
        self._start(self._together(filling.waiting))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- sending

    async def _together(self, batch: list[_Waiting]) -> None:
        """Make one request, which was begun; who of it is tried alone begins anew."""
        try:
            batch = [each for each in batch if await each.is_wanted()]
            result = await self._answer(batch)
        except Exception as error:  # noqa: BLE001  # a fault of ours is reported by each attempt
            for each in batch:
                each.crash(error)
            return
        finally:
            self._requests.give_back()
        if len(batch) > 1 and not _is_everybodys(result):
            await self._each_alone(batch, result)
        for each in batch:
            each.end(result)

    async def _answer(self, batch: list[_Waiting]) -> Result:
        if not batch:
            return _LOST
        first = batch[0]
        if len(batch) == 1:
            return await first.port.deliver(first.attempt)
        self.sent += 1
        self.sent_items += len(batch)
        tokens = [each.attempt.token for each in batch]
        items = [each.item for each in batch]
        endpoint, deliver = first.attempt.endpoint, first.port.deliver_batch
        if self._tracer is None:
            return await deliver(endpoint, tokens, items)
        trace = BatchTrace(self._tracer, [each.attempt.request_traceparent for each in batch])
        result = await deliver(endpoint, tokens, items, trace.context.header)
        trace.ended(endpoint, first.attempt.destination, len(batch), result)
        return result

    # -- one by one

    async def _alone(self, waiting: _Waiting) -> Result | None:
        """Make one request, which was begun, for one item; None where it is not sent any more."""
        try:
            if not await waiting.is_wanted():
                return None
            result = await waiting.port.deliver(waiting.attempt)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not cost the others
            waiting.crash(error)
            return Failed(type(error).__name__)
        finally:
            self._requests.give_back()
        waiting.end(result)
        return result

    async def _by_itself(self, waiting: _Waiting) -> None:
        """Try an item alone from the beginning, as it will be until it gets through."""
        await self._begin()
        if not isinstance(await self._alone(waiting), Failed):
            self._failed_alone.pop(waiting.attempt.token, None)

    async def _each_alone(self, batch: list[_Waiting], result: Result) -> None:
        """Try one after the other, until it is plain that it is not the items' fault.

        Args:
            batch: Whose request failed.
            result: How. A rejection is no answer to the rest: it may be another item's.
        """
        failed: list[str] = []
        got_through = False
        rest = result if isinstance(result, Failed) else Failed("batch rejected")
        ends = self._loop.time() + ALONE_SECONDS
        for each in batch:
            if each.future.done():
                continue
            try:
                await self._begin(ends)
            except TimeoutError:
                break
            match await self._alone(each):
                case None:
                    continue
                case Failed(trouble=Trouble.ITEM) as own:
                    failed.append(each.attempt.token)
                    if len(failed) >= ILL and not got_through:
                        rest = own
                        break
                case Failed() as own:
                    rest = own
                    break
                case _:
                    got_through = True
        for each in batch:
            each.end(rest)
        if got_through:
            self._remember(failed)

    async def _begin(self, ends: float | None = None) -> None:
        """Wait until a request may begin, and begin it.

        Raises:
            TimeoutError: where none may until then, by the loop's time.
        """
        begun = self._loop.create_future()

        def take() -> None:
            if begun.done():  # nobody waits any more
                return
            if self._requests.try_take():
                begun.set_result(None)
            else:
                self._requests.call_when_free(take)

        take()
        try:
            async with asyncio.timeout_at(ends):
                await begun
        except TimeoutError:
            if not begun.cancelled():  # it came at the same moment
                self._requests.give_back()
            raise

    def _remember(self, failed: list[str]) -> None:
        for token in failed:
            self._failed_alone[token] = None
        while len(self._failed_alone) > REMEMBERED:
            del self._failed_alone[next(iter(self._failed_alone))]


def _is_everybodys(result: Result) -> bool:
    """Say whether an answer to several items is the answer to each of them."""
    match result:
        case Delivered() | Failed(trouble=Trouble.DESTINATION | Trouble.REFUSED):
            return True
        case _:
            return False
