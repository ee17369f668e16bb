"""The receiver's metrics: declared here, recorded through verbs, read on the admin port.

Endpoints are those of the table, a stranger's path never becomes a label. An endpoint's counters
are plain numbers of its own (`EndpointMetrics`), and go with it when it leaves the table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.metric_declarations import ENDPOINT, NO_SPANS, Declarations, Metric
from forebay.runtime.metrics import Labels, MetricSet, Sample
from forebay_receiver.outcomes import Outcome, Reason, Waited

__all__ = ["DECLARED", "EndpointMetrics", "ReceiverMetrics"]

ACK_BUCKETS: Final = (
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125,
    0.25,  # the providers' standard
    0.5, 1.0,  # at most 1 % above it
    2.5,  # our budget
    5.0,  # 360dialog's limit
)  # fmt: skip
"""Seconds. Dense around our own goals (p50 1.5 ms, p99 8 ms), with the providers' limits."""

BODY_BUCKETS: Final = (512, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304)
"""Bytes, from one message to the largest body."""

DECLARED: Final = Declarations("receiver")

REQUESTS: Final = DECLARED.counter(
    "forebay_receiver_requests_total",
    "Requests by outcome: stored, duplicate, challenge, refused, unavailable.",
    labels=(*ENDPOINT, "outcome"),
    unit="requests",
    use="stored and duplicate over all but refused is the availability; unavailable costs retries.",
)
REFUSED: Final = DECLARED.counter(
    "forebay_receiver_refused_total",
    "Requests that were not stored, by reason (docs/receiver.md).",
    labels=(*ENDPOINT, "reason"),
    unit="requests",
    use="A rise of credentials that are missing or wrong is a rotation that failed, or a stranger.",
)
LAST_WEBHOOK: Final = DECLARED.gauge(
    "forebay_receiver_last_webhook_timestamp_seconds",
    "When the last webhook was stored; none while there was none since the start.",
    labels=ENDPOINT,
    unit="seconds since 1970",
    use="Take the greatest of all pods; much older than usual: check the registration.",
)
ACK_SECONDS: Final = DECLARED.histogram(
    "forebay_receiver_ack_seconds",
    "From a request's first byte to its answer 200.",
    unit="seconds",
    use="The objective: the median below 0.25 s, less than 1 % above 1 s.",
    buckets=ACK_BUCKETS,
)
PUBLISH_SECONDS: Final = DECLARED.histogram(
    "forebay_receiver_publish_seconds",
    "From the publish to JetStream's answer: the round trip to NATS, its disk and quorum included.",
    unit="seconds",
    use="Where ack_seconds rises and this does, it is NATS; where this does not, it is CPU.",
    buckets=ACK_BUCKETS,
)
BODY_BYTES: Final = DECLARED.histogram(
    "forebay_receiver_body_bytes",
    "Sizes of stored bodies.",
    unit="bytes",
    use="For sizing streams.",
    buckets=BODY_BUCKETS,
)
IN_FLIGHT: Final = DECLARED.gauge(
    "forebay_receiver_in_flight",
    "Webhooks that are being stored.",
    unit="requests",
    use="Near the limit of requests in flight: more receivers, or a NATS that is slow.",
)
IN_FLIGHT_BYTES: Final = DECLARED.gauge(
    "forebay_receiver_in_flight_bytes",
    "Bytes of the bodies that are being read or stored.",
    unit="bytes",
    use="As in_flight, for large bodies and slow senders.",
)
LATE_STORED: Final = DECLARED.counter(
    "forebay_receiver_late_stored_total",
    "Webhooks that were stored after they had been answered 503.",
    unit="requests",
    use="They come again and are recognized; a rise says that NATS is slower than the budget.",
)
WAITED: Final = DECLARED.counter(
    "forebay_receiver_waited_total",
    "Webhooks that waited for a stream's leader or a connection and were published then, by what "
    "came of it: stored, found (an earlier publish had been stored), unavailable (503).",
    labels=("outcome",),
    unit="requests",
    use="Rises while NATS rolls. Where it does at other times, leaders move: look at NATS.",
)
NATS_CONNECTED: Final = DECLARED.gauge(
    "forebay_receiver_nats_connected",
    "1 while the receiver is connected to NATS.",
    unit="0 or 1",
    use="0 for longer than a roll-out of NATS: every webhook gets 503.",
)
MAX_PAYLOAD: Final = DECLARED.gauge(
    "forebay_receiver_nats_max_payload_bytes",
    "The largest message that NATS takes; 0 while it is not connected.",
    unit="bytes",
    use="Below the body limit and headers, large webhooks are refused: raise max_payload of NATS.",
)
CONNECTIONS: Final = DECLARED.gauge(
    "forebay_receiver_connections",
    "Open connections where webhooks come in.",
    unit="connections",
    use="Near the limit on connections, new ones are turned away.",
)
TASKS: Final = DECLARED.gauge(
    "forebay_receiver_tasks",
    "Tasks of the event loop.",
    unit="tasks",
    use="Rises without end where something leaks.",
)
ENDPOINTS: Final = DECLARED.gauge(
    "forebay_receiver_endpoints",
    "Endpoints that are served.",
    unit="endpoints",
    use="The same at all pods of a pool; one that differs does not get its table.",
)
TABLE_AGE: Final = DECLARED.gauge(
    "forebay_receiver_table_age_seconds",
    "Since the newest change of the tables came into force in this process.",
    unit="seconds",
    use="One pod that is much older than the others of its pool does not follow the tables.",
)
SPANS: Final = DECLARED.spans()
LOOP_LAG: Final = DECLARED.loop_lag()
START_TIME: Final = DECLARED.start_time()


class EndpointMetrics:
    """The counters of one endpoint: plain numbers, counted on the event loop's thread.

    Two of prometheus_client's own would cost a webhook a microsecond, for locks that one thread
    does not need; `ReceiverMetrics` reads these when it is asked.
    """

    __slots__ = (
        "challenges",
        "duplicates",
        "endpoint",
        "last",
        "reasons",
        "refusals",
        "stored_once",
        "unavailable",
    )

    def __init__(self, endpoint: EndpointName | None) -> None:
        self.endpoint = endpoint
        self.stored_once = self.duplicates = self.challenges = 0
        self.refusals = self.unavailable = 0
        self.reasons: dict[Reason, int] | None = None
        """None until something is refused: thousands of endpoints have nothing to show."""

        self.last = 0.0
        """When the last webhook was stored, seconds since the epoch."""

    def stored(self, *, duplicate: bool, at: float) -> None:
        """Count a webhook that is in the store; `at` in seconds since the epoch."""
        if duplicate:
            self.duplicates += 1
        else:
            self.stored_once += 1
        self.last = at

    def challenged(self) -> None:
        """Count a GET challenge that was answered."""
        self.challenges += 1

    def refused(self, reason: Reason, *, unavailable: bool) -> None:
        """Count a request that was not stored."""
        if unavailable:
            self.unavailable += 1
        else:
            self.refusals += 1
        if self.reasons is None:
            self.reasons = {}
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def requests(self) -> Iterator[tuple[Outcome, int]]:
        """Return the counts by outcome; of the rarer ones those that there are."""
        yield Outcome.STORED, self.stored_once
        for outcome, count in (
            (Outcome.DUPLICATE, self.duplicates),
            (Outcome.CHALLENGE, self.challenges),
            (Outcome.REFUSED, self.refusals),
            (Outcome.UNAVAILABLE, self.unavailable),
        ):
            if count:
                yield outcome, count


class ReceiverMetrics:
    """All metrics of one receiver process."""

    def __init__(self, pool: str) -> None:
        self._endpoints: dict[EndpointName | None, EndpointMetrics] = {}
        self._set = metrics = MetricSet(DECLARED, pool)
        self.exposition = metrics.exposition
        self.slices = metrics.slices
        self._ack_seconds = metrics.histogram(ACK_SECONDS)
        self._publish_seconds = metrics.histogram(PUBLISH_SECONDS)
        self._body_bytes = metrics.histogram(BODY_BYTES)
        self._late_stored = metrics.series(LATE_STORED)
        self._waited = metrics.series(WAITED)
        for outcome in Waited:
            self._waited.add((outcome,), 0)  # a series that is there: its rise can be seen
        self._nats_connected = metrics.series(NATS_CONNECTED)
        self._max_payload = metrics.series(MAX_PAYLOAD)
        metrics.series(REQUESTS).follow(lambda: self._of_each(_requests))
        metrics.series(REFUSED).follow(lambda: self._of_each(_refusals))
        metrics.series(SPANS).follow(lambda: NO_SPANS)
        metrics.series(LAST_WEBHOOK).follow(lambda: self._of_each(_last))
        self.strangers = self.of(None)
        """Requests to no endpoint that there is."""

    def follow(self, load: Mapping[Metric, Callable[[], float]]) -> None:
        """Ask for these at each scrape, instead of counting at each webhook."""
        for metric, read in load.items():
            self._set.series(metric).follow_value(read)

    def follow_spans(self, read: Callable[[], Iterable[tuple[tuple[str], int]]]) -> None:
        """Ask what became of spans whenever the metrics are read."""
        self._set.follow_spans(SPANS, read)

    async def run(self) -> None:
        """Measure how late the loop is; until cancelled."""
        await self._set.measure_lag(LOOP_LAG)

    def stored(self, publish_seconds: float, ack_seconds: float, body_bytes: int) -> None:
        """Observe a webhook that is in the store."""
        self._publish_seconds.observe(publish_seconds)
        self._ack_seconds.observe(ack_seconds)
        self._body_bytes.observe(body_bytes)

    def traced(self, publish_seconds: float, ack_seconds: float, trace_id: str, at: float) -> None:
        """Name the trace of a webhook that was observed; `at` in seconds since the epoch."""
        self._publish_seconds.exemplify(publish_seconds, trace_id, at)
        self._ack_seconds.exemplify(ack_seconds, trace_id, at)

    def stored_late(self) -> None:
        """Count a webhook that was stored after it had been answered."""
        self._late_stored.add()

    def waited(self, outcome: Waited) -> None:
        """Count a webhook that waited for a leader or a connection, when it is answered."""
        self._waited.add((outcome,))

    def connected(self, *, is_connected: bool) -> None:
        """Set whether there is a connection to NATS."""
        self._nats_connected.set(is_connected)

    def takes_payload(self, size: int) -> None:
        """Set how many bytes NATS takes; 0 while it is not connected."""
        self._max_payload.set(size)

    def of(self, endpoint: EndpointName | None) -> EndpointMetrics:
        """Return the counters of one endpoint: the same ones whenever it is asked for."""
        return self._endpoints.setdefault(endpoint, EndpointMetrics(endpoint))

    def forget(self, endpoints: Iterable[EndpointName]) -> None:
        """Drop the counters of endpoints that are gone."""
        for endpoint in endpoints:
            self._endpoints.pop(endpoint, None)

    def _of_each(
        self, read: Callable[[EndpointMetrics, Labels], Iterator[Sample]]
    ) -> Iterator[Sample]:
        for counters in list(self._endpoints.values()):
            yield from read(counters, counters.endpoint or ("", ""))


def _requests(counters: EndpointMetrics, endpoint: Labels) -> Iterator[Sample]:
    for outcome, count in counters.requests():
        yield (*endpoint, outcome), count


def _refusals(counters: EndpointMetrics, endpoint: Labels) -> Iterator[Sample]:
    # A copy: webhooks are refused for reasons of their own between two slices.
    for reason, count in list((counters.reasons or {}).items()):
        yield (*endpoint, reason), count


def _last(counters: EndpointMetrics, endpoint: Labels) -> Iterator[Sample]:
    if counters.last:
        yield endpoint, counters.last
