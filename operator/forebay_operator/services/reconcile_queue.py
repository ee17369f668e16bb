"""What is to be reconciled, and when: keys, who may enqueue them, and the queue of the workers."""

import asyncio
import random
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.queue import WorkQueue

__all__ = ["SHARED", "Enqueuer", "QueueKey", "ReconcileQueue", "SharedKey"]


class SharedKey(Enum):
    """The key of what belongs to no endpoint alone."""

    SHARED = "shared"

    @override
    def __str__(self) -> str:
        """Return what logs say."""
        return self.value


SHARED: Final = SharedKey.SHARED
"""The shared tables and the routes to the shared receivers."""

QueueKey: TypeAlias = EndpointName | Literal[SharedKey.SHARED]
"""What one pass is about."""


class Enqueuer(Protocol):
    """Has something reconciled soon."""

    def enqueue(self, key: QueueKey, *, resync: bool = True, live: bool = True) -> None:
        """Have a key reconciled.

        Args:
            key: Which.
            resync: Whether to apply again, not only to read pods and backlog.
            live: Whether it is for a change that someone made: it goes before the rest.
        """

    def enqueue_all(self, *, resync: bool = False) -> None:
        """Have every endpoint reconciled, behind what is urgent."""


class ReconcileQueue(Enqueuer):
    """Keys with when they are to be applied again; keys are reconciled by one worker at a time."""

    def __init__(
        self,
        cache: ClusterCache,
        chance: random.Random,
        resync_seconds: float,
    ) -> None:
        """Begin empty.

        Args:
            cache: Knows all endpoints.
            chance: Spreads resyncs, and what failed together.
            resync_seconds: Between two resyncs of a key at which nothing happens.
        """
        self._cache = cache
        self._chance = chance
        self._resync_seconds = resync_seconds
        self._queue: WorkQueue[QueueKey] = WorkQueue(chance)
        self._resync: set[QueueKey] = set()
        self._resync_at: dict[QueueKey, float] = {}

    def __len__(self) -> int:
        """Return how many keys wait for a worker now."""
        return len(self._queue)

    @override
    def enqueue(self, key: QueueKey, *, resync: bool = True, live: bool = True) -> None:
        if resync:
            self._resync.add(key)
        self._queue.add(key, live=live)

    @override
    def enqueue_all(self, *, resync: bool = False) -> None:
        for key in list(self._cache.endpoints):
            self.enqueue(key, resync=resync, live=False)

    async def get(self) -> tuple[QueueKey, bool]:
        """Wait for a key; says whether it is to be applied again. `done` has to follow."""
        key = await self._queue.get()
        now = asyncio.get_running_loop().time()
        resync = key in self._resync or self._resync_at.get(key, 0.0) <= now
        self._resync.discard(key)
        return key, resync

    def failed(self, key: QueueKey) -> float:
        """Have a key applied again after a wait, longer each time; returns the seconds."""
        self._resync.add(key)
        return self._queue.failed(key)

    def succeeded(self, key: QueueKey, again_in: float | None, *, resync: bool) -> None:
        """Plan the next pass.

        Args:
            key: What was reconciled.
            again_in: After so many seconds; None for at the next resync.
            resync: Whether it was applied again now.
        """
        self._queue.succeeded(key)
        now = asyncio.get_running_loop().time()
        if resync:
            spread = 0.8 + 0.4 * self._chance.random()
            self._resync_at[key] = now + self._resync_seconds * spread
        seconds = self._resync_at.get(key, now) - now if again_in is None else again_in
        self._queue.add_later(key, max(seconds, 0.0))

    def forget(self, key: QueueKey) -> None:
        """Plan nothing more for a key that is gone."""
        self._queue.succeeded(key)
        self._resync_at.pop(key, None)

    def done(self, key: QueueKey) -> None:
        """Give a key back."""
        self._queue.done(key)
