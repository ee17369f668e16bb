"""What is not wanted any more and stays for now: until what replaces it, under its name, works.

An Ingress stays until a Gateway has accepted the HTTPRoute that follows it.

An autoscaler stays once a ScaledObject of its name is wanted: KEDA takes it over as it is, and goes
on with it. Until then, and where KEDA's definitions are there and KEDA is not, it scales by CPU as
before. What KEDA took over has lost our label, so it is not one of ours any more. The other way the
ScaledObject goes first, and while it is there nothing is written: the autoscaler is KEDA's, and
Kubernetes collects it after its owner. So of one Deployment there is one autoscaler at any moment,
or for a moment none; its replicas are touched by neither.

If the operator dies in between: all of it follows from what is there, whoever looks next.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey

__all__ = ["is_of_keda", "must_wait", "still_needed", "taken_over"]

_AUTOSCALER: Final = "HorizontalPodAutoscaler"
_SCALED_OBJECT: Final = "ScaledObject"


def still_needed(
    cache: ClusterCache, unwanted: Collection[ObjectKey], wanted: Collection[ObjectKey]
) -> frozenset[ObjectKey]:
    """Return what of the unwanted must not be deleted now."""
    return frozenset(key for key in unwanted if _is_needed(cache, key, wanted))


def _is_needed(cache: ClusterCache, key: ObjectKey, wanted: Collection[ObjectKey]) -> bool:
    match key.kind:
        case "Ingress":
            route = ObjectKey("HTTPRoute", key.name)
            return route in wanted and not _is_accepted(cache.object(route))
        case "HorizontalPodAutoscaler":
            return ObjectKey(_SCALED_OBJECT, key.name) in wanted
        case _:
            return False


def _is_accepted(route: Mapping[str, Any] | None) -> bool:
    parents = ((route or {}).get("status") or {}).get("parents") or ()
    return any(
        condition.get("type") == "Accepted" and condition.get("status") == "True"
        for parent in parents
        for condition in parent.get("conditions") or ()
    )


def must_wait(cache: ClusterCache, key: ObjectKey) -> bool:
    """Say whether an object must not be written yet: an autoscaler whose ScaledObject is there."""
    scaled = ObjectKey(_SCALED_OBJECT, key.name)
    return key.kind == _AUTOSCALER and cache.object(scaled) is not None


def taken_over(key: ObjectKey) -> ObjectKey | None:
    """Return what is somebody else's once an object was written; None for nothing."""
    return ObjectKey(_AUTOSCALER, key.name) if key.kind == _SCALED_OBJECT else None


def is_of_keda(document: Mapping[str, Any]) -> bool:
    """Say whether an object is KEDA's: it goes when its ScaledObject does, by nobody's hand."""
    owners = document["metadata"].get("ownerReferences") or ()
    return any(each.get("kind") == _SCALED_OBJECT for each in owners)
