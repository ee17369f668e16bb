"""Polls all that statuses are made of, once for all endpoints, and has those passed that change.

An endpoint that is ready and shared has no timer of its own: a pass is made when something happened
to it, at a resync, and when this sweep sees that its status would say something else. So standing
still costs a few questions and a comparison for each endpoint, not a pass.
"""

import asyncio
import random
from typing import Final, Protocol

from forebay.core.endpoint_name import EndpointName
from forebay_operator.services.observer import Served
from forebay_operator.services.reconciler_parts import Parts
from forebay_operator.services.table_reconciler import POOLS

__all__ = ["ServedEndpoints", "StatusSweep"]

SLICE: Final = 200
"""Endpoints that are compared in one go: some milliseconds."""


class ServedEndpoints(Protocol):
    """Knows what the last resync of each endpoint left behind."""

    def served(self, name: EndpointName) -> Served | None:
        """Return it; None where there was none."""


class StatusSweep:
    """Decides who needs a pass; `run` is its one task."""

    def __init__(self, parts: Parts, reconciler: ServedEndpoints) -> None:
        """Prepare.

        Args:
            parts: What reconcilers work with: all that is polled at, and who is passed.
            reconciler: Knows what serves each endpoint.
        """
        self._cache = parts.cache
        self._figures = parts.figures
        self._observer = parts.observer
        self._reconciler = reconciler
        self._pools = parts.pools
        selectors = [parts.tables.selector(pool) for pool in POOLS]
        self._selectors = [each for each in selectors if each is not None]
        self._queue = parts.queue
        self._seen_pools: list[object] | None = None
        self.polled = asyncio.Event()
        """Set once the streams were polled at: before that nobody knows what a status is to say."""

    async def run(self, seconds: float, chance: random.Random) -> None:
        """Poll now and then; until cancelled.

        Args:
            seconds: Between two polls.
            chance: Spreads them a little, so that they meet nobody else's period.
        """
        while True:
            await self.poll()
            await asyncio.sleep(seconds * (0.95 + 0.1 * chance.random()))

    async def poll(self) -> None:
        """Poll once."""
        await self._figures.poll(list(self._cache.endpoints.values()))
        self.polled.set()
        await self._poll_pools()
        for number, (name, endpoint) in enumerate(list(self._cache.endpoints.items()), start=1):
            served = self._reconciler.served(name)
            if served is not None and await self._observer.is_news(endpoint, served):
                self._queue.enqueue(name, resync=False, live=False)
            if number % SLICE == 0:
                await asyncio.sleep(0)

    async def _poll_pools(self) -> None:
        """Have all passed where a shared pool changed: its number of pods, or what they warn of."""
        seen: list[object] = []
        for selector in self._selectors:
            view = await self._pools.view(selector)
            # Not who did not answer this once: what is asked for twice a minute fails now and then,
            # and every status would say so. A pod that hangs is soon no longer ready.
            seen.append((view.total, view.leaving, view.ready, tuple(view.warnings)))
        before, self._seen_pools = self._seen_pools, seen
        if before is not None and before != seen:
            self._queue.enqueue_all()
