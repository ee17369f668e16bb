"""The first lists of the cluster: all is read before anything is written."""

import asyncio
from typing import Final

import structlog

from forebay_operator.adapters.cluster import Cluster, Document
from forebay_operator.errors import ApiUnreachable, OperatorError
from forebay_operator.models.kinds import ManagedKind
from forebay_operator.services.cluster_cache import ClusterCache

__all__ = ["fill_cache"]

_log = structlog.get_logger(__name__)

AGAIN_SECONDS = 2.0

_ADVICE: Final = (
    ": if the NetworkPolicy {policy} is in between, give it the port that `kubectl -n default get "
    "endpointslice kubernetes` shows, by the chart's value operator.networkPolicy.apiServerPorts"
)


async def fill_cache(cluster: Cluster, cache: ClusterCache, policy: str) -> tuple[ManagedKind, ...]:
    """List all that matters, again and again until it works; returns the kinds that there are.

    Args:
        cluster: Where it is listed.
        cache: What takes it.
        policy: The operator's own network policy, `namespace/name`: the first to be suspected where
            no connection comes about.
    """
    while True:
        try:
            kinds = await cluster.kinds()
            for kind in kinds:
                for document in await cluster.managed(kind.resource):
                    cache.put_object(document)
            async for pod in cluster.pods():
                cache.put_pod(pod)
            for document in await cluster.endpoints():
                _put(cache, document)
        except OperatorError as error:
            reason = str(error)
            if isinstance(error, ApiUnreachable):
                reason += _ADVICE.format(policy=policy)
            _log.warning("listing_failed", reason=reason, again_in=AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return kinds


def _put(cache: ClusterCache, document: Document) -> None:
    """Take an endpoint; one that cannot be taken keeps nobody from taking the others."""
    try:
        cache.put_endpoint(document)
    except Exception as error:  # noqa: BLE001  # it is anybody's document
        metadata = document.get("metadata") or {}
        name = f"{metadata.get('namespace')}/{metadata.get('name')}"
        _log.error(  # without its content
            "endpoint_not_taken", endpoint=name, reason=type(error).__name__
        )
