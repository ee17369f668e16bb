"""One pass over one endpoint: the same for create, update, resume, drift and resync.

A resync parses, resolves secrets, applies and prunes; a pass between two of them reads pods and
backlog only. What served well goes on being served while a newer spec or a Secret
cannot be used: a mistake in an edit must not cost webhooks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import msgspec
import structlog

from forebay.core.endpoint_name import EndpointName
from forebay_operator.builders.desired import host_of, isolation_of
from forebay_operator.builders.names import endpoint_selector, processor_selector
from forebay_operator.builders.routes import endpoint_url
from forebay_operator.errors import (
    ApiRefused,
    ObjectChanged,
    StreamsRefused,
    StreamsUnavailable,
)
from forebay_operator.metrics import Age
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.services.acceptance import AcceptedEndpoint, RejectedEndpoint, accept
from forebay_operator.services.conditions import leaving
from forebay_operator.services.endpoint_objects import EndpointObjects
from forebay_operator.services.observer import Served
from forebay_operator.services.placed_endpoint import desired_of, has_other_receivers, put_entry
from forebay_operator.services.reconcile_queue import SHARED
from forebay_operator.services.reconciler_parts import Parts
from forebay_operator.services.schedules import seconds_until_change, sooner
from forebay_operator.services.shard_moves import Placement
from forebay_operator.services.status_writer import StatusWriter
from forebay_operator.services.table_reconciler import POOLS

__all__ = ["ReconcileResult", "Reconciler"]

_log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 1.0
"""Between two passes while something is on its way that passes in seconds."""

WAITING_AT_ONCE: Final = 250
"""Of so many such endpoints; of more each waits longer, five times as long at most: a thousand that
come together would else take a fifth of a core to see that pods are still reading."""

EARLY_WAITS: Final = 60
"""Passes of this kind; what takes longer than a minute does not pass by itself in seconds."""

LEAVE_SECONDS: Final = 45.0
"""How long a deletion waits for pods to read that the endpoint is gone, and for its own to leave:
what they wrote after the purge would stay. Longer than a pod's grace period."""

_TABLES_FULL: Final = RejectedEndpoint(
    condition=ConditionType.ACCEPTED,
    reason=ConditionReason.TABLES_FULL,
    message=(
        "no table has room for what the endpoint brings: have `tables.count` raised in the chart, "
        "or endpoints removed"
    ),
)

SLICE: Final = 500
"""Endpoints that are read in one go for the metrics: less than a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """What came of one pass over an endpoint."""

    result: Literal["ok", "waiting", "refused", "gone"]
    again_in: float | None
    """Seconds until the next one; None for never, unless something happens."""


class Reconciler:
    """Makes the cluster match its endpoints, one at a time."""

    def __init__(self, parts: Parts) -> None:
        self._config = parts.config
        self._cluster = parts.cluster
        self._cache = parts.cache
        self._objects = EndpointObjects(parts.applier, parts.cache, parts.events)
        self._tables = parts.tables
        self._pools = parts.pools
        self._streams = parts.streams
        self._figures = parts.figures
        self._observer = parts.observer
        self._apis = parts.apis
        self._events = parts.events
        self._queue = parts.queue
        self._now = parts.now
        self._shards = parts.shards
        self._moves = parts.moves
        self._writer = StatusWriter(parts.cluster, parts.cache, parts.events, parts.now)
        self._served: dict[EndpointName, Served] = {}
        self._waits: dict[EndpointName, int] = {}
        self._leaving: set[EndpointName] = set()
        self.shared_hosts: dict[EndpointName, str] = {}
        """The host of each Shared endpoint: each needs a route to the shared receivers."""

    def begin(self) -> None:
        """Take the hosts that the shared receivers serve already, before anything is reconciled.

        An endpoint that is rejected from the first pass on, or whose pass fails, has its host
        nowhere else than in its status, and what was made for it is to go on.
        """
        for name, endpoint in self._cache.endpoints.items():
            host = endpoint.served_host
            if host is not None and self._tables.has_shared_route(name):
                self.shared_hosts[name] = host

    async def reconcile(self, name: EndpointName, *, resync: bool) -> ReconcileResult:
        """Make the cluster match one endpoint, as far as it can be done now.

        Raises:
            OperatorError: where it has to be tried again.
        """
        endpoint = self._cache.endpoints.get(name)
        if endpoint is None:
            await self._clear(name)
            self._tables.forget(name)
            self._leaving.discard(name)
            return ReconcileResult(result="gone", again_in=None)
        if endpoint.deleted is not None:
            return await self._finish(endpoint, endpoint.deleted)
        served = self._served.get(name)
        waits = served is not None and (
            served.rejected is _TABLES_FULL or served.is_held_back or served.is_changing_shard
        )
        is_due = served is not None and not self._until_change(served)
        is_news = served is None or served.generation != endpoint.generation
        if served is None or resync or is_news or waits or is_due:
            if not endpoint.has_finalizer:
                self._cache.put_endpoint(await self._cluster.set_finalizer(endpoint, present=True))
                endpoint = self._cache.endpoints.get(name, endpoint)
            if is_news:
                self._waits.pop(name, None)
            before, served = served, await self._serve(endpoint)
            self._served[name] = served
            await self._writer.record_changes(endpoint, before, served)
        status, settled = await self._observer.status(endpoint, served)
        if settled and served.is_moving and served.accepted and served.placement:
            await self._settle(endpoint, served.accepted, served.placement)
            self._served.pop(name, None)
            return ReconcileResult(result="waiting", again_in=0.0)
        if await self._tables.finish_move(name):
            return ReconcileResult(result="waiting", again_in=0.0)
        await self._writer.write(endpoint, status)
        if served.rejected is not None or served.trouble:
            return ReconcileResult(result="refused", again_in=self._config.limits.status_seconds)
        if status.is_true(ConditionType.READY) and not served.is_changing_shard:
            self._waits.pop(name, None)
            # Of pods of its own nobody else polls the pages; of shared ones the sweep does.
            has_pods = served.isolation != "Shared" or served.generation_of_processors is not None
            is_swept = not has_pods and not self._tables.is_moving(name)
            again = None if is_swept else self._config.limits.status_seconds
            again = sooner(again, self._until_change(served))
            return ReconcileResult(result="ok", again_in=again)
        self._waits[name] = self._waits.get(name, 0) + 1
        is_early = self._waits[name] <= EARLY_WAITS
        seconds = self._wait_seconds if is_early else self._config.limits.status_seconds
        return ReconcileResult(result="waiting", again_in=seconds)

    @property
    def _wait_seconds(self) -> float:
        """Between two passes of an endpoint that waits, by how many wait."""
        waiting = len(self._waits) + len(self._leaving)
        return WAIT_SECONDS * min(1.0 + waiting / WAITING_AT_ONCE, 5.0)

    def served(self, name: EndpointName) -> Served | None:
        """Return what the last resync left behind; None where there was none."""
        return self._served.get(name)

    def _until_change(self, served: Served) -> float:
        return seconds_until_change(served.accepted, self._now())

    def ages(self) -> Iterator[Age | None]:
        """Return how old what endpoints trust in is; None after every `SLICE` of them."""
        for number, (name, served) in enumerate(list(self._served.items()), start=1):
            accepted = served.accepted
            if accepted is not None:
                yield Age(name, accepted.secret_changed, accepted.certificate_end)
            if number % SLICE == 0:
                yield None

    def now_with_room(self) -> list[EndpointName]:
        """Return who was refused for want of room in the tables, if some came free since."""
        if not self._tables.take_freed():
            return []
        return [name for name, each in self._served.items() if each.rejected is _TABLES_FULL]

    # --- what is wanted

    async def _serve(self, endpoint: ClusterEndpoint) -> Served:
        name = endpoint.endpoint
        decision = await accept(
            endpoint,
            self._cache.endpoints.values(),
            self._cluster,
            self._config,
            self._now(),
            self._shards,
        )
        if isinstance(decision, RejectedEndpoint):
            return self._rejected(endpoint, decision)
        manifest = decision.manifest
        isolation = isolation_of(manifest, self._config)
        placement = await self._moves.place(manifest, decision.processing)
        route = msgspec.structs.replace(decision.route, shard=placement.shard)
        desired = desired_of(decision, placement, self._config, self._apis.served)
        is_shared = isolation == "Shared"
        moving = has_other_receivers(self._tables, self._cache, name, is_shared=is_shared)
        # The processors first: they know an endpoint before its first webhook comes.
        refused = await self._objects.apply(endpoint, desired.processors, hold_route=False)
        has_room = put_entry(self._tables, manifest, placement)
        taken = Served(
            generation=endpoint.generation,
            accepted=decision,
            rejected=None,
            isolation=isolation,
            url=endpoint_url(name, host_of(manifest, self._config), self._config),
            generation_of_own=desired.generation,
            generation_of_processors=desired.processors_generation,
            placement=placement,
            is_moving=moving,
        )
        if refused is not None or placement.is_held_back:
            return await self._not_yet(taken, placement, refused)
        if has_room and not await self._tables.may_be_received(name):
            trouble = await self._tables.flush(name)
            if trouble or not await self._tables.may_be_received(name):
                return replace(taken, trouble=trouble, is_moving=False, is_held_back=True)
        if has_room and (is_shared or moving):
            # Who leaves the shared receivers makes room: they go on with the route that they have.
            has_room = self._tables.put_route(name, route) or not is_shared
        if not has_room:
            return self._rejected(endpoint, _TABLES_FULL)
        if is_shared or not moving:
            self._set_shared_host(name, host_of(manifest, self._config), isolation)
        trouble = await self._tables.flush(name)
        refused = await self._objects.apply(endpoint, desired.receivers, hold_route=moving)
        if refused is not None:
            trouble["receivers"] = refused
        if not moving and refused is None:
            await self._objects.prune(name, desired.objects)
        return replace(taken, trouble=trouble)

    async def _not_yet(self, taken: Served, placement: Placement, refused: str | None) -> Served:
        """Return what is known of one whose receivers stay as they are, or know nothing of it."""
        trouble = await self._tables.flush(placement.endpoint)
        if refused is not None:
            trouble["processors"] = refused
        held_back = placement.is_held_back
        return replace(taken, trouble=trouble, is_moving=False, is_held_back=held_back)

    def _rejected(self, endpoint: ClusterEndpoint, rejected: RejectedEndpoint) -> Served:
        """Return what is known of an endpoint that stays as it was served before, if it was."""
        before = self._served.get(endpoint.endpoint)
        if not self._moves.has_own(endpoint.endpoint):
            # It was counted when it was judged, and nothing was made for it.
            self._moves.forget(endpoint.endpoint)
        return Served(
            generation=endpoint.generation,
            accepted=None,
            rejected=rejected,
            isolation=before.isolation if before else "",
            url=before.url if before else endpoint.status.get("url"),
            placement=before.placement if before else None,
        )

    async def _settle(
        self, endpoint: ClusterEndpoint, accepted: AcceptedEndpoint, placement: Placement
    ) -> None:
        """End a move: the new receivers serve, so the old ones may go."""
        name = endpoint.endpoint
        desired = desired_of(accepted, placement, self._config, self._apis.served)
        if isolation_of(accepted.manifest, self._config) == "Dedicated":
            refused = await self._objects.apply(endpoint, desired.receivers, hold_route=False)
            if refused is not None:
                # The shared receivers serve it until the new route is there.
                raise ApiRefused(refused)
            self._tables.put_route(name, None)
            await self._flush(name)
        else:
            await self._objects.prune(name, desired.objects)

    def _set_shared_host(self, name: EndpointName, host: str | None, isolation: str) -> None:
        before = self.shared_hosts.get(name)
        if isolation == "Shared" and host is not None:
            self.shared_hosts[name] = host
        else:
            self.shared_hosts.pop(name, None)
        if before != self.shared_hosts.get(name):
            self._queue.enqueue(SHARED)

    # --- the end

    async def _clear(self, name: EndpointName) -> None:
        """Remove what is left of an endpoint that is gone."""
        self._served.pop(name, None)
        self._waits.pop(name, None)
        self._figures.forget(name)
        self._moves.forget(name)
        self._set_shared_host(name, None, "")
        self._tables.mark_deleted(name)
        await self._flush(name)
        await self._objects.delete_all(name)

    async def _finish(self, endpoint: ClusterEndpoint, since: datetime) -> ReconcileResult:
        """End an endpoint: remove its entries, objects and messages, drop its finalizer."""
        name = endpoint.endpoint
        if not endpoint.has_finalizer:
            return ReconcileResult(result="gone", again_in=None)
        await self._clear(name)
        age = (self._now() - since).total_seconds()
        if age < LEAVE_SECONDS and not await self._is_left_alone(name):
            self._leaving.add(name)
            return ReconcileResult(result="waiting", again_in=self._wait_seconds)
        try:
            for shard in self._shards.of(endpoint):
                await self._streams.purge(shard, name)
        except (StreamsUnavailable, StreamsRefused) as error:
            if age < self._config.limits.deletion_grace_period_seconds:
                await self._writer.write(endpoint, leaving(endpoint, str(error)))
                return ReconcileResult(result="waiting", again_in=WAIT_SECONDS)
            message = (
                "its messages could not be purged, for NATS was away: they go when they reach "
                f"the age of their streams ({error})"
            )
            await self._events.record(
                endpoint, ConditionReason.PURGE_GIVEN_UP, message, warning=True
            )
            _log.warning("purge_given_up", endpoint=str(name), reason=str(error))
        await self._events.record(endpoint, ConditionReason.DELETED, "all that was made is gone")
        self._events.forget(endpoint)
        try:
            self._cache.put_endpoint(await self._cluster.set_finalizer(endpoint, present=False))
        except ObjectChanged:
            _log.info("endpoint_already_gone", endpoint=str(name))
        self._cache.forget(endpoint)
        self._tables.forget(name)
        self._leaving.discard(name)
        _log.info("endpoint_deleted", endpoint=str(name))
        return ReconcileResult(result="gone", again_in=None)

    async def _flush(self, name: EndpointName) -> None:
        """Write the tables of an endpoint; a refusal is tried again."""
        refused = await self._tables.flush(name)
        for message in refused.values():
            raise ApiRefused(message)

    async def _is_left_alone(self, name: EndpointName) -> bool:
        """Say whether nobody writes for an endpoint any more."""
        for labels in (endpoint_selector, processor_selector):
            own = await self._pools.view(labels(name, self._config))
            if own.total or own.leaving:
                return False
        await self._flush(name)
        for pool in reversed(POOLS):
            selector = self._tables.selector(pool)
            if selector is None:
                continue
            view = await self._pools.view(selector)
            if view.having(self._tables.readings(pool, name)) < view.ready:
                await self._tables.touch(pool, name)
                return False
        return True
