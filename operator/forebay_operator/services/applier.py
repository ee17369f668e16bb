"""Writes objects, but only those that differ from what is there, and knows which were repaired."""

from typing import Final, Literal

import structlog
from lightkube.core.resource import NamespacedResourceG

from forebay_operator.adapters.cluster import KINDS, Cluster, kind_of
from forebay_operator.builders.object_hash import Managed, document_of, has_all
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.models.gateway import HTTPRoute
from forebay_operator.models.names import ANNOTATION_DESIRED
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey

__all__ = ["Applied", "Applier"]

_log = structlog.get_logger(__name__)

_ALL_KINDS: Final[tuple[type[NamespacedResourceG], ...]] = (*KINDS, HTTPRoute)
_BY_KIND: Final = {kind_of(kind): kind for kind in _ALL_KINDS}

Applied = Literal["same", "changed", "repaired"]
"""What an apply did: nothing, what was wanted anew, or what someone else had undone."""


class Applier:
    """Makes the cluster match, one object at a time."""

    def __init__(self, cluster: Cluster, cache: ClusterCache, metrics: OperatorMetrics) -> None:
        self._cluster = cluster
        self._cache = cache
        self._metrics = metrics
        self._made: set[ObjectKey] = set()

    async def apply(self, desired: Managed) -> Applied:
        """Apply an object with its hash where it differs."""
        kind = kind_of(type(desired))
        wanted = document_of(desired)
        key = ObjectKey(kind, wanted["metadata"]["name"])
        live = self._cache.object(key)
        if live is not None and has_all(live, wanted):
            self._made.add(key)
            return "same"
        repaired = self._is_repair(key, live, wanted)
        if repaired:
            self._metrics.repaired()
            _log.info("drift_repaired", kind=kind, name=key.name)
        answer = await self._cluster.apply(desired)
        self._made.add(key)
        changed = (
            live is None
            or live["metadata"]["resourceVersion"] != answer["metadata"]["resourceVersion"]
        )
        self._cache.put_object(answer)
        if changed:
            self._metrics.wrote(kind)
        if repaired:
            return "repaired"
        return "changed" if changed else "same"

    async def delete(self, key: ObjectKey) -> None:
        """Delete an object of ours."""
        await self._cluster.delete(_BY_KIND[key.kind], key.name)
        self._cache.forget_object(key)
        self._made.discard(key)
        self._metrics.wrote(key.kind)
        _log.info("object_deleted", kind=key.kind, name=key.name)

    def _is_repair(self, key: ObjectKey, live: object, wanted: object) -> bool:
        """Say whether someone else did this: we made it, and want nothing new of it."""
        if live is None:
            return key in self._made
        return _stamp_of(live) == _stamp_of(wanted)


def _stamp_of(document: object) -> object:
    if not isinstance(document, dict):
        return None
    annotations = document["metadata"].get("annotations") or {}
    return annotations.get(ANNOTATION_DESIRED)
