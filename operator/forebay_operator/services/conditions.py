"""The words of conditions: from what was seen of an endpoint to what its status says."""

from collections.abc import Iterable

from forebay_operator.builders.tables import Pool
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.models.status import Condition, EndpointStatus, PodCount
from forebay_operator.services.table_readers import PoolView

__all__ = ["complete", "false", "leaving", "pool_condition", "true"]


def true(kind: ConditionType, reason: ConditionReason, message: str) -> Condition:
    """Return a condition that holds."""
    return Condition(type=kind, status="True", reason=reason, message=message)


def false(kind: ConditionType, reason: ConditionReason, message: str) -> Condition:
    """Return a condition that does not."""
    return Condition(type=kind, status="False", reason=reason, message=message)


def complete(found: list[Condition]) -> tuple[Condition, ...]:
    """Add the conditions that were not reached, and Ready, which sums up all but destinations."""
    known = {condition.type: condition for condition in found}
    result: list[Condition] = []
    for kind in ConditionType:
        if kind is ConditionType.READY:
            result.append(_ready(result))
            continue
        result.append(
            known.get(kind)
            or Condition(
                type=kind,
                status="Unknown",
                reason=ConditionReason.NOT_REACHED,
                message="an earlier condition is false",
            )
        )
    return tuple(result)


def _ready(parts: Iterable[Condition]) -> Condition:
    """Return what all conditions that stand before Ready come to."""
    bad = next((condition for condition in parts if condition.status != "True"), None)
    if bad is None:
        return true(ConditionType.READY, ConditionReason.READY, "webhooks are taken and delivered")
    return false(ConditionType.READY, bad.reason, bad.message)


def leaving(endpoint: ClusterEndpoint, why: str) -> EndpointStatus:
    """Return the status of an endpoint whose end waits for NATS."""
    message = f"being deleted; waiting to purge its messages: {why}"
    return EndpointStatus(
        observed_generation=endpoint.generation,
        conditions=(
            false(ConditionType.STREAMS_READY, ConditionReason.NATS_UNREACHABLE, why),
            false(ConditionType.READY, ConditionReason.DELETING, message),
        ),
        url=endpoint.status.get("url"),
    )


def pool_condition(
    pool: Pool, view: PoolView, having: int, namespace: str
) -> tuple[Condition, PodCount]:
    """Return whether a pool serves an endpoint, and by how many pods.

    Args:
        pool: Which of the two.
        view: Its pods.
        having: How many of the ready ones have the endpoint's table.
        namespace: Forebay's own, where the pods are.
    """
    is_receivers = pool == "receivers"
    kind = ConditionType.RECEIVERS_READY if is_receivers else ConditionType.PROCESSORS_READY
    what = pool.removesuffix("s")
    count = PodCount(ready=having, total=view.total)
    if view.ready == 0:
        message = (
            f"no {what} is ready ({view.total} there): if it stays so, check the pods in "
            f"namespace {namespace!r}"
        )
        return false(kind, ConditionReason.NO_POD_READY, message), count
    if having < view.ready:
        message = f"some ready {what} has not read the latest table yet: this takes seconds"
        return false(kind, ConditionReason.TABLE_PENDING, message), count
    message = f"every ready {what} has the latest table"
    if view.warnings:
        # Only receivers have any.
        message += f"; to be fixed: {'; '.join(view.warnings)}"
        return true(kind, ConditionReason.RECEIVERS_WARN, message), count
    good = ConditionReason.RECEIVERS_SERVE if is_receivers else ConditionReason.PROCESSORS_WORK
    return true(kind, good, message), count
