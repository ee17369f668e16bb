"""The workers over the queue: they take keys, look, and decide when to look again.

The one place where errors end: whatever fails is tried again, later and later, and the others go
on. A look that ends without news writes nothing.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable

import structlog

from forebay.core.naming import EndpointName
from forebay_operator.errors import ObjectChanged, OperatorError
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.services.queue import WorkQueue
from forebay_operator.services.reconciler import Looked, Reconciler
from forebay_operator.services.shared import SHARED, SharedParts
from forebay_operator.services.world import World
from forebay_operator.settings import Limits

__all__ = ["Workers"]

_log = structlog.get_logger(__name__)

COUNT_SECONDS = 5.0
"""Between two counts of conditions for the metrics."""


class Workers:
    """Runs looks; `run` is its one task."""

    def __init__(
        self,
        limits: Limits,
        world: World,
        reconciler: Reconciler,
        shared: SharedParts,
        metrics: OperatorMetrics,
        chance: random.Random,
    ) -> None:
        self._limits = limits
        self._world = world
        self._reconciler = reconciler
        self._shared = shared
        self._metrics = metrics
        self._chance = chance
        self._queue: WorkQueue[EndpointName] = WorkQueue(chance)
        self._full: set[EndpointName] = set()
        self._full_at: dict[EndpointName, float] = {}
        self._unseen: set[EndpointName] = set()
        reconciler.on_hosts = lambda: self.wake(SHARED)

    def wake(self, key: EndpointName, *, full: bool = True, live: bool = True) -> None:
        """Have a key looked at; `full` to apply again, not only to look at pods and backlog."""
        if full:
            self._full.add(key)
        self._queue.add(key, live=live)
        self._metrics.queued(len(self._queue))

    def wake_all(self, *, full: bool = False) -> None:
        """Have every endpoint looked at, behind what is urgent."""
        for key in list(self._world.endpoints):
            self.wake(key, full=full, live=False)

    async def run(self) -> None:
        """Look at all that is there, then at what comes; until cancelled."""
        self._reconciler.begin()
        # Also owners of objects whose endpoints went while nobody looked.
        self._unseen = {*self._world.endpoints, *self._world.owners()}
        for key in sorted(self._unseen):
            self.wake(key, live=False)
        self.wake(SHARED, live=True)
        async with asyncio.TaskGroup() as group:
            for number in range(self._limits.workers):
                group.create_task(self._work(), name=f"worker {number}")
            group.create_task(self._count(), name="count")

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            key = await self._queue.take()
            self._metrics.queued(len(self._queue))
            begun = loop.time()
            full = key in self._full or self._full_at.get(key, 0.0) <= begun
            self._full.discard(key)
            result = "failed"
            try:
                looked = await self._look(key, full=full)
            except OperatorError as error:
                self._failed(key, error)
            except Exception:  # noqa: BLE001  # see the module: errors end here
                # A bug must cost one endpoint's look, not the operator.
                _log.exception("look_crashed", endpoint=str(key))
                self._full.add(key)
                self._queue.failed(key)
            else:
                result = looked.result
                self._queue.succeeded(key)
                self._plan_next(key, looked, full=full)
            finally:
                self._metrics.reconciled(result, loop.time() - begun)
                self._queue.done(key)
            self._seen(key)
            for each in self._reconciler.now_with_room():
                self.wake(each, full=False, live=False)

    async def _look(self, key: EndpointName, *, full: bool) -> Looked:
        if key == SHARED:
            hosts = set(self._reconciler.shared_hosts.values())
            return await self._shared.look(hosts, complete=not self._unseen)
        return await self._reconciler.look(key, full=full)

    def _failed(self, key: EndpointName, error: OperatorError) -> None:
        self._full.add(key)
        seconds = self._queue.failed(key)
        level = _log.info if isinstance(error, ObjectChanged) else _log.warning
        level("look_failed", endpoint=str(key), reason=str(error), again_in=round(seconds, 1))

    def _plan_next(self, key: EndpointName, looked: Looked, *, full: bool) -> None:
        if looked.result == "gone":
            self._full_at.pop(key, None)
            return
        now = asyncio.get_running_loop().time()
        if full:
            spread = 0.8 + 0.4 * self._chance.random()
            self._full_at[key] = now + self._limits.resync_seconds * spread
        seconds = looked.again_in
        if seconds is None:
            seconds = self._full_at.get(key, now) - now
        self._queue.add_later(key, max(seconds, 0.0))

    def _seen(self, key: EndpointName) -> None:
        if key in self._unseen:
            self._unseen.discard(key)
            if not self._unseen:
                _log.info("all_endpoints_seen", endpoints=len(self._world.endpoints))
                self.wake(SHARED)

    async def _count(self) -> None:
        while True:
            counts: Counter[tuple[str, str]] = Counter()
            for endpoint in self._world.endpoints.values():
                conditions: Iterable[dict[str, str]] = endpoint.status.get("conditions") or ()
                for condition in conditions:
                    counts[condition["type"], condition["status"]] += 1
            self._metrics.conditions(counts)
            await asyncio.sleep(COUNT_SECONDS)
