"""The receiver's metrics: declared here, recorded through verbs, read on the admin port.

Labels are bounded: endpoints are those of the table, a stranger's path never becomes a label.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

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


class EndpointMetrics:
    """The counters of one endpoint: plain numbers, counted on the event loop's thread.

    Two of prometheus_client's own would cost a webhook a microsecond, for locks that one thread
    does not need; `ReceiverMetrics.collect` shows these through it.
    """

    __slots__ = ("endpoint", "last", "reasons", "requests")

    def __init__(self, endpoint: EndpointName | None) -> None:
        self.endpoint = endpoint
        self.requests = dict.fromkeys(Outcome, 0)
        self.reasons: dict[Reason, int] = {}
        self.last = 0.0
        """When the last webhook was stored, seconds since the epoch."""

    def stored(self, *, duplicate: bool, at: float) -> None:
        """Count a webhook that is in the store; `at` in seconds since the epoch."""
        self.requests[Outcome.DUPLICATE if duplicate else Outcome.STORED] += 1
        self.last = at

    def challenged(self) -> None:
        """Count a GET challenge that was answered."""
        self.requests[Outcome.CHALLENGE] += 1

    def refused(self, reason: Reason, *, unavailable: bool) -> None:
        """Count a request that was not stored."""
        self.requests[Outcome.UNAVAILABLE if unavailable else Outcome.REFUSED] += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class ReceiverMetrics(Collector):
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
            "Requests that are being read or stored.",
            registry=registry,
        )
        self.in_flight_bytes = Gauge(
            "forebay_receiver_in_flight_bytes",
            "Bytes of the bodies that are being stored.",
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
        self.strangers = self.of(None)
        """Requests to no endpoint that there is."""

        registry.register(self)

    def stored(self, publish_seconds: float, ack_seconds: float, body_bytes: int) -> None:
        """Observe a webhook that is in the store."""
        self.publish_seconds.observe(publish_seconds)
        self.ack_seconds.observe(ack_seconds)
        self.body_bytes.observe(body_bytes)

    def of(self, endpoint: EndpointName | None) -> EndpointMetrics:
        """Return the counters of one endpoint: the same ones whenever it is asked for."""
        return self._endpoints.setdefault(endpoint, EndpointMetrics(endpoint))

    @override
    def collect(self) -> Iterable[Metric]:
        """Return the endpoints' counters as prometheus_client shows them."""
        by_endpoint = ["namespace", "endpoint"]
        requests = CounterMetricFamily(
            "forebay_receiver_requests",
            "Requests by what became of them.",
            labels=[*by_endpoint, "outcome"],
        )
        refused = CounterMetricFamily(
            "forebay_receiver_refused",
            "Requests that were not stored, by reason.",
            labels=[*by_endpoint, "reason"],
        )
        last = GaugeMetricFamily(
            "forebay_receiver_last_webhook_timestamp_seconds",
            "When the last webhook was stored.",
            labels=by_endpoint,
        )
        for endpoint, counters in self._endpoints.items():
            labels = endpoint or ("", "")
            for outcome, count in counters.requests.items():
                requests.add_metric([*labels, outcome], count)
            for reason, count in counters.reasons.items():
                refused.add_metric([*labels, reason], count)
            if counters.last:
                last.add_metric(labels, counters.last)
        return [requests, refused, last]
