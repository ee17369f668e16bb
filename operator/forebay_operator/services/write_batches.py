"""Writes that wait for each other: all that is asked for before one begins is done by that one.

A table holds many endpoints. Written at once for each of a thousand that are applied, it is
rewritten as often, and read by every pod as often. So the first change is written at once, and what
comes after it waits a little, longer while changes go on. What is written, and how, is the
caller's; nothing here knows what a table is. One event loop, no threads.

If the process dies, what waited is found again by what is wanted and not there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

__all__ = ["PAUSE_SECONDS", "WriteBatches"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

PAUSE_SECONDS: Final = (0.25, 2.0)
"""The first and the longest pause between two writes. An edit goes into the processors' table and
then into the receivers', so that twice the longest is what it waits at worst: 4 s of the 5 in which
it is to be in force."""

CALM_PAUSES: Final = 2.0
"""So many pauses after the last write the next one is the first again."""


class _Pace:
    """How long ago the last write was, and how long the next one waits."""

    def __init__(self) -> None:
        self.pause = 0.0
        self.ended = 0.0


class WriteBatches(Generic[Key, Result]):
    """Batches of writes, by what is written."""

    def __init__(self, pause_seconds: tuple[float, float] = PAUSE_SECONDS) -> None:
        """Begin with nothing written."""
        self._shortest, self._longest = pause_seconds
        self._open: dict[Key, asyncio.Task[Result]] = {}
        self._writing: dict[Key, asyncio.Future[None]] = {}
        self._running: set[asyncio.Task[Result]] = set()
        self._locks: dict[Key, asyncio.Lock] = {}
        self._paces: dict[Key, _Pace] = {}

    async def settle(self, key: Key) -> bool:
        """Wait until the write that has begun is over, whatever comes of it; False if none has."""
        over = self._writing.get(key)
        if over is None:
            return False
        await asyncio.wait([over])
        return True

    async def join(self, key: Key, write: Callable[[], Awaitable[Result]]) -> Result:
        """Wait until a write that begins after now is over; returns or raises what it did.

        Args:
            key: What is written.
            write: Writes all that is wanted by then; of those who ask together one is called.
        """
        task = self._open.get(key)
        if task is None:
            task = self._open[key] = self._start(key, write, is_paced=True)
        # Who stops waiting does not end it for the others.
        return await asyncio.shield(task)

    async def alone(self, key: Key, write: Callable[[], Awaitable[Result]]) -> Result:
        """Write for one who asks, as soon as nobody else writes; returns or raises what it did."""
        return await asyncio.shield(self._start(key, write, is_paced=False))

    async def close(self) -> None:
        """End what is under way; what it was to write is found again at the next start."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _start(
        self, key: Key, write: Callable[[], Awaitable[Result]], *, is_paced: bool
    ) -> asyncio.Task[Result]:
        task = asyncio.create_task(self._run(key, write, is_paced=is_paced), name=f"write {key}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _run(
        self, key: Key, write: Callable[[], Awaitable[Result]], *, is_paced: bool
    ) -> Result:
        loop = asyncio.get_running_loop()
        async with self._locks.setdefault(key, asyncio.Lock()):
            pace = self._paces.setdefault(key, _Pace())
            if is_paced:
                await self._pause(pace)
                # Who asks from now on may have changed what the write has read already.
                del self._open[key]
            over = self._writing[key] = loop.create_future()
            try:
                return await write()
            finally:
                del self._writing[key]
                over.set_result(None)
                pace.ended = loop.time()

    async def _pause(self, pace: _Pace) -> None:
        since = asyncio.get_running_loop().time() - pace.ended
        if not pace.ended or since > CALM_PAUSES * max(pace.pause, self._shortest):
            pace.pause = 0.0
            return
        pace.pause = min(max(2 * pace.pause, self._shortest), self._longest)
        await asyncio.sleep(max(pace.pause - since, 0.0))

    def _ended(self, task: asyncio.Task[Result]) -> None:
        self._running.discard(task)
        # Whoever waits for it hears it; where nobody does any more it is no news.
        if not task.cancelled():
            task.exception()
