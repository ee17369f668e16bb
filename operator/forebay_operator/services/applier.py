"""Writes objects, but only those that differ from what is there, and knows which were repaired."""

import asyncio
from collections.abc import Iterable
from typing import Literal

import structlog

from forebay_operator.adapters.cluster import Cluster, Document
from forebay_operator.builders.object_hash import document_of, has_all
from forebay_operator.errors import OperatorError
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.models.kinds import Managed, kind_named, kind_of
from forebay_operator.models.names import ANNOTATION_DESIRED
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey, prune_order
from forebay_operator.services.deferred_pruning import (
    is_of_keda,
    must_wait,
    still_needed,
    taken_over,
)

__all__ = ["Applied", "Applier"]

_log = structlog.get_logger(__name__)

Applied = Literal["same", "changed", "repaired"]
"""What an apply did: nothing, what was wanted anew, or what someone else had undone."""


class Applier:
    """Makes the cluster match, one object at a time."""

    def __init__(
        self,
        cluster: Cluster,
        cache: ClusterCache,
        metrics: OperatorMetrics,
        recheck: asyncio.Event,
    ) -> None:
        """Prepare.

        Args:
            cluster: Where objects are.
            cache: What is known of them.
            metrics: Where to record what was written.
            recheck: Set where an optional kind could not be applied: its API may be gone.
        """
        self._cluster = cluster
        self._recheck = recheck
        self._cache = cache
        self._metrics = metrics
        self._made: set[ObjectKey] = set()

    async def apply(self, desired: Managed) -> Applied:
        """Apply an object with its hash where it differs."""
        kind = kind_of(type(desired))
        wanted = document_of(desired)
        key = ObjectKey(kind, wanted["metadata"]["name"])
        live = self._cache.object(key)
        if must_wait(self._cache, key):
            return "same"
        if live is not None and has_all(live, wanted):
            self._note_made(key, live)
            return "same"
        repaired = self._is_repair(key, live, wanted)
        try:
            answer = await self._cluster.apply(desired)
        except OperatorError:
            if kind_named(kind).is_optional:
                self._recheck.set()
            raise
        self._note_made(key, answer)
        changed = (
            live is None
            or live["metadata"]["resourceVersion"] != answer["metadata"]["resourceVersion"]
        )
        self._cache.put_object(answer)
        if changed:
            self._metrics.wrote(kind)
        if repaired:
            self._metrics.repaired()
            _log.info("drift_repaired", kind=kind, name=key.name)
            return "repaired"
        return "changed" if changed else "same"

    async def delete(self, key: ObjectKey) -> None:
        """Delete an object of ours."""
        kind = kind_named(key.kind)
        await self._cluster.delete(kind.resource, key.name)
        if not kind.is_held_by_others:
            self._cache.forget_object(key)
        self._made.discard(key)
        self._metrics.wrote(key.kind)
        _log.info("object_deleted", kind=key.kind, name=key.name)

    async def prune(self, there: Iterable[ObjectKey], wanted: Iterable[ObjectKey]) -> None:
        """Delete what is not wanted any more, in its order; routes that are still needed stay."""
        kept = set(wanted)
        unwanted = set(there) - kept
        for key in sorted(unwanted - still_needed(self._cache, unwanted, kept), key=prune_order):
            live = self._cache.object(key)
            if live is None or "deletionTimestamp" not in live["metadata"]:
                await self.delete(key)

    def _note_made(self, key: ObjectKey, document: Document) -> None:
        """Remember what is ours: that it differs, or is gone, is somebody's doing from now on."""
        if is_of_keda(document):
            self._made.discard(key)
        else:
            self._made.add(key)
        others = taken_over(key)
        if others is not None:
            self._made.discard(others)

    def forget(self, kind: str) -> None:
        """Forget what was made of a kind whose API went: that they are gone is no drift."""
        self._made = {key for key in self._made if key.kind != kind}

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
