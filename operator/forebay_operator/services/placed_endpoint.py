"""From where an endpoint is to be, to the objects and the table entries that follow from that."""

import msgspec

from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import WebhookEndpoint
from forebay.core.subjects import dedicated_shard
from forebay_operator.builders.dedicated_processors import OwnProcessing
from forebay_operator.builders.desired import Desired, desired_state
from forebay_operator.builders.names import RECEIVER_COMPONENT
from forebay_operator.models.kinds import ServedKinds
from forebay_operator.services.acceptance import AcceptedEndpoint
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.shard_moves import Placement
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.settings.config import OperatorConfig

__all__ = ["desired_of", "has_other_receivers", "put_entry"]


def desired_of(
    accepted: AcceptedEndpoint, placement: Placement, config: OperatorConfig, served: ServedKinds
) -> Desired:
    """Return the objects of an endpoint; its route leads to the streams where it is to be."""
    route = msgspec.structs.replace(accepted.route, shard=placement.shard)
    own = None
    if placement.has_own:
        entry = placement.entries.get(dedicated_shard(route.endpoint))
        own = OwnProcessing(entry=entry, has_pods=placement.has_pods)
    return desired_state(accepted.manifest, route, config, served=served, own=own)


def put_entry(tables: RouteTables, manifest: WebhookEndpoint, placement: Placement) -> bool:
    """Let the shared processors know an endpoint, or not; False where no table has room for it."""
    entry = placement.entries.get(manifest.spec.processing.shard)
    if entry is not None:
        return tables.put_endpoint(entry)
    tables.withhold(manifest.endpoint)
    return True


def has_other_receivers(
    tables: RouteTables, cache: ClusterCache, name: EndpointName, *, is_shared: bool
) -> bool:
    """Say whether receivers of the kind that is not wanted are told of an endpoint."""
    if is_shared:
        return bool(cache.objects_of(name, RECEIVER_COMPONENT))
    return tables.has_shared_route(name)
