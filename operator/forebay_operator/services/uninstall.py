"""Leaves a cluster: removes what the operator made and its finalizers; the endpoints stay.

Run before the release is uninstalled (`forebay operator --uninstall`). The running operator is
stopped first, or it would make everything again. Streams, endpoints and their CRD are untouched: a
later installation takes them up again.
"""

import asyncio
import time
from typing import Final

import structlog

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.errors import OperatorError
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.names import LABEL_COMPONENT, LABEL_INSTANCE
from forebay_operator.settings.config import OperatorConfig

__all__ = ["uninstall"]

_log = structlog.get_logger(__name__)

GONE_SECONDS: Final = 60.0
"""How long to wait for the running operator to leave."""

POLL_SECONDS: Final = 0.5


async def uninstall(cluster: Cluster, config: OperatorConfig) -> None:
    """Remove all.

    Raises:
        OperatorError: where the API server does not let us.
    """
    await cluster.scale_down(f"{config.name}-operator")
    deadline = time.monotonic() + GONE_SECONDS
    while await _operator_runs(cluster, config):
        if time.monotonic() > deadline:
            message = "the operator's pod does not end: delete it, and try again"
            raise OperatorError(message)
        await asyncio.sleep(POLL_SECONDS)
    for document in await cluster.endpoints():
        endpoint = ClusterEndpoint.of(document)
        if endpoint.has_finalizer:
            await cluster.set_finalizer(endpoint, present=False)
    # Those that others need last.
    kinds = list(reversed(await cluster.kinds()))
    count = 0
    for kind in sorted(kinds, key=lambda each: each.prune_rank):
        for document in await cluster.managed(kind.resource):
            await cluster.delete(kind.resource, document["metadata"]["name"])
            count += 1
    _log.info("uninstalled", objects=count)


async def _operator_runs(cluster: Cluster, config: OperatorConfig) -> bool:
    wanted = {LABEL_COMPONENT: "operator", LABEL_INSTANCE: config.release}.items()
    async for pod in cluster.pods():
        if wanted <= (pod["metadata"].get("labels") or {}).items():
            return True
    return False
