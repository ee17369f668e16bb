"""Places for passes: few work at a time, and one that waits for others leaves its place to them.

A table is written for all who changed it together, so a pass waits for its write up to some
seconds. If it kept its place, eight passes at a time would be eight changes in each write; if there
were hundreds of places, a change that someone made would wait behind hundreds of requests of a
start-up flood. One event loop, no threads.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

__all__ = ["PassPlaces"]

PASSES: Final = 64
"""Passes that there may be for each that works: 512 as shipped. One that waits holds what its
endpoint brings, which is kept for as long as it is served anyway."""


class PassPlaces:
    """Bounds passes: those that work, and all of them."""

    def __init__(self, working: int) -> None:
        """Begin with all places free: so many for those that work."""
        # One more: who waits for something to do holds one, and must not keep it from one who is to
        # go on.
        self._working = asyncio.Semaphore(working + 1)
        self._most = asyncio.Semaphore(working * PASSES)

    async def take(self) -> None:
        """Wait for a place; `give_back` has to follow."""
        await self._most.acquire()
        try:
            await self._working.acquire()
        except BaseException:
            self._most.release()
            raise

    def give_back(self) -> None:
        """End a pass, or what was to become one."""
        self._working.release()
        self._most.release()

    @contextlib.asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Leave the place to others while the pass waits, and wait for one again at the end."""
        self._working.release()
        try:
            yield
        finally:
            await self._working.acquire()
