"""The status of an endpoint: what is known after an attempt, and what of it is news."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from forebay.core.schedule import LoadNow
from forebay_operator.models.endpoint import write_time
from forebay_operator.models.reasons import TO_BE_MENDED, ConditionReason, ConditionType

__all__ = [
    "Backlog",
    "Condition",
    "EndpointStatus",
    "PodCount",
    "ReceiverSize",
    "changes",
    "degradation",
    "status_document",
    "status_figures",
    "tellable",
]


MESSAGE_MOST: Final = 8192
"""Characters of a condition's message: names of fields in it are as long as a tenant made them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One statement about an endpoint."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: ConditionReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCount:
    """Pods of a pool."""

    ready: int
    """Ready, and with the endpoint's latest table."""

    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is stored for an endpoint and not delivered."""

    items: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSize:
    """The receivers of one Dedicated endpoint, and what their number and their CPU follow."""

    webhooks_per_second: int
    """What comes at full speed, by the provider's formula."""

    pod_webhooks_per_second: int
    """What one pod is reckoned to take."""

    low: int
    """The fewest pods."""

    high: int
    """The most pods."""

    cpu: str
    """What each asks for, such as `18m`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """All that the status says."""

    observed_generation: int
    conditions: Sequence[Condition]
    url: str | None = None
    isolation: str | None = None
    shard: str | None = None
    """Where its webhooks are stored, where that is not what its spec names."""

    receivers: PodCount | None = None
    processors: PodCount | None = None
    sizing: ReceiverSize | None = None
    load: LoadNow | None = None
    """What of its schedule counts."""

    backlog: Backlog | None = None
    last_event_time: datetime | None = None

    def is_true(self, kind: ConditionType) -> bool:
        """Say whether a condition holds."""
        return any(each.type is kind and each.status == "True" for each in self.conditions)


def status_document(
    status: EndpointStatus, before: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Return the status as it is written; equal to what stands there when nothing is news.

    Args:
        status: What is known now.
        before: The status that stands there: a condition keeps its time until its status changes.
        now: The time of a change.
    """
    times = {
        entry["type"]: entry["lastTransitionTime"]
        for entry in before.get("conditions") or ()
        for condition in status.conditions
        if entry["type"] == condition.type and entry["status"] == condition.status
    }
    document: dict[str, Any] = {"observedGeneration": status.observed_generation}
    if status.url is not None:
        document["url"] = status.url
    if status.isolation is not None:
        document["isolation"] = status.isolation
    if status.shard is not None:
        document["shard"] = status.shard
    for name, pods in (("receivers", status.receivers), ("processors", status.processors)):
        if pods is not None:
            document[name] = {"ready": pods.ready, "total": pods.total}
    sizing = status.sizing
    if sizing is not None:
        document["sizing"] = {
            "webhooksPerSecond": sizing.webhooks_per_second,
            "podWebhooksPerSecond": sizing.pod_webhooks_per_second,
            "minReplicas": sizing.low,
            "maxReplicas": sizing.high,
            "cpuRequest": sizing.cpu,
        }
    if status.load is not None and status.load.changes_at is not None:
        document["schedule"] = _schedule(status.load)
    document |= status_figures(status.backlog, status.last_event_time)
    document["conditions"] = [
        {
            "type": condition.type.value,
            "status": condition.status,
            "reason": condition.reason.value,
            "message": _short(condition.message),
            "observedGeneration": status.observed_generation,
            "lastTransitionTime": times.get(condition.type, write_time(now)),
        }
        for condition in status.conditions
    ]
    return document


def status_figures(backlog: Backlog | None, latest: datetime | None) -> dict[str, Any]:
    """Return what a status has of these two."""
    found: dict[str, Any] = {}
    if backlog is not None:
        found["backlog"] = {"items": backlog.items, "oldestSeconds": backlog.oldest_seconds}
    if latest is not None:
        found["lastEventTime"] = write_time(latest)
    return found


def _schedule(load: LoadNow) -> dict[str, str]:
    document: dict[str, str] = {}
    if load.window is not None:
        document["window"] = load.window.name
        document["begins"] = write_time(load.window.begins)
        document["ends"] = write_time(load.window.ends)
    if load.upcoming is not None:
        document["nextWindow"] = load.upcoming.name
        document["nextBegins"] = write_time(load.upcoming.begins)
    return document


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_MOST else f"{message[:MESSAGE_MOST]}..."


def changes(
    status: EndpointStatus, before: Mapping[str, Any]
) -> list[tuple[Condition, ConditionReason | str | None]]:
    """Return the conditions with a new status or reason, each with the reason that it had."""
    known = {
        entry["type"]: (entry["status"], entry["reason"])
        for entry in before.get("conditions") or ()
    }
    return [
        (condition, known.get(condition.type, ("", None))[1])
        for condition in status.conditions
        if known.get(condition.type) != (condition.status, condition.reason)
    ]


def tellable(news: Iterable[tuple[Condition, ConditionReason | str | None]]) -> list[Condition]:
    """Return the changes that are of interest to a person, each as an Event.

    Not what passes in seconds at every edit and every new pod, nor that it passed. Of Ready only
    that it is true: the condition that keeps it from being ready says why. Of destinations not
    that they are well from the beginning.
    """
    return [condition for condition, before in news if _is_tellable(condition, before)]


def _is_tellable(condition: Condition, before: ConditionReason | str | None) -> bool:
    if condition.type is ConditionType.READY:
        return condition.status == "True"
    if condition.reason is ConditionReason.NO_BREAKER_OPEN:
        return before in {ConditionReason.BREAKER_OPEN, ConditionReason.DESTINATION_REFUSES}
    if condition.reason in TO_BE_MENDED:
        return True
    return condition.status != "Unknown" and ConditionReason.TABLE_PENDING not in {
        condition.reason,
        before,
    }


def degradation(status: EndpointStatus, before: Mapping[str, Any]) -> Condition | None:
    """Return the Ready condition where it was true and is false for more than a moment."""
    was_ready = any(
        entry["type"] == ConditionType.READY and entry["status"] == "True"
        for entry in before.get("conditions") or ()
    )
    passing = {ConditionReason.TABLE_PENDING, ConditionReason.MOVING, ConditionReason.DELETING}
    return next(
        (
            condition
            for condition in status.conditions
            if was_ready
            and condition.type is ConditionType.READY
            and condition.status == "False"
            and condition.reason not in passing
        ),
        None,
    )
