"""The keyed queue: merges repeats, waits longer after each failure, lets live changes go first.

A key is with one worker at most; what comes for it meanwhile makes it due again afterwards. Nothing
here knows what a key stands for. One event loop, no threads.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["BACKOFF_SECONDS", "WorkQueue"]

Key = TypeVar("Key", bound=Hashable)

BACKOFF_SECONDS: Final = (0.5, 60.0)
"""The first and the longest wait after failures: soon enough for an API server that hiccuped, slow
enough for one that is down."""


class WorkQueue(Generic[Key]):
    """Keys that are due, and keys that will be."""

    def __init__(self, chance: random.Random) -> None:
        """Begin empty; `chance` spreads what failed together."""
        self._chance = chance
        self._live: deque[Key] = deque()
        self._flood: deque[Key] = deque()
        self._urgent: set[Key] = set()
        self._due: set[Key] = set()
        self._busy: set[Key] = set()
        self._again: dict[Key, bool] = {}
        self._later: list[tuple[float, int, Key]] = []
        self._when: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._count = 0
        self._news = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys are due and wait for a worker."""
        return len(self._due)

    def add(self, key: Key, *, live: bool = True) -> None:
        """Make a key due now; `live` for a change that someone made: it goes before the rest."""
        self._when.pop(key, None)
        if key in self._busy:
            self._again[key] = self._again.get(key, False) or live
            return
        if key in self._due:
            if live and key not in self._urgent:
                # It stays in the flood's line too; whoever finds it there finds it no longer due.
                self._urgent.add(key)
                self._live.append(key)
            return
        self._due.add(key)
        if live:
            self._urgent.add(key)
            self._live.append(key)
        else:
            self._flood.append(key)
        self._news.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Make a key due after some time, or earlier where it is to be due earlier already."""
        when = asyncio.get_running_loop().time() + seconds
        if key in self._due or self._when.get(key, when + 1) <= when:
            return
        self._when[key] = when
        self._count += 1
        heapq.heappush(self._later, (when, self._count, key))
        self._news.set()

    def failed(self, key: Key) -> float:
        """Make a key due after a wait that doubles with each failure; returns the seconds."""
        shortest, longest = BACKOFF_SECONDS
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        seconds = min(longest, shortest * 2.0 ** min(count, 16))
        seconds *= 0.8 + 0.4 * self._chance.random()
        self.add_later(key, seconds)
        return seconds

    def succeeded(self, key: Key) -> None:
        """Forget a key's failures."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key that is due and take it; `done` has to follow."""
        while True:
            self._ripen()
            for line in (self._live, self._flood):
                while line:
                    key = line.popleft()
                    if key in self._due:
                        self._due.remove(key)
                        self._urgent.discard(key)
                        self._busy.add(key)
                        return key
            self._news.clear()
            await self._wait()

    def done(self, key: Key) -> None:
        """Give a key back; it is due at once where it was added meanwhile."""
        self._busy.discard(key)
        if key in self._again:
            self.add(key, live=self._again.pop(key))

    def _ripen(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            when, _, key = heapq.heappop(self._later)
            if self._when.get(key) == when:
                self.add(key, live=False)

    async def _wait(self) -> None:
        """Wait for a new key, or until the next one ripens."""
        timeout = None
        if self._later:
            timeout = max(0.0, self._later[0][0] - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return
