"""What belongs to no endpoint alone: shared tables, routes to the shared receivers, scalers."""

from collections.abc import Collection

from forebay_operator.builders.shared_receivers import SHARED_COMPONENTS, shared_state
from forebay_operator.errors import ApiRefused
from forebay_operator.models.names import LABEL_COMPONENT
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey, key_of
from forebay_operator.services.optional_apis import OptionalApis
from forebay_operator.services.reconciler import ReconcileResult
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.settings.config import OperatorConfig

__all__ = ["SharedParts"]


class SharedParts:
    """Reconciles the tables, the shared routes, and the scalers of the chart's pools."""

    def __init__(
        self,
        config: OperatorConfig,
        cache: ClusterCache,
        applier: Applier,
        tables: RouteTables,
        apis: OptionalApis,
    ) -> None:
        self._config = config
        self._cache = cache
        self._applier = applier
        self._tables = tables
        self._apis = apis

    async def reconcile(self, hosts: Collection[str], *, complete: bool) -> ReconcileResult:
        """Make the cluster match.

        Args:
            hosts: The hosts of all Shared endpoints that are known by now.
            complete: Whether these are all, so that a route that is not among them can go.

        Raises:
            OperatorError: where something has to be tried again.
        """
        # A table that is refused must not keep the routes waiting, nor one scaler the other.
        refusals = await self._tables.flush_all()
        wanted: set[ObjectKey] = set()
        for each in shared_state(hosts, self._config, served=self._apis.served):
            wanted.add(key_of(each))
            try:
                await self._applier.apply(each)
            except ApiRefused as error:
                refusals.append(error)
        if complete:
            there = self._cache.objects(
                lambda _, document: (
                    document["metadata"]["labels"].get(LABEL_COMPONENT) in SHARED_COMPONENTS
                )
            )
            await self._applier.prune(there, wanted)
        for refusal in refusals:
            raise refusal
        return ReconcileResult(result="ok", again_in=None)
