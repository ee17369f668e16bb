"""The workers over the queue: they take keys, reconcile, and decide when to reconcile again.

The one place where errors end: whatever fails is tried again, later and later, and the others go
on. A pass that finds no change writes nothing.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable

import structlog

from forebay.core.naming import EndpointName
from forebay_operator.errors import ObjectChanged, OperatorError
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.queue import WorkQueue
from forebay_operator.services.reconciler import Reconciler, ReconcileResult
from forebay_operator.services.shared import SHARED, SharedParts
from forebay_operator.settings.config import Limits

__all__ = ["Workers"]

_log = structlog.get_logger(__name__)

COUNT_SECONDS = 5.0
"""Between two counts of conditions for the metrics."""


class Workers:
    """Reconciles what is in the queue; `run` is its one task."""

    def __init__(
        self,
        limits: Limits,
        cache: ClusterCache,
        reconciler: Reconciler,
        shared: SharedParts,
        metrics: OperatorMetrics,
        chance: random.Random,
    ) -> None:
        self._limits = limits
        self._cache = cache
        self._reconciler = reconciler
        self._shared = shared
        self._metrics = metrics
        self._chance = chance
        self._queue: WorkQueue[EndpointName] = WorkQueue(chance)
        self._resync: set[EndpointName] = set()
        self._resync_at: dict[EndpointName, float] = {}
        self._not_reconciled: set[EndpointName] = set()
        reconciler.on_hosts = lambda: self.enqueue(SHARED)

    def enqueue(self, key: EndpointName, *, resync: bool = True, live: bool = True) -> None:
        """Have a key reconciled; `resync` to apply again, not only to read pods and backlog."""
        if resync:
            self._resync.add(key)
        self._queue.add(key, live=live)
        self._metrics.queued(len(self._queue))

    def enqueue_all(self, *, resync: bool = False) -> None:
        """Have every endpoint reconciled, behind what is urgent."""
        for key in list(self._cache.endpoints):
            self.enqueue(key, resync=resync, live=False)

    async def run(self) -> None:
        """Reconcile all that is there, then what comes; until cancelled."""
        self._reconciler.begin()
        # Also owners of objects whose endpoints were deleted while no operator ran.
        self._not_reconciled = {*self._cache.endpoints, *self._cache.owners()}
        for key in sorted(self._not_reconciled):
            self.enqueue(key, live=False)
        self.enqueue(SHARED, live=True)
        async with asyncio.TaskGroup() as group:
            for number in range(self._limits.workers):
                group.create_task(self._work(), name=f"worker {number}")
            group.create_task(self._count(), name="count")

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            key = await self._queue.get()
            self._metrics.queued(len(self._queue))
            begun = loop.time()
            resync = key in self._resync or self._resync_at.get(key, 0.0) <= begun
            self._resync.discard(key)
            result = "failed"
            try:
                outcome = await self._reconcile(key, resync=resync)
            except OperatorError as error:
                self._failed(key, error)
            except Exception:  # noqa: BLE001  # see the module: errors end here
                # A bug must cost one pass over one endpoint, not the operator.
                _log.exception("reconcile_crashed", endpoint=str(key))
                self._resync.add(key)
                self._queue.failed(key)
            else:
                result = outcome.result
                self._queue.succeeded(key)
                self._plan_next(key, outcome, resync=resync)
            finally:
                self._metrics.reconciled(result, loop.time() - begun)
                self._queue.done(key)
            self._mark_reconciled(key)
            for each in self._reconciler.now_with_room():
                self.enqueue(each, resync=False, live=False)

    async def _reconcile(self, key: EndpointName, *, resync: bool) -> ReconcileResult:
        if key == SHARED:
            hosts = set(self._reconciler.shared_hosts.values())
            return await self._shared.reconcile(hosts, complete=not self._not_reconciled)
        return await self._reconciler.reconcile(key, resync=resync)

    def _failed(self, key: EndpointName, error: OperatorError) -> None:
        self._resync.add(key)
        seconds = self._queue.failed(key)
        level = _log.info if isinstance(error, ObjectChanged) else _log.warning
        level("reconcile_failed", endpoint=str(key), reason=str(error), again_in=round(seconds, 1))

    def _plan_next(self, key: EndpointName, outcome: ReconcileResult, *, resync: bool) -> None:
        if outcome.result == "gone":
            self._resync_at.pop(key, None)
            return
        now = asyncio.get_running_loop().time()
        if resync:
            spread = 0.8 + 0.4 * self._chance.random()
            self._resync_at[key] = now + self._limits.resync_seconds * spread
        seconds = outcome.again_in
        if seconds is None:
            seconds = self._resync_at.get(key, now) - now
        self._queue.add_later(key, max(seconds, 0.0))

    def _mark_reconciled(self, key: EndpointName) -> None:
        if key in self._not_reconciled:
            self._not_reconciled.discard(key)
            if not self._not_reconciled:
                _log.info("all_endpoints_reconciled", endpoints=len(self._cache.endpoints))
                self.enqueue(SHARED)

    async def _count(self) -> None:
        while True:
            counts: Counter[tuple[str, str]] = Counter()
            for endpoint in self._cache.endpoints.values():
                conditions: Iterable[dict[str, str]] = endpoint.status.get("conditions") or ()
                for condition in conditions:
                    counts[condition["type"], condition["status"]] += 1
            self._metrics.conditions(counts)
            await asyncio.sleep(COUNT_SECONDS)
