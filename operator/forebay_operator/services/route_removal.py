"""When a route that is not wanted any more may go: once the one that replaces it leads here."""

from collections.abc import Collection, Mapping
from typing import Any

from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey

__all__ = ["still_needed"]


def still_needed(
    cache: ClusterCache, unwanted: Collection[ObjectKey], wanted: Collection[ObjectKey]
) -> frozenset[ObjectKey]:
    """Return the Ingresses whose HTTPRoute no Gateway has accepted yet.

    The Gateway API can be installed long before a Gateway works: webhooks go on coming by the
    Ingress, which has the same name.
    """
    return frozenset(
        key
        for key in unwanted
        if key.kind == "Ingress"
        and (route := ObjectKey("HTTPRoute", key.name)) in wanted
        and not _is_accepted(cache.object(route))
    )


def _is_accepted(route: Mapping[str, Any] | None) -> bool:
    parents = ((route or {}).get("status") or {}).get("parents") or ()
    return any(
        condition.get("type") == "Accepted" and condition.get("status") == "True"
        for parent in parents
        for condition in parent.get("conditions") or ()
    )
