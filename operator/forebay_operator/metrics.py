"""The operator's metrics: declared here, recorded through verbs, read on the admin port.

None of them names an endpoint: what is in the resources' status is read there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from forebay.runtime.metric_declarations import Declarations
from forebay.runtime.metrics import MetricSet

__all__ = ["DECLARED", "Condition", "OperatorMetrics"]

SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""A reconcile without news takes a millisecond, one that makes all objects a tenth of a second."""

DECLARED: Final = Declarations("operator")

RECONCILES: Final = DECLARED.counter(
    "forebay_operator_reconciles_total",
    "Passes over an endpoint: ok, waiting (for pods or NATS), refused, gone or failed.",
    labels=("result",),
    unit="passes",
    use="failed that goes on: read the operator's log; refused: the endpoint's conditions.",
)
RECONCILE_SECONDS: Final = DECLARED.histogram(
    "forebay_operator_reconcile_seconds",
    "Time of one pass over an endpoint.",
    unit="seconds",
    use="Above a second the API server is slow.",
    buckets=SECONDS,
)
QUEUE: Final = DECLARED.gauge(
    "forebay_operator_queue_items",
    "Endpoints that wait for a worker now.",
    unit="endpoints",
    use="Falls to 0 within minutes of a start; else changes come late.",
)
WRITES: Final = DECLARED.counter(
    "forebay_operator_writes_total",
    "Writes to the API server that changed something, by kind of object.",
    labels=("kind",),
    unit="writes",
    use="At rest there are none; some without end: somebody else writes the same objects.",
)
DRIFT: Final = DECLARED.counter(
    "forebay_operator_drift_repairs_total",
    "Objects that someone else changed or deleted and that were restored.",
    unit="objects",
    use="Find out who; the operator's log names the objects.",
)
ENDPOINTS: Final = DECLARED.gauge(
    "forebay_operator_endpoints",
    "Endpoints by condition and its status.",
    labels=("condition", "status"),
    unit="endpoints",
    use="Ready that is not True for minutes: `kubectl describe` says why.",
)
WATCH_AGE: Final = DECLARED.gauge(
    "forebay_operator_watch_age_seconds",
    "Since the latest event of any watch; rises forever where watches are dead.",
    unit="seconds",
    use="Above ten minutes: restart the operator, check the API server.",
)
STREAM_BYTES: Final = DECLARED.gauge(
    "forebay_stream_bytes",
    "Bytes in a stream.",
    labels=("stream",),
    unit="bytes",
    use="Its trend says when it is full (`predict_linear`).",
)
STREAM_FILL: Final = DECLARED.gauge(
    "forebay_stream_fill_ratio",
    "Bytes in a stream to its limit: at 1 no webhook is taken.",
    labels=("stream",),
    unit="ratio",
    use="Above 0.8 processed data is purged before its age; higher: it is full of what waits.",
)
LOOP_LAG: Final = DECLARED.loop_lag()
START_TIME: Final = DECLARED.start_time()


Condition: TypeAlias = tuple[str, str]
"""A condition's type and its status."""


class OperatorMetrics:
    """All metrics of one operator process."""

    def __init__(self) -> None:
        self._set = metrics = MetricSet(DECLARED, pool="operator")
        self.exposition = metrics.exposition
        self._reconciles = metrics.series(RECONCILES)
        self._seconds = metrics.histogram(RECONCILE_SECONDS)
        self._writes = metrics.series(WRITES)
        self._drift = metrics.series(DRIFT)
        self._bytes = metrics.series(STREAM_BYTES)
        self._fill = metrics.series(STREAM_FILL)

    async def measure_lag(self) -> None:
        """Measure how late the loop is; until cancelled."""
        await self._set.measure_lag(LOOP_LAG)

    def reconciled(self, result: str, seconds: float) -> None:
        """Count a pass over an endpoint and its time."""
        self._reconciles.add((result,))
        self._seconds.observe(seconds)

    def wrote(self, kind: str) -> None:
        """Count a write that changed something."""
        self._writes.add((kind,))

    def repaired(self) -> None:
        """Count an object that was restored."""
        self._drift.add()

    # -- what is read at each scrape

    def follow_queue(self, length: Callable[[], int]) -> None:
        """Ask this for the number of endpoints that wait."""
        self._set.series(QUEUE).follow_value(length)

    def follow_conditions(self, read: Callable[[], Iterable[Condition | None]]) -> None:
        """Ask this for the conditions of all endpoints; at each None others have their turn."""

        def survey() -> Iterator[None]:
            counts: Counter[Condition] = Counter()
            for condition in read():
                if condition is None:
                    yield
                else:
                    counts[condition] += 1
            self._set.series(ENDPOINTS).replace(counts.items())

        self._set.before(survey)

    def follow_watch_age(self, age: Callable[[], float]) -> None:
        """Ask this for the seconds since the latest event of a watch."""
        self._set.series(WATCH_AGE).follow_value(age)

    # -- what is set when it is known

    def forget_streams(self, names: Iterable[str]) -> None:
        """Show nothing of streams that cannot be seen."""
        for name in names:
            for series in (self._bytes, self._fill):
                series.forget((name,))

    def stream(self, name: str, size: int, limit: int) -> None:
        """Set a stream's bytes and how full it is."""
        self._bytes.set(size, (name,))
        self._fill.set(size / limit if limit > 0 else 0.0, (name,))
