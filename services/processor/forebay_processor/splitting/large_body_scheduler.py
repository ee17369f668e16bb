"""Long work in short turns: who cuts a large body lets others run, and few are cut at a time."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Generator
from time import perf_counter
from typing import Final, TypeVar

__all__ = ["TURN_SECONDS", "Room", "Turns"]

TURN_SECONDS: Final = 0.003
"""After so long others get their turn: leases, answers of NATS, deliveries. With what one step may
take on top of it (an item, a piece of a body) nobody waits 10 ms for one body."""

_T = TypeVar("_T")


class Turns:
    """One piece of work that lets others run in between."""

    def __init__(self, seconds: float) -> None:
        """Begin a turn of so many seconds."""
        self._seconds = seconds
        self._until = perf_counter() + seconds

    async def breathe(self) -> None:
        """Let others run where this turn has taken long enough."""
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + self._seconds

    async def run(self, steps: Generator[None, None, _T]) -> _T:
        """Run all steps, and return what they come to."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: _T = end.value
                return result
            await self.breathe()


class Room:
    """Bytes of large bodies that may be taken apart at a time, by all splitters of a process.

    What a body becomes in memory is up to 30 times its bytes. Whoever comes first is served first;
    one that is larger than all the room gets all of it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """Bytes that nobody has."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many wait for room."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Wait for room for so many bytes, and have it until the end of the block."""
        wanted = min(size, self._size)
        await self._take(wanted)
        try:
            yield
        finally:
            self._free += wanted
            self._serve()

    async def _take(self, wanted: int) -> None:
        if not self._waiting and wanted <= self._free:
            self._free -= wanted
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += wanted
            self._serve()
            raise

    def _serve(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
            elif wanted <= self._free:
                self._waiting.popleft()
                self._free -= wanted
                turn.set_result(None)
            else:
                return
