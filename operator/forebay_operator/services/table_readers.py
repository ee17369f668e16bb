"""Pods that serve tables: who is ready, which tables they have read, and the touch that wakes them.

A kubelet refreshes mounted Secrets once in 60 to 90 s, and at once when its pod changes: an
annotation on the pod is such a change. One poll of a pool is shared by all who ask at the time.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import structlog

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.adapters.pod_reports import PodPages
from forebay_operator.errors import OperatorError
from forebay_operator.models.names import ANNOTATION_TABLES
from forebay_operator.models.pod_reports import PodPage
from forebay_operator.services.cluster_cache import ClusterCache, PodFacts

__all__ = ["PoolView", "Pools"]

_log = structlog.get_logger(__name__)

VIEW_SECONDS: Final = 0.5
"""How long a poll of a pool is good for: with 1,000 endpoints on one pool one poll serves all."""

TOUCH_SECONDS: Final = 1.0
"""Between two touches of a pod: of a thousand endpoints in sixteen tables each would else have it
touched for its own. Whoever waits for the pod asks again."""

TOUCH_AGAIN_SECONDS: Final = 3.0
"""A touch that reaches the kubelet before the Secret's change does is of no use: then again."""


class PoolView(NamedTuple):
    """A pool at one moment."""

    total: int
    leaving: int
    ready: int
    pages: tuple[PodPage | None, ...]
    """What each ready pod says; None where it did not answer."""

    def having(self, wanted: Mapping[str, Collection[str]]) -> int:
        """Return how many ready pods have read one of the generations given of each file."""
        return sum(
            page is not None
            and all(page.generations.get(file) in known for file, known in wanted.items())
            for page in self.pages
        )

    @property
    def warnings(self) -> list[str]:
        """What any pod says that somebody should fix, each thing once."""
        return sorted({each for page in self.pages if page is not None for each in page.warnings})


class Pools:
    """Polls pods and touches them."""

    def __init__(self, cache: ClusterCache, pages: PodPages, cluster: Cluster) -> None:
        self._cache = cache
        self._pages = pages
        self._cluster = cluster
        self._views: dict[tuple[tuple[str, str], ...], tuple[float, asyncio.Task[PoolView]]] = {}
        self._touched: dict[str, tuple[str, float]] = {}

    async def view(self, selector: Mapping[str, str]) -> PoolView:
        """Return a pool as it is, or was half a second ago."""
        key = tuple(sorted(selector.items()))
        now = asyncio.get_running_loop().time()
        known = self._views.get(key)
        if known is None or (known[1].done() and now - known[0] > VIEW_SECONDS):
            self._views = {
                each: seen
                for each, seen in self._views.items()
                if not seen[1].done() or now - seen[0] <= VIEW_SECONDS
            }
            known = (now, asyncio.create_task(self._poll(selector), name="poll pods"))
            self._views[key] = known
        return await asyncio.shield(known[1])

    async def touch(self, selector: Mapping[str, str], mark: str) -> None:
        """Wake the kubelets of a pool's pods for a table; once, and again where that was too early.

        Args:
            selector: Which pods.
            mark: What the annotation is to say: it names the table's generation.
        """
        now = asyncio.get_running_loop().time()
        for pod in self._cache.pods(selector):
            last_mark, last = self._touched.get(pod.name, ("", 0.0))
            pause = TOUCH_AGAIN_SECONDS if last_mark == mark else TOUCH_SECONDS
            if pod.is_leaving or (last_mark and now - last < pause):
                continue
            self._touched[pod.name] = (mark, now)
            await self._annotate(pod, mark)
        alive = {pod.name for pod in self._cache.pods({})}
        self._touched = {name: seen for name, seen in self._touched.items() if name in alive}

    async def _annotate(self, pod: PodFacts, mark: str) -> None:
        value = mark
        if pod.annotations.get(ANNOTATION_TABLES) == mark:
            value = f"{mark}.again"  # only a change wakes anyone
        try:
            await self._cluster.annotate_pod(pod.name, ANNOTATION_TABLES, value)
        except OperatorError as error:
            # The kubelet finds out by itself, later.
            _log.warning("pod_touch_failed", pod=pod.name, reason=str(error))

    async def _poll(self, selector: Mapping[str, str]) -> PoolView:
        pods = self._cache.pods(selector)
        serving = [pod for pod in pods if pod.is_ready and not pod.is_leaving]
        pages = await asyncio.gather(*(self._pages.page(pod.address) for pod in serving))
        leaving = sum(pod.is_leaving for pod in pods)
        return PoolView(len(pods) - leaving, leaving, len(serving), tuple(pages))
