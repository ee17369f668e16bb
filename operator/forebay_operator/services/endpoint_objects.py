"""The objects that were made for one endpoint: applied in their order, pruned, deleted."""

from forebay.core.naming import EndpointName
from forebay_operator.builders.desired import Desired
from forebay_operator.errors import ApiRefused
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.kinds import Managed, PruneRank, kind_named, kind_of
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey, prune_order
from forebay_operator.services.event_recorder import EventRecorder
from forebay_operator.services.routes import still_needed

__all__ = ["EndpointObjects"]


class EndpointObjects:
    """Makes the objects of endpoints what is desired."""

    def __init__(self, applier: Applier, cache: ClusterCache, events: EventRecorder) -> None:
        self._applier = applier
        self._cache = cache
        self._events = events

    async def apply(
        self, endpoint: ClusterEndpoint, desired: Desired, *, hold_route: bool
    ) -> str | None:
        """Apply them in their order; returns what the API server refused, None for nothing.

        Args:
            endpoint: Whose.
            desired: What is to be there.
            hold_route: Whether the route stays as it is.

        Raises:
            OperatorError: where it has to be tried again.
        """
        for each in desired.objects:
            if hold_route and _is_route(each):
                # Shared receivers serve it still: no webhook may meet a Service without pods.
                continue
            try:
                applied = await self._applier.apply(each)
            except ApiRefused as error:
                return str(error)
            if applied == "repaired":
                name = each.metadata.name if each.metadata else ""
                message = (
                    f"{kind_of(type(each))} {name} was changed or deleted by hand, and is put right"
                )
                await self._events.record(endpoint, ConditionReason.REPAIRED, message, warning=True)
        return None

    async def prune(self, name: EndpointName, desired: Desired) -> None:
        """Delete what is not desired any more; routes that are still needed stay."""
        wanted = {
            ObjectKey(kind_of(type(each)), str(each.metadata.name) if each.metadata else "")
            for each in desired.objects
        }
        unwanted = self._cache.objects_of(name) - wanted
        kept = still_needed(self._cache, unwanted, wanted)
        for key in sorted(unwanted - kept, key=prune_order):
            await self._applier.delete(key)

    async def delete_all(self, name: EndpointName) -> None:
        """Delete all that was made for an endpoint."""
        for key in sorted(self._cache.objects_of(name), key=prune_order):
            await self._applier.delete(key)


def _is_route(desired: Managed) -> bool:
    return kind_named(kind_of(type(desired))).prune_rank is PruneRank.ROUTE
