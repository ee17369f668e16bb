"""Whether the cluster has the Gateway API: it may be installed, or removed, at any time."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

import structlog

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.errors import OperatorError
from forebay_operator.models.gateway import HTTPRoute
from forebay_operator.services.cluster_cache import ClusterCache

__all__ = ["Gateway"]

_log = structlog.get_logger(__name__)


class Gateway:
    """Asks the API server from time to time; `run` is its one task."""

    def __init__(
        self, cluster: Cluster, cache: ClusterCache, seconds: float, *, is_there: bool
    ) -> None:
        """Prepare.

        Args:
            cluster: Whom to ask.
            cache: Takes the routes that are there already.
            seconds: Between two questions.
            is_there: What is known by now.
        """
        self._cluster = cluster
        self._cache = cache
        self._seconds = seconds
        self.is_there = is_there
        self.on_change: Callable[[], None] = lambda: None
        """Called when `is_there` changed."""

    async def run(self) -> NoReturn:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                is_there = HTTPRoute in await self._cluster.kinds()
                routes = await self._cluster.managed(HTTPRoute) if is_there else []
            except OperatorError as error:
                _log.debug("discovery_failed", reason=str(error))
                continue
            if is_there == self.is_there:
                continue
            for route in routes:
                self._cache.put_object(route)
            self.is_there = is_there
            _log.info("gateway_api_changed", is_there=is_there)
            self.on_change()
