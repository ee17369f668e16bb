"""What has to be there for no endpoint alone, beside the tables: a pure function.

The routes of all Shared endpoints, and the scalers of the pools that the chart runs.
"""

from collections.abc import Collection
from typing import Final

from forebay_operator.builders.object_hash import with_object_hash
from forebay_operator.builders.routes import SHARED_ROUTE_COMPONENT, shared_route
from forebay_operator.builders.scaling import POOL_SCALER_COMPONENT, pool_scalers
from forebay_operator.models.kinds import Managed, ServedKinds
from forebay_operator.settings.config import OperatorConfig

__all__ = ["SHARED_COMPONENTS", "shared_state"]

SHARED_COMPONENTS: Final = frozenset({SHARED_ROUTE_COMPONENT, POOL_SCALER_COMPONENT})
"""The component label of all such objects: those that are no longer built are found by it."""


def shared_state(
    hosts: Collection[str], config: OperatorConfig, *, served: ServedKinds
) -> tuple[Managed, ...]:
    """Return the objects of no endpoint alone, in the order in which they are applied.

    Args:
        hosts: The hosts of all Shared endpoints.
        config: The settings.
        served: The kinds that the cluster serves.
    """
    shared = config.shared_receivers
    routes = (
        []
        if shared is None
        else [shared_route(host, shared, config, served=served) for host in sorted(hosts)]
    )
    # Routes first: a scaler that is refused keeps no webhook from being received.
    objects = (*routes, *pool_scalers(config, served=served))
    return tuple(with_object_hash(each) for each in objects if each is not None)
