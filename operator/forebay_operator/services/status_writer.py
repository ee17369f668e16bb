"""Writes an endpoint's status where it is news, and Events for what a person wants to hear of."""

from collections.abc import Callable
from datetime import datetime

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import TO_BE_MENDED, WAITING, ConditionReason
from forebay_operator.models.status import (
    EndpointStatus,
    changes,
    degradation,
    status_document,
    tellable,
)
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.event_recorder import EventRecorder
from forebay_operator.services.observer import Served
from forebay_operator.services.schedules import load_in_words, with_any_load

__all__ = ["StatusWriter"]


class StatusWriter:
    """Writes to the API server; raises OperatorError where it has to be tried again."""

    def __init__(
        self,
        cluster: Cluster,
        cache: ClusterCache,
        events: EventRecorder,
        now: Callable[[], datetime],
    ) -> None:
        """Prepare; `now` returns the time, with a zone."""
        self._now = now
        self._cluster = cluster
        self._cache = cache
        self._events = events

    async def record_changes(
        self, endpoint: ClusterEndpoint, before: Served | None, served: Served
    ) -> None:
        """Record an Event for what a resync found changed since the one before."""
        if before is None or served.accepted is None:
            return
        old, new = before.accepted, served.accepted
        if before.generation != served.generation:
            message = f"generation {served.generation} of the spec is taken"
            await self._events.record(endpoint, ConditionReason.UPDATED, message)
        elif old is not None and with_any_load(old) != with_any_load(new):
            message = "a Secret's value changed: pods take the new one within seconds"
            await self._events.record(endpoint, ConditionReason.ROTATED, message)
        if old is not None and old.load.window != new.load.window:
            message = load_in_words(new.load)
            await self._events.record(endpoint, ConditionReason.SCHEDULED, message)

    async def write(self, endpoint: ClusterEndpoint, status: EndpointStatus) -> None:
        """Write the status where it is news, and an Event for each condition that changed."""
        before = endpoint.status
        document = status_document(status, before, self._now())
        if document == before:
            return
        self._cache.put_endpoint(await self._cluster.apply_status(endpoint, document))
        for condition in tellable(changes(status, before)):
            is_well = condition.status == "True" and condition.reason not in TO_BE_MENDED
            passing = is_well or condition.reason in WAITING
            await self._events.record(
                endpoint, condition.reason, condition.message, warning=not passing
            )
        lost = degradation(status, before)
        if lost is not None:
            message = f"it was ready and is not any more: {lost.message}"
            await self._events.record(endpoint, ConditionReason.DEGRADED, message, warning=True)
