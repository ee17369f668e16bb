"""The receiver's metrics: declared here, recorded through verbs, read on the admin port.

Labels are bounded: endpoints are those of the table, a stranger's path never becomes a label.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from forebay.core.naming import EndpointName
from forebay.runtime.metrics import LoopHistogram
from forebay_receiver.errors import Outcome, Reason

__all__ = ["EndpointMetrics", "ReceiverMetrics"]

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


SLICE: Final = 200
"""Endpoints whose counters are written at once: about a millisecond."""


class EndpointMetrics:
    """The counters of one endpoint: plain numbers, counted on the event loop's thread.

    Two of prometheus_client's own would cost a webhook a microsecond, for locks that one thread
    does not need; `ReceiverMetrics.endpoint_slices` shows these.
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
        """None until something is refused: thousands of endpoints have nothing to tell."""

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

    def __init__(self, registry: CollectorRegistry, pool: str) -> None:
        self._endpoints: dict[EndpointName | None, EndpointMetrics] = {}
        self.ack_seconds = LoopHistogram(
            "forebay_receiver_ack_seconds",
            "From a request's first byte to its answer 200.",
            ("pool", pool),
            ACK_BUCKETS,
            registry,
        )
        self.publish_seconds = LoopHistogram(
            "forebay_receiver_publish_seconds",
            "From the publish to JetStream's answer.",
            ("pool", pool),
            ACK_BUCKETS,
            registry,
        )
        self.body_bytes = LoopHistogram(
            "forebay_receiver_body_bytes",
            "Sizes of stored bodies.",
            ("pool", pool),
            BODY_BUCKETS,
            registry,
        )
        self.in_flight = Gauge(
            "forebay_receiver_in_flight",
            "Webhooks that are being stored.",
            registry=registry,
        )
        self.in_flight_bytes = Gauge(
            "forebay_receiver_in_flight_bytes",
            "Bytes of the bodies that are being read or stored.",
            registry=registry,
        )
        self.late_stored = Counter(
            "forebay_receiver_late_stored",
            "Webhooks that were stored after they had been answered 503.",
            registry=registry,
        )
        self.nats_connected = Gauge(
            "forebay_receiver_nats_connected",
            "1 while the receiver is connected to NATS.",
            registry=registry,
        )
        self.max_payload = Gauge(
            "forebay_receiver_nats_max_payload_bytes",
            "The largest message that NATS takes; 0 while it is not connected.",
            registry=registry,
        )
        self.connections = Gauge(
            "forebay_receiver_connections",
            "Open connections where webhooks come in.",
            registry=registry,
        )
        self.tasks = Gauge(
            "forebay_receiver_tasks",
            "Tasks of the event loop: rises without end where something leaks.",
            registry=registry,
        )
        self.strangers = self.of(None)
        """Requests to no endpoint that there is."""

    def stored(self, publish_seconds: float, ack_seconds: float, body_bytes: int) -> None:
        """Observe a webhook that is in the store."""
        self.publish_seconds.observe(publish_seconds)
        self.ack_seconds.observe(ack_seconds)
        self.body_bytes.observe(body_bytes)

    def of(self, endpoint: EndpointName | None) -> EndpointMetrics:
        """Return the counters of one endpoint: the same ones whenever it is asked for."""
        return self._endpoints.setdefault(endpoint, EndpointMetrics(endpoint))

    def forget(self, endpoints: Iterable[EndpointName]) -> None:
        """Drop the counters of endpoints that are gone."""
        for endpoint in endpoints:
            self._endpoints.pop(endpoint, None)

    def endpoint_slices(self) -> Iterator[str]:
        """Return the endpoints' counters in Prometheus' text format, a slice at a time.

        prometheus_client would make objects of every sample and show them in one go: 0.75 s for
        10,000 endpoints, in which no webhook is served. Labels need no escapes: they are DNS labels
        and names from this module.
        """
        all_of_them = list(self._endpoints.values())
        for name, kind, help_text, lines_of in (
            (
                "forebay_receiver_requests_total",
                "counter",
                "Requests by what became of them.",
                _request_lines,
            ),
            (
                "forebay_receiver_refused_total",
                "counter",
                "Requests that were not stored, by reason.",
                _refused_lines,
            ),
            (
                "forebay_receiver_last_webhook_timestamp_seconds",
                "gauge",
                "When the last webhook was stored.",
                _last_lines,
            ),
        ):
            yield f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
            for start in range(0, len(all_of_them), SLICE):
                yield "".join(
                    f"{name}{{{_labels(each)}{line}\n"
                    for each in all_of_them[start : start + SLICE]
                    for line in lines_of(each)
                )


def _labels(counters: EndpointMetrics) -> str:
    namespace, name = counters.endpoint or ("", "")
    return f'namespace="{namespace}",endpoint="{name}"'


def _request_lines(counters: EndpointMetrics) -> Iterator[str]:
    for outcome, count in counters.requests():
        yield f',outcome="{outcome}"}} {count}'


def _refused_lines(counters: EndpointMetrics) -> Iterator[str]:
    for reason, count in (counters.reasons or {}).items():
        yield f',reason="{reason}"}} {count}'


def _last_lines(counters: EndpointMetrics) -> Iterator[str]:
    if counters.last:
        yield f"}} {counters.last!r}"
