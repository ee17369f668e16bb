"""The operator's metrics: declared here, recorded through verbs, read on the admin port.

They name a few endpoints at most: what is in the resources' status is read there.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.metric_declarations import ENDPOINT, Declarations
from forebay.runtime.metrics import MetricSet

__all__ = ["DECLARED", "Age", "Condition", "OperatorMetrics"]

SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""A reconcile without news takes a millisecond, one that makes all objects a tenth of a second."""

OLDEST: Final = 20
"""Endpoints that are named by how old what they trust in is."""

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
    "Since a request of a watch began, of the one longest ago: each begins anew every 5 minutes.",
    unit="seconds",
    use="Above ten minutes a watch is dead, or the API server away: read the operator's log.",
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
MISSING_REPLICAS: Final = DECLARED.gauge(
    "forebay_stream_missing_replicas",
    "Servers of NATS that should hold a stream and are away, or have not all of it yet.",
    labels=("stream",),
    unit="servers",
    use="Above 0 for minutes: which server is not ready? One of three may be; two stop everything.",
)
NATS_SECONDS: Final = DECLARED.histogram(
    "forebay_operator_nats_seconds",
    "From a question to NATS to its answer, several every ten seconds.",
    unit="seconds",
    use="Where it rises as the receivers' publish_seconds do, it is NATS.",
    buckets=SECONDS,
)
NATS_CERTIFICATE: Final = DECLARED.gauge(
    "forebay_operator_nats_certificate_end_timestamp_seconds",
    "When the certificate of the NATS server that it is connected to ends, or its authority's, "
    "whichever is first; none without TLS.",
    unit="seconds since 1970",
    use="After it no part connects any more: renew it before.",
)
CERTIFICATE: Final = DECLARED.gauge(
    "forebay_operator_certificate_end_timestamp_seconds",
    "When the first authority that an endpoint's destinations name (`tls.ca`) ends; of the "
    f"{OLDEST} endpoints whose end first.",
    labels=ENDPOINT,
    unit="seconds since 1970",
    use="After it nothing is delivered there: put the new one into its Secret before.",
)
SECRET: Final = DECLARED.gauge(
    "forebay_operator_secret_changed_timestamp_seconds",
    "When the Secret that was not changed for longest, of those that an endpoint names, was "
    f"written; of the {OLDEST} endpoints with the oldest.",
    labels=ENDPOINT,
    unit="seconds since 1970",
    use="Older than your rules for secrets allow: rotate it (list both while you do).",
)
LOOP_LAG: Final = DECLARED.loop_lag()
START_TIME: Final = DECLARED.start_time()


Condition: TypeAlias = tuple[str, str]
"""A condition's type and its status."""


class Age(NamedTuple):
    """How old what an endpoint trusts in is; times in seconds since 1970."""

    endpoint: EndpointName
    secret_changed: float | None
    certificate_end: float | None


class OperatorMetrics:
    """All metrics of one operator process."""

    def __init__(self) -> None:
        self._set = metrics = MetricSet(DECLARED, pool="operator")
        self.exposition = metrics.exposition
        self._reconciles = metrics.series(RECONCILES)
        self._seconds = metrics.histogram(RECONCILE_SECONDS)
        self._writes = metrics.series(WRITES)
        self._drift = metrics.series(DRIFT)
        self._nats = metrics.histogram(NATS_SECONDS)
        metrics.series(NATS_CERTIFICATE).replace([])
        self._bytes = metrics.series(STREAM_BYTES)
        self._fill = metrics.series(STREAM_FILL)
        self._missing_replicas = metrics.series(MISSING_REPLICAS)

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
        """Ask this for the seconds since a request of a watch began."""
        self._set.series(WATCH_AGE).follow_value(age)

    def follow_ages(
        self, read: Callable[[], Iterable[Age | None]], nats: Callable[[], float | None]
    ) -> None:
        """Ask for the ages of secrets and certificates; at each None others have their turn.

        Args:
            read: Of all endpoints.
            nats: When the certificate of NATS ends.
        """

        def survey() -> Iterator[None]:
            secrets: list[tuple[float, EndpointName]] = []
            certificates: list[tuple[float, EndpointName]] = []
            for age in read():
                if age is None:
                    yield
                    continue
                if age.secret_changed is not None:
                    secrets.append((age.secret_changed, age.endpoint))
                if age.certificate_end is not None:
                    certificates.append((age.certificate_end, age.endpoint))
            for metric, found in ((SECRET, secrets), (CERTIFICATE, certificates)):
                first = heapq.nsmallest(OLDEST, found)
                self._set.series(metric).replace((name, when) for when, name in first)
            end = nats()
            self._set.series(NATS_CERTIFICATE).replace([] if end is None else [((), end)])

        self._set.before(survey)

    def nats_answered(self, seconds: float) -> None:
        """Observe how long NATS took for an answer."""
        self._nats.observe(seconds)

    # -- what is set when it is known

    def forget_streams(self, names: Iterable[str]) -> None:
        """Show nothing of streams that cannot be seen."""
        for name in names:
            for series in (self._bytes, self._fill, self._missing_replicas):
                series.forget((name,))

    def stream(self, name: str, size: int, limit: int, missing_replicas: int) -> None:
        """Set a stream's bytes, how full it is, and how many servers lack it."""
        self._bytes.set(size, (name,))
        self._fill.set(size / limit if limit > 0 else 0.0, (name,))
        self._missing_replicas.set(missing_replicas, (name,))
