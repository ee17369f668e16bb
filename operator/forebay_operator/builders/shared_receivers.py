"""What has to be there for all Shared endpoints together, beside the tables: a pure function."""

from collections.abc import Collection
from typing import Final

from forebay_operator.builders.object_hash import with_object_hash
from forebay_operator.builders.routes import SHARED_ROUTE_COMPONENT, shared_route
from forebay_operator.models.kinds import Managed, ServedKinds
from forebay_operator.settings.config import OperatorConfig

__all__ = ["SHARED_COMPONENTS", "shared_state"]

SHARED_COMPONENTS: Final = frozenset({SHARED_ROUTE_COMPONENT})
"""The component label of all such objects: those that are no longer built are found by it."""


def shared_state(
    hosts: Collection[str], config: OperatorConfig, *, served: ServedKinds
) -> tuple[Managed, ...]:
    """Return the objects of the shared receivers, in the order in which they are applied.

    Args:
        hosts: The hosts of all Shared endpoints.
        config: The settings.
        served: The kinds that the cluster serves.
    """
    shared = config.shared_receivers
    if shared is None:
        return ()
    routes = [shared_route(host, shared, config, served=served) for host in sorted(hosts)]
    return tuple(with_object_hash(each) for each in routes if each is not None)
