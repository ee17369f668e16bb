"""The kinds of objects that the operator makes: one table, which all that treats kinds alike reads.

From it follow what is listed at the start and watched, the order in which objects are deleted, what
may be missing in a cluster, the tests' helpers, and the rights that the chart has to grant
(`tests/chart/test_chart_operator_rights.py`). What an object looks like is in `builders/`.
`docs/development/adding.md` says what a further kind needs.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from lightkube.core.resource import ApiInfo, NamespacedResourceG, api_info
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.resources.core_v1 import Secret, Service, ServiceAccount
from lightkube.resources.networking_v1 import Ingress, NetworkPolicy
from lightkube.resources.policy_v1 import PodDisruptionBudget

from forebay_operator.models.apis.gateway import HTTPRoute
from forebay_operator.models.apis.keda import ScaledObject

__all__ = [
    "KINDS",
    "VERBS",
    "Managed",
    "ManagedKind",
    "PruneRank",
    "ServedKinds",
    "kind_named",
    "kind_of",
]

Managed: TypeAlias = (
    ServiceAccount
    | Secret
    | Service
    | Deployment
    | PodDisruptionBudget
    | HorizontalPodAutoscaler
    | NetworkPolicy
    | Ingress
    | HTTPRoute
    | ScaledObject
)
"""Every kind of object that the operator makes; `test_operator_kinds` holds `KINDS` to it."""

ServedKinds: TypeAlias = Collection[type[NamespacedResourceG]]
"""Kinds that the cluster serves: builders ask whether an optional one is among them."""


class PruneRank(IntEnum):
    """When an object is deleted among others that go at the same time: the lowest first."""

    ROUTE = 0
    """Leads to pods: goes first, so that nothing leads to pods that go. A route is also what waits
    while an endpoint moves to other receivers."""

    OTHER = 1
    """Serves pods, or is them."""


VERBS: Final = ("get", "list", "watch", "create", "patch", "delete")
"""What the operator has to be allowed with each kind in its own namespace: a server-side apply is a
`patch`, and a `create` where the object is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedKind:
    """One kind, and how it is treated."""

    resource: type[Managed]
    """lightkube's class, or one of `models/` for an API that is not Kubernetes' own."""

    prune_rank: PruneRank

    is_optional: bool = False
    """Whether its API may be missing, or come and go: `services/optional_apis.py` asks for it."""

    is_status_watched: bool = False
    """Whether what its controller writes into the status is a reason to apply again."""

    is_held_by_others: bool = False
    """Whether its controller holds it by a finalizer: it is there until its watch says otherwise,
    whoever deleted it."""

    @property
    def _info(self) -> ApiInfo:
        info: ApiInfo = api_info(self.resource)
        return info

    @property
    def name(self) -> str:
        """The kind, such as `Deployment`."""
        return str(self._info.resource.kind)

    @property
    def group(self) -> str:
        """The API's group; empty for the core."""
        return str(self._info.resource.group)

    @property
    def version(self) -> str:
        """The version that is spoken."""
        return str(self._info.resource.version)

    @property
    def plural(self) -> str:
        """What the kind is called in paths and in RBAC, such as `deployments`."""
        return str(self._info.plural)


KINDS: Final = (
    ManagedKind(resource=ServiceAccount, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=Secret, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=Service, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=Deployment, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=PodDisruptionBudget, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=HorizontalPodAutoscaler, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=NetworkPolicy, prune_rank=PruneRank.OTHER),
    ManagedKind(resource=Ingress, prune_rank=PruneRank.ROUTE),
    ManagedKind(
        resource=HTTPRoute,
        prune_rank=PruneRank.ROUTE,
        is_optional=True,
        # A Gateway's word on a route is a reason to see whether the Ingress before it may go.
        is_status_watched=True,
    ),
    ManagedKind(
        resource=ScaledObject,
        prune_rank=PruneRank.OTHER,
        is_optional=True,
        is_held_by_others=True,
    ),
)
"""All of them, those that others need first."""

_BY_NAME: Final = {each.name: each for each in KINDS}


def kind_named(name: str) -> ManagedKind:
    """Return the entry of a kind by its name, such as `Deployment`."""
    return _BY_NAME[name]


def kind_of(resource: type[NamespacedResourceG]) -> str:
    """Return the name of any kind, be it ours or not."""
    return str(api_info(resource).resource.kind)
