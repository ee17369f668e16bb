"""The objects that were made for one endpoint: applied in their order, pruned, deleted."""

from collections.abc import Iterable, Sequence

from forebay.core.endpoint_name import EndpointName
from forebay_operator.errors import ApiRefused
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.kinds import Managed, PruneRank, kind_named, kind_of
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache, key_of
from forebay_operator.services.event_recorder import EventRecorder

__all__ = ["EndpointObjects"]


class EndpointObjects:
    """Makes the objects of endpoints what is desired."""

    def __init__(self, applier: Applier, cache: ClusterCache, events: EventRecorder) -> None:
        self._applier = applier
        self._cache = cache
        self._events = events

    async def apply(
        self, endpoint: ClusterEndpoint, desired: Sequence[Managed], *, hold_route: bool
    ) -> str | None:
        """Apply them in their order; returns what the API server refused, None for nothing.

        Args:
            endpoint: Whose.
            desired: What is to be there.
            hold_route: Whether the route stays as it is.

        Raises:
            OperatorError: where it has to be tried again.
        """
        for each in desired:
            if hold_route and _is_route(each):
                # Shared receivers serve it still: no webhook may meet a Service without pods.
                continue
            try:
                applied = await self._applier.apply(each)
            except ApiRefused as error:
                return str(error)
            if applied == "repaired":
                kind, name = key_of(each)
                message = f"{kind} {name} was changed or deleted by hand, and is restored"
                await self._events.record(endpoint, ConditionReason.REPAIRED, message, warning=True)
        return None

    async def prune(self, name: EndpointName, desired: Iterable[Managed]) -> None:
        """Delete what is not desired any more; routes that are still needed stay."""
        await self._applier.prune(self._cache.objects_of(name), map(key_of, desired))

    async def delete_all(self, name: EndpointName) -> None:
        """Delete all that was made for an endpoint."""
        await self._applier.prune(self._cache.objects_of(name), ())


def _is_route(desired: Managed) -> bool:
    return kind_named(kind_of(type(desired))).prune_rank is PruneRank.ROUTE
