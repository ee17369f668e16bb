"""How much waits in the pool of processors: read once for all who ask, at `/scaling/processors`.

And what each endpoint has in RETRY, which they count (`stream_sweep`).

Every ready processor is asked. Where one does not answer, or none is ready, nothing is known: a sum
of the others would look like less work, and less work takes pods away.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from forebay_operator.adapters.pod_reports import PodPages
from forebay_operator.models.pod_reports import Deliverable
from forebay_operator.models.stored_rows import ParkedItems
from forebay_operator.services.cluster_cache import ClusterCache, PodFacts

__all__ = ["PoolLoad"]

KEPT_SECONDS: Final = 2.0
"""For so long an answer, or that there is none, is given to all who ask."""


class PoolLoad:
    """Asks the processors; one poll serves all who ask at the time."""

    def __init__(
        self,
        cache: ClusterCache,
        pages: PodPages,
        selector: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            cache: Where the pods are.
            pages: Asks them.
            selector: The labels of the processors.
            clock: Seconds that never go back, as the event loop's.
        """
        self._cache = cache
        self._pages = pages
        self._selector = selector
        self._clock = clock
        self._known: tuple[float, asyncio.Task[Deliverable | None]] | None = None

    async def read(self) -> Deliverable | None:
        """Return the sum of items and the greatest age; None where not all of it is known."""
        now = self._clock()
        known = self._known
        if known is None or (known[1].done() and now - known[0] > KEPT_SECONDS):
            known = self._known = (now, asyncio.create_task(self._poll(), name="poll load"))
        # Who stops waiting does not end it for the others.
        return await asyncio.shield(known[1])

    async def parked(self) -> list[ParkedItems] | None:
        """Return what waits in RETRY by all ready processors; None where one did not say."""
        pods = self._ready()
        answers = await asyncio.gather(*(self._pages.parked(pod.address) for pod in pods))
        found = [each for each in answers if each is not None]
        if not found or len(found) < len(pods):
            return None
        return [item for each in found for item in each]

    def _ready(self) -> list[PodFacts]:
        pods = self._cache.pods(self._selector)
        return [pod for pod in pods if pod.is_ready and not pod.is_leaving]

    async def _poll(self) -> Deliverable | None:
        pods = self._ready()
        answers = await asyncio.gather(*(self._pages.deliverable(pod.address) for pod in pods))
        found = [each for each in answers if each is not None]
        if not found or len(found) < len(pods):
            return None
        return Deliverable(
            sum(each.items for each in found), max(each.oldest_seconds for each in found)
        )
