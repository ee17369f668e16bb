"""How a metric is declared: once, with what it says, its unit, its labels and what to do with it.

A declaration that breaks a rule is refused at the import. `docs/metrics.md` is made of them.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = [
    "DESTINATION",
    "ENDPOINT",
    "LABELS",
    "LAG_SECONDS",
    "NO_SPANS",
    "START_TIME",
    "Declarations",
    "Kind",
    "Metric",
]

LABELS: Final = MappingProxyType(
    {
        "namespace": "the endpoint's; empty for requests to no endpoint that there is",
        "endpoint": "an endpoint of the tables; one that left them goes after a while",
        "destination": "a destination of the endpoint; goes as the endpoint does",
        "pool": "the part's pool of pods: one value in a process",
        "lane": "`live`, `status`, `bulk`, `invalid`",
        "kind": "a closed list of each metric's own, as its text says",
        "outcome": "a closed list of each metric's own, as its text says",
        "result": "a closed list of each metric's own, as its text says",
        "reason": "a closed list of each metric's own, as its text says",
        "state": "a closed list of each metric's own, as its text says",
        "shard": "the shards that the process works",
        "stream": "four streams of each shard",
        "condition": "the types of conditions of an endpoint's status",
        "status": "`True`, `False`, `Unknown`",
    }
)
"""Every label there may be, and what bounds its values."""

ENDPOINT: Final = ("namespace", "endpoint")
DESTINATION: Final = (*ENDPOINT, "destination")

PROMISES: Final = (0.25, 1.0)
"""Seconds at which every histogram of times has an edge, for the providers' limits."""

LONGEST: Final = 5.0
"""Seconds that it reaches at least: 360dialog's hard limit."""

START_TIME: Final = "_start_time_seconds"
"""What the name of a process' start ends in."""

LAG_SECONDS: Final = 0.25
"""Between two measurements of how late the event loop is."""

NO_SPANS: Final = (
    (("exported",), 0),
    (("failed",), 0),
    (("dropped",), 0),
    (("limited",), 0),
)
"""What became of spans where there are none: series that are there are no alarm."""

LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds. Dense around 10 ms, the longest that anything may hold a receiver's loop."""


class Kind(enum.StrEnum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, as it is declared."""

    name: str
    kind: Kind
    part: str
    says: str
    """What it counts or measures; Prometheus' `HELP`."""

    use: str
    """What whoever watches does with it."""

    unit: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def owner_size(self) -> int:
        """How many of its first labels say whose a series is; 0 where it is the process's."""
        return next((len(it) for it in (DESTINATION, ENDPOINT) if self.labels[: len(it)] == it), 0)

    def problems(self) -> Iterator[str]:
        """Return what is wrong with the declaration."""
        if self.name.endswith("_total") != (self.kind is Kind.COUNTER):
            yield "counters, and nothing else, end in _total"
        if unknown := set(self.labels) - set(LABELS):
            yield f"labels that are not in LABELS: {sorted(unknown)}"
        if "endpoint" in self.labels and not self.owner_size:
            yield "namespace, endpoint and destination are the first labels"
        if self.kind is Kind.HISTOGRAM:
            if self.labels != ("pool",):
                yield "a histogram's one label is the pool"
            is_time = self.unit == "seconds"
            if is_time and not (set(PROMISES) <= set(self.buckets) and self.buckets[-1] >= LONGEST):
                yield f"buckets need edges at {PROMISES} and reach {LONGEST}"


class Declarations:
    """The metrics of one part, in the order in which they are shown."""

    def __init__(self, part: str) -> None:
        self.part = part
        self._metrics: dict[str, Metric] = {}

    def __iter__(self) -> Iterator[Metric]:
        """Go through all."""
        return iter(self._metrics.values())

    def counter(
        self, name: str, says: str, *, unit: str, use: str, labels: tuple[str, ...] = ()
    ) -> Metric:
        """Declare what only goes up; its name ends in `_total`."""
        return self._declare(Kind.COUNTER, name, says, unit, use, labels)

    def gauge(
        self, name: str, says: str, *, unit: str, use: str, labels: tuple[str, ...] = ()
    ) -> Metric:
        """Declare what goes up and down."""
        return self._declare(Kind.GAUGE, name, says, unit, use, labels)

    def histogram(
        self, name: str, says: str, *, unit: str, use: str, buckets: tuple[float, ...]
    ) -> Metric:
        """Declare a distribution; `buckets` are upper edges that rise."""
        return self._declare(Kind.HISTOGRAM, name, says, unit, use, ("pool",), buckets)

    def start_time(self) -> Metric:
        """Declare when the process began: `MetricSet` sets it."""
        return self.gauge(
            f"forebay_{self.part}{START_TIME}",
            "When the process began to count.",
            unit="seconds since 1970",
            use="Another value: it was started again, and its counters began at 0.",
        )

    def loop_lag(self) -> Metric:
        """Declare how late the part's event loop is: `MetricSet.run` measures it."""
        return self.histogram(
            f"forebay_{self.part}_loop_lag_seconds",
            f"How late the event loop wakes, asked {round(1 / LAG_SECONDS)} times a second.",
            unit="seconds",
            use="Above 0.1 s the process gets too little CPU, or something holds its loop.",
            buckets=LAG_BUCKETS,
        )

    def spans(self) -> Metric:
        """Declare what became of the part's spans: `MetricSet.follow_spans` reads it."""
        return self.counter(
            f"forebay_{self.part}_spans_total",
            "Spans of traces: exported, failed (the collector did not take them), dropped (no room "
            "in the queue), limited (above FOREBAY_TRACES_DRAWN_PER_SECOND or _ALWAYS_PER_SECOND).",
            labels=("outcome",),
            unit="spans",
            use="Where failed rises, look at the collector; where dropped does, lower the ratio.",
        )

    def _declare(  # noqa: PLR0913, PLR0917  # all that a metric is
        self,
        kind: Kind,
        name: str,
        says: str,
        unit: str,
        use: str,
        labels: tuple[str, ...],
        buckets: tuple[float, ...] = (),
    ) -> Metric:
        metric = Metric(
            name=name,
            kind=kind,
            part=self.part,
            says=says,
            use=use,
            unit=unit,
            labels=labels,
            buckets=buckets,
        )
        problems = list(metric.problems())
        if name in self._metrics:
            problems.append("it is declared twice")
        if problems:
            message = f"{name}: {'; '.join(problems)}"
            raise ValueError(message)
        self._metrics[name] = metric
        return metric
