"""Threads for handlers that are plain functions: bounded, and no process waits for one.

`concurrent.futures` joins its threads when the interpreter ends, so a handler that never returns
would keep the process forever. These are daemons: what hangs in them ends with the process.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["HandlerThreads"]


class _Call(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    function: Callable[[], Any]


class HandlerThreads:
    """Runs functions in threads, which are started as they are needed. Belongs to one loop."""

    def __init__(self, limit: int, name: str) -> None:
        """Prepare.

        Args:
            limit: Threads at most; what finds none free waits.
            name: How they are called.
        """
        self._limit = limit
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads = 0
        self._under_way = 0
        """Calls that wait or run; counted in the loop's thread only."""

    async def run(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401  # what it returns
        """Call a function in a thread and return what it returns; raises what it raises.

        Where the caller is cancelled the function goes on, and its thread is busy until it ends.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._under_way += 1
        if self._threads < min(self._limit, self._under_way):
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        self._calls.put(_Call(loop, future, function))
        return await future

    def close(self) -> None:
        """Let threads end that have nothing to do."""
        for _ in range(self._threads):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            result: Any = None
            error: BaseException | None = None
            # Nobody waits for one that was given up before its turn came.
            if not call.future.cancelled():
                try:
                    result = call.function()
                except BaseException as raised:  # noqa: BLE001  # it is handed to who waits
                    error = raised
            try:
                call.loop.call_soon_threadsafe(self._done, call.future, result, error)
            except RuntimeError:
                return  # the loop is gone, and with it who waited

    def _done(
        self,
        future: asyncio.Future[Any],
        result: Any,  # noqa: ANN401  # what a handler returns
        error: BaseException | None,
    ) -> None:
        self._under_way -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration | asyncio.CancelledError):
            # Neither can be in a future; both are a mistake of the function's.
            future.set_exception(RuntimeError(type(error).__name__))
        else:
            future.set_exception(error)
