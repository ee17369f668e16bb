"""The APIs that a cluster has or has not: they may be installed, or removed, at any time.

Which they are says `models.kinds`. One that comes is listed, watched, and used from the next pass
on; one that goes is forgotten with all that was of it, and what it was used for is made otherwise.
Without the right to list a kind it counts as missing.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final, Literal, NoReturn, Protocol

import structlog
from lightkube.core.resource import NamespacedResourceG

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.errors import OperatorError
from forebay_operator.models.kinds import ManagedKind
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.reconcile_queue import SHARED, Enqueuer

__all__ = ["KindWatches", "OptionalApis"]

_log = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Between two questions at least. It doubles, up to the usual time between two, while a
watch ends again and again of a kind that is there: each new one has all endpoints applied again."""

SETTLE_SECONDS: Final = 10.0
"""For so long after a change, or what may be one, it is asked at each pause: what an API server
serves and what it says that it serves follow each other in seconds only, and several of them differ
meanwhile."""


Change = Literal["none", "changed", "watched again"]
"""What a check found: a kind that came or went, or one whose watch had ended though it is there."""


class KindWatches(Protocol):
    """Watches single kinds."""

    def is_watching(self, kind: ManagedKind) -> bool:
        """Say whether a kind is watched; its watch may have ended by itself."""

    def add(self, kind: ManagedKind) -> None:
        """Watch one more kind from now on."""

    def remove(self, kind: ManagedKind) -> None:
        """Watch a kind no longer."""


class OptionalApis:
    """Which optional kinds there are; `run` is its one task."""

    def __init__(
        self,
        cluster: Cluster,
        cache: ClusterCache,
        applier: Applier,
        queue: Enqueuer,
        watches: KindWatches,
        *,
        kinds: Collection[ManagedKind],
    ) -> None:
        """Prepare.

        Args:
            cluster: Whom to ask.
            cache: Takes the objects of a kind that comes, and forgets those of one that goes.
            applier: Forgets what it made of a kind that goes.
            queue: Has all reconciled at a change.
            watches: Who watches kinds.
            kinds: What was found at the start, and is watched.
        """
        self._cluster = cluster
        self._cache = cache
        self._applier = applier
        self._queue = queue
        self._watches = watches
        self._kinds = frozenset(kinds)

    @property
    def served(self) -> frozenset[type[NamespacedResourceG]]:
        """The kinds of ours that the cluster serves: what builders may use."""
        return frozenset(each.resource for each in self._kinds)

    @property
    def names(self) -> list[str]:
        """The optional kinds among them, by name."""
        return sorted(each.name for each in self._kinds if each.is_optional)

    async def run(self, seconds: float, recheck: asyncio.Event) -> NoReturn:
        """Ask until cancelled.

        Args:
            seconds: Between two questions.
            recheck: Set where one is due at once: a watch ended by itself, or an optional kind
                could not be applied.
        """
        loop = asyncio.get_running_loop()
        settled_at, pause = 0.0, PAUSE_SECONDS
        while True:
            if loop.time() >= settled_at:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await recheck.wait()
            is_doubted = recheck.is_set()
            recheck.clear()
            change: Change = "none"
            try:
                change = await self.check()
            except OperatorError as error:
                _log.debug("discovery_failed", reason=str(error))
            if is_doubted or change != "none":
                settled_at = loop.time() + SETTLE_SECONDS
            pause = min(2 * pause, seconds) if change == "watched again" else PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def check(self) -> Change:
        """Ask once, and do what follows.

        Raises:
            OperatorError: where the API server does not say; all stays as it is.
        """
        found = frozenset(await self._cluster.kinds())
        gone = self._kinds - found
        new = {each for each in found if each.is_optional and not self._watches.is_watching(each)}
        listed = {each: await self._cluster.managed(each.resource) for each in new}
        for kind in gone:
            self._watches.remove(kind)
        for kind in gone | new:
            # Of one whose watch ended and that is there still it is not known what went meanwhile.
            self._applier.forget(kind.name)
            self._cache.replace_objects(kind.name, listed.get(kind, ()))
        for kind in new:
            self._watches.add(kind)
        if not gone and not new:
            return "none"
        is_other = found != self._kinds
        self._kinds = found
        if is_other:
            _log.info("optional_apis_changed", kinds=self.names)
        self._queue.enqueue_all(resync=True)
        self._queue.enqueue(SHARED)
        return "changed" if is_other else "watched again"
