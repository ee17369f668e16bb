"""What is: an endpoint's status as pods, streams and NATS show it now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import dedicated_shard
from forebay_operator.builders.names import endpoint_selector, processor_selector
from forebay_operator.builders.receiver_size import receiver_size
from forebay_operator.builders.tables import DEDICATED_FILE, DEDICATED_PROCESSORS_FILE, Pool
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.models.status import Condition, EndpointStatus, PodCount, status_figures
from forebay_operator.services.acceptance import AcceptedEndpoint, RejectedEndpoint
from forebay_operator.services.conditions import complete, false, pool_condition, true
from forebay_operator.services.destination_health import Breakers
from forebay_operator.services.endpoint_backlog import EndpointFigures
from forebay_operator.services.shard_moves import Placement
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.table_readers import Pools
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.settings.config import OperatorConfig

__all__ = ["Observer", "Served"]

_ACCEPTED: Final = "the spec can be used"
_SECRETS: Final = "every Secret is there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the last resync left behind."""

    generation: int
    accepted: AcceptedEndpoint | None
    rejected: RejectedEndpoint | None
    isolation: str
    url: str | None
    generation_of_own: str | None = None
    """Of the Dedicated receivers' own table; None where it is served by the shared ones."""

    generation_of_processors: str | None = None
    """Of its own processors' table; None where it has no streams of its own."""

    placement: Placement | None = None
    """Where its webhooks go; None while that was never decided."""

    trouble: Mapping[Pool, str] = field(default_factory=dict)
    """What the API server said when it refused an object or a table."""

    is_held_back: bool = False
    """Whether receivers must not know it yet, for processors still take it for deleted."""

    is_moving: bool = False
    """Whether receivers of the other kind are still there until the new ones serve."""

    @property
    def is_changing_shard(self) -> bool:
        """Whether it is on its way to other streams."""
        return self.placement is not None and bool(self.placement.message)


class Observer:
    """Reads how what serves an endpoint is."""

    def __init__(
        self,
        config: OperatorConfig,
        tables: RouteTables,
        pools: Pools,
        shards: Shards,
        figures: EndpointFigures,
        breakers: Breakers,
    ) -> None:
        self._config = config
        self._tables = tables
        self._pools = pools
        self._shards = shards
        self._figures = figures
        self._breakers = breakers

    async def status(
        self, endpoint: ClusterEndpoint, served: Served
    ) -> tuple[EndpointStatus, bool]:
        """Return the status, and whether the wanted receivers serve."""
        found: list[Condition] = []
        receivers = processors = None
        backlog = sizing = load = None
        rejected = served.rejected
        if rejected is not None:
            if rejected.condition is ConditionType.SECRETS_READY:
                found.append(true(ConditionType.ACCEPTED, ConditionReason.ACCEPTED, _ACCEPTED))
            found.append(false(rejected.condition, rejected.reason, rejected.message))
        accepted = served.accepted
        serving = False
        if accepted is not None:
            found.append(true(ConditionType.ACCEPTED, ConditionReason.ACCEPTED, _ACCEPTED))
            found.append(_secrets_condition(accepted))
            shard = served.placement.shard if served.placement else accepted.route.shard
            found.append(self._streams_condition(shard))
            condition, receivers = await self._receivers(endpoint.endpoint, served)
            serving = condition.status == "True"
            found.append(_unless_refused(condition, served.trouble.get("receivers")))
            condition, processors = await self._processors(endpoint.endpoint, served)
            found.append(_unless_refused(condition, served.trouble.get("processors")))
            found.append(await self._breakers.condition(endpoint, _destinations(accepted)))
            if served.isolation == "Dedicated":
                sizing = receiver_size(accepted.manifest, self._config)
            backlog = self._figures.backlog(endpoint)
            load = accepted.load
        status = EndpointStatus(
            observed_generation=endpoint.generation,
            conditions=complete(found),
            url=served.url,
            isolation=served.isolation or None,
            receivers=receivers,
            processors=processors,
            sizing=sizing,
            load=load,
            backlog=backlog,
            shard=_shown_shard(endpoint, served),
            last_event_time=self._figures.latest(endpoint),
        )
        return status, serving

    async def is_news(self, endpoint: ClusterEndpoint, served: Served) -> bool:
        """Say whether the status would say something else of streams or destinations.

        What else it says changes by events only: of pods, Secrets, the spec, the streams' state.
        """
        status = status_figures(
            self._figures.backlog(endpoint) if served.accepted else None,
            self._figures.latest(endpoint),
        )
        if any(endpoint.status.get(name) != value for name, value in status.items()):
            return True
        accepted = served.accepted
        return accepted is not None and await self._breakers.is_news(
            endpoint, _destinations(accepted)
        )

    def _streams_condition(self, shard: str) -> Condition:
        state = self._shards.state(shard)
        if state.reason is None:
            message = f"the streams of shard {shard!r} are there"
            return true(ConditionType.STREAMS_READY, ConditionReason.STREAMS_THERE, message)
        return false(ConditionType.STREAMS_READY, state.reason, state.message)

    async def _receivers(self, name: EndpointName, served: Served) -> tuple[Condition, PodCount]:
        generation = served.generation_of_own
        if generation is None:
            if served.is_held_back:
                view = await self._pools.view(self._tables.selector("receivers") or {})
                return pool_condition("receivers", view, 0, self._config.namespace)
            return await self._shared_pool("receivers", name)
        selector = endpoint_selector(name, self._config)
        return await self._own_pool("receivers", selector, DEDICATED_FILE, generation)

    async def _processors(self, name: EndpointName, served: Served) -> tuple[Condition, PodCount]:
        placement, generation = served.placement, served.generation_of_processors
        own = dedicated_shard(name)
        if placement is None or generation is None or placement.shard != own:
            condition, count = await self._shared_pool("processors", name)
        else:
            condition, count = await self._own_pool(
                "processors",
                processor_selector(name, self._config),
                DEDICATED_PROCESSORS_FILE,
                generation,
            )
        if placement is None or not placement.message or condition.status != "True":
            return condition, count
        message = f"it is moved {placement.message}"
        if placement.is_waiting:
            message += "; what comes is stored and waits"
            return false(condition.type, ConditionReason.MOVING, message), count
        return true(condition.type, ConditionReason.MOVING, message), count

    async def _own_pool(
        self, pool: Pool, selector: Mapping[str, str], file: str, generation: str
    ) -> tuple[Condition, PodCount]:
        view = await self._pools.view(selector)
        having = view.having({file: {generation}})
        if having < view.ready:
            await self._pools.touch(selector, f"{file}.{generation}")
        return pool_condition(pool, view, having, self._config.namespace)

    async def _shared_pool(self, pool: Pool, name: EndpointName) -> tuple[Condition, PodCount]:
        view = await self._pools.view(self._tables.selector(pool) or {})
        having = view.having(self._tables.readings(pool, name))
        if having < view.ready:
            await self._tables.touch(pool, name)
        return pool_condition(pool, view, having, self._config.namespace)


def _destinations(accepted: AcceptedEndpoint) -> frozenset[str]:
    return frozenset(each.name for each in accepted.processing.destinations)


def _shown_shard(endpoint: ClusterEndpoint, served: Served) -> str | None:
    """Return where its webhooks are stored, for commands; None where the spec says so already."""
    shard = served.placement.shard if served.placement else endpoint.shard
    return None if shard == endpoint.shard else shard


def _secrets_condition(accepted: AcceptedEndpoint) -> Condition:
    if not accepted.warnings:
        return true(ConditionType.SECRETS_READY, ConditionReason.SECRETS_FOUND, _SECRETS)
    message = f"{_SECRETS}; to be checked: {'; '.join(accepted.warnings)}"
    return true(ConditionType.SECRETS_READY, ConditionReason.SECRETS_WARN, message)


def _unless_refused(condition: Condition, refusal: str | None) -> Condition:
    return (
        condition
        if refusal is None
        else false(condition.type, ConditionReason.API_REFUSED, refusal)
    )
