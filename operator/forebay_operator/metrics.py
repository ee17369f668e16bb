"""The operator's metrics, declared in one place and recorded through verbs."""

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["OperatorMetrics"]

SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""A reconcile without news takes a millisecond, one that makes all objects a tenth of a second."""


class OperatorMetrics:
    """All metrics of one operator process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reconciles = Counter(
            "forebay_operator_reconciles",
            "Looks at an endpoint: ok, waiting (for pods or NATS), refused or failed.",
            ("result",),
            registry=registry,
        )
        self._seconds = Histogram(
            "forebay_operator_reconcile_seconds",
            "Time of one look at an endpoint.",
            buckets=SECONDS,
            registry=registry,
        )
        self._queue = Gauge(
            "forebay_operator_queue_items",
            "Endpoints that wait for a worker now.",
            registry=registry,
        )
        self._writes = Counter(
            "forebay_operator_writes",
            "Writes to the API server that changed something, by kind of object.",
            ("kind",),
            registry=registry,
        )
        self._drift = Counter(
            "forebay_operator_drift_repairs",
            "Objects that someone else changed or deleted and that were put right.",
            registry=registry,
        )
        self._endpoints = Gauge(
            "forebay_operator_endpoints",
            "Endpoints by condition and its status.",
            ("condition", "status"),
            registry=registry,
        )
        self._watch_age = Gauge(
            "forebay_operator_watch_age_seconds",
            "Since the latest event of any watch; rises for ever where watches are dead.",
            registry=registry,
        )
        self._bytes = Gauge(
            "forebay_stream_bytes", "Bytes in a stream.", ("stream",), registry=registry
        )
        self._fill = Gauge(
            "forebay_stream_fill_ratio",
            "Bytes in a stream to its limit: at 1 no webhook is taken.",
            ("stream",),
            registry=registry,
        )

    def reconciled(self, result: str, seconds: float) -> None:
        """Count a look at an endpoint and its time."""
        self._reconciles.labels(result).inc()
        self._seconds.observe(seconds)

    def queued(self, count: int) -> None:
        """Set how many endpoints wait."""
        self._queue.set(count)

    def wrote(self, kind: str) -> None:
        """Count a write that changed something."""
        self._writes.labels(kind).inc()

    def repaired(self) -> None:
        """Count an object that was put right."""
        self._drift.inc()

    def conditions(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Set how many endpoints have each condition with each status."""
        self._endpoints.clear()
        for (condition, status), count in counts.items():
            self._endpoints.labels(condition, status).set(count)

    def watch_age_from(self, age: Callable[[], float]) -> None:
        """Ask this for the seconds since the latest event of a watch, at each scrape."""
        self._watch_age.set_function(age)

    def stream(self, name: str, size: int, limit: int) -> None:
        """Set a stream's bytes and how full it is."""
        self._bytes.labels(name).set(size)
        self._fill.labels(name).set(size / limit if limit > 0 else 0.0)
