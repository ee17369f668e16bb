"""The workers over the queue: they take keys, reconcile, and decide when to reconcile again.

Few passes work at a time, and many wait for a table that is written for all of them (`PassPlaces`).

The one place where errors end: whatever fails is tried again, later and later, and the others go
on. A pass that finds no change writes nothing.
"""

import asyncio

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay_operator.errors import ObjectChanged, OperatorError
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.pass_places import PassPlaces
from forebay_operator.services.reconcile_queue import SHARED, QueueKey, ReconcileQueue
from forebay_operator.services.reconciler import Reconciler, ReconcileResult
from forebay_operator.services.shared_reconciler import SharedParts

__all__ = ["Workers"]

_log = structlog.get_logger(__name__)


class Workers:
    """Reconciles what is in the queue; `run` is its one task."""

    def __init__(
        self,
        places: PassPlaces,
        cache: ClusterCache,
        reconciler: Reconciler,
        shared: SharedParts,
        metrics: OperatorMetrics,
        queue: ReconcileQueue,
    ) -> None:
        self._places = places
        self._cache = cache
        self._reconciler = reconciler
        self._shared = shared
        self._metrics = metrics
        self._queue = queue
        self._not_reconciled: set[EndpointName] = set()
        self.passed_at = 0.0
        """When a pass ended last, whatever came of it, by the loop's clock."""

    async def run(self) -> None:
        """Reconcile all that is there, then what comes; until cancelled."""
        self._reconciler.begin()
        # Also owners of objects whose endpoints were deleted while no operator ran.
        self._not_reconciled = {*self._cache.endpoints, *self._cache.owners()}
        for name in sorted(self._not_reconciled):
            self._queue.enqueue(name, live=False)
        self._queue.enqueue(SHARED, live=True)
        async with asyncio.TaskGroup() as group:
            while True:
                # A place first: who is taken out of the queue is no longer overtaken.
                await self._places.take()
                key, resync = await self._queue.get()
                group.create_task(self._work(key, resync=resync), name=f"pass of {key}")

    async def _work(self, key: QueueKey, *, resync: bool) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        result = "failed"
        try:
            outcome = await self._reconcile(key, resync=resync)
        except OperatorError as error:
            self._failed(key, error)
        except Exception:  # noqa: BLE001  # see the module: errors end here
            # A bug must cost one pass over one endpoint, not the operator.
            _log.exception("reconcile_crashed", endpoint=str(key))
            self._queue.failed(key)
        else:
            result = outcome.result
            if outcome.result == "gone":
                self._queue.forget(key)
            else:
                self._queue.succeeded(key, outcome.again_in, resync=resync)
        finally:
            self._metrics.reconciled(result, loop.time() - begun)
            self.passed_at = loop.time()
            self._queue.done(key)
            self._places.give_back()
        self._mark_reconciled(key)
        for each in self._reconciler.now_with_room():
            self._queue.enqueue(each, resync=False, live=False)

    async def _reconcile(self, key: QueueKey, *, resync: bool) -> ReconcileResult:
        if key is SHARED:
            hosts = set(self._reconciler.shared_hosts.values())
            return await self._shared.reconcile(hosts, complete=not self._not_reconciled)
        return await self._reconciler.reconcile(key, resync=resync)

    def _failed(self, key: QueueKey, error: OperatorError) -> None:
        seconds = self._queue.failed(key)
        level = _log.info if isinstance(error, ObjectChanged) else _log.warning
        level("reconcile_failed", endpoint=str(key), reason=str(error), again_in=round(seconds, 1))

    def _mark_reconciled(self, key: QueueKey) -> None:
        if key is not SHARED and key in self._not_reconciled:
            self._not_reconciled.discard(key)
            if not self._not_reconciled:
                _log.info("all_endpoints_reconciled", endpoints=len(self._cache.endpoints))
                self._queue.enqueue(SHARED)
