"""What goes wrong on a cluster, made by hand: what begins it, what has to fire, what ends it."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from support.cluster.cluster import Cluster
from support.cluster.tenant import Tenant

__all__ = ["Expected", "Incident", "Place"]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An alert by its name and some of its labels."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def matches(self, alert: Mapping[str, str]) -> bool:
        """Say whether an alert with such labels is the one."""
        return alert["alertname"] == self.name and self.labels.items() <= alert.items()

    def text(self) -> str:
        """Return it as a person would write it."""
        of = ", ".join(f"{name}={value}" for name, value in self.labels.items())
        return f"{self.name} ({of})" if of else self.name


@dataclass(frozen=True, kw_only=True)
class Place:
    """Whom an alert or a runbook is about."""

    namespace: str
    endpoint: str
    destination: str = "sink"


BUDGET_WINDOWS: Final = ("6h", "1d", "3d")
"""Of an alert on a budget: a quick fire lights these too, and they end later (its runbook)."""


class Incident(abc.ABC):
    """One thing that goes wrong."""

    title: str
    expected: tuple[Expected, ...]
    beside: tuple[Expected, ...] = ()
    """What may fire too, as a consequence that the runbooks name."""

    cause: tuple[str, ...] = ()
    """What the answers to the runbook's commands and queries have to hold, as regular expressions,
    each for one of them with its command: who reads them knows the cause."""

    fires_within: float
    """Seconds."""

    place: Place | None = None

    @abc.abstractmethod
    async def begin(self) -> None:
        """Let it go wrong."""

    @abc.abstractmethod
    async def mend(self) -> None:
        """Put it right, as the runbook says."""


class OfTenant(Incident):
    """One that only one endpoint suffers from."""

    def __init__(self, cluster: Cluster, tenant: Tenant) -> None:
        self.cluster = cluster
        self.tenant = tenant
        self.place = Place(namespace=tenant.namespace, endpoint="meta")

    @property
    def labels(self) -> dict[str, str]:
        """The endpoint, as alerts name it."""
        return {"namespace": self.tenant.namespace, "endpoint": "meta"}
