"""The processor's metrics: declared here, recorded through verbs, read on the admin port."""

import functools
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from forebay.core.naming import EndpointName
from forebay.core.subjects import Lane
from forebay.runtime.metrics import LoopHistogram

__all__ = ["ProcessorMetrics"]

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Dense below 150 ms, our goal from webhook to destination; up to the longest attempt."""


class ProcessorMetrics:
    """All metrics of one processor process."""

    def __init__(self, registry: CollectorRegistry, pool: str) -> None:
        by_endpoint = ("namespace", "endpoint")
        by_destination = (*by_endpoint, "destination")
        self._items = Counter(
            "forebay_processor_items",
            "Items cut out of webhooks: new, a repeat of one that was seen before, or a variant: "
            "other content under a key that was seen.",
            (*by_endpoint, "lane", "kind", "outcome"),
            registry=registry,
        )
        self._webhooks = Counter(
            "forebay_processor_webhooks",
            "Webhooks taken from RAW: split, invalid, or dropped with their endpoint.",
            (*by_endpoint, "lane", "outcome"),
            registry=registry,
        )
        self._deliveries = Counter(
            "forebay_processor_deliveries",
            "Items by what became of them at a destination: delivered, parked or dead.",
            (*by_destination, "outcome"),
            registry=registry,
        )
        self._attempts = Counter(
            "forebay_processor_attempts",
            "Requests to a destination by result: delivered, failed or rejected.",
            (*by_destination, "result"),
            registry=registry,
        )
        self._dead = Counter(
            "forebay_processor_dead_letters",
            "Items given up, by reason.",
            (*by_destination, "reason"),
            registry=registry,
        )
        self._parked = Gauge(
            "forebay_processor_parked_items",
            "Items that wait in RETRY; of a partition that was just taken, those counted so far.",
            by_destination,
            registry=registry,
        )
        self._breaker = Gauge(
            "forebay_processor_breaker_open",
            "1 while nothing is sent to a destination but probes.",
            by_destination,
            registry=registry,
        )
        self._redelivered = Counter(
            "forebay_processor_redeliveries",
            "Messages that JetStream handed out again after they were finished here.",
            registry=registry,
        )
        self._purged = Counter(
            "forebay_processor_purged_messages",
            "Processed messages removed before their age, for room.",
            ("stream",),
            registry=registry,
        )
        self._pulls_refused = Counter(
            "forebay_processor_pulls_refused",
            "Requests for messages that came to nothing: the consumer is gone, or refuses them.",
            ("stream", "reason"),
            registry=registry,
        )
        self._restored = Counter(
            "forebay_processor_consumers_restored",
            "Durable consumers that were missing, or changed by somebody, and were put right.",
            ("stream",),
            registry=registry,
        )
        self._owned = Gauge(
            "forebay_processor_partitions_owned",
            "Partitions of RAW (`raw`), and of EVENTS and RETRY (`event`), that it works.",
            ("pool", "kind"),
            registry=registry,
        )
        self._lag = Gauge(
            "forebay_processor_lag_items",
            "Webhooks that wait for a split and items that wait for a first attempt, in the "
            "partitions that this process works. What is parked is counted apart.",
            ("pool", "lane"),
            registry=registry,
        )
        self._oldest = Gauge(
            "forebay_processor_oldest_item_seconds",
            "The age of the oldest of them; 0 where nothing waits.",
            ("pool", "lane"),
            registry=registry,
        )
        self._unsplit = Gauge(
            "forebay_processor_unsplit_age_ratio",
            "The age of the oldest webhook that is not split, as a share of the age at which RAW "
            "forgets it; alert at 0.5. 0 at all processors but the one that looks.",
            ("pool", "shard"),
            registry=registry,
        )
        self._pool = pool
        # For what counts each item: `labels` takes a lock and makes strings of all it is given,
        # 2 µs each time.
        self._items_of = functools.cache(self._items.labels)
        self._webhooks_of = functools.cache(self._webhooks.labels)
        self._deliveries_of = functools.cache(self._deliveries.labels)
        self._attempts_of = functools.cache(self._attempts.labels)
        self._parked_of = functools.cache(self._parked.labels)
        self._delivery_seconds = LoopHistogram(
            "forebay_processor_delivery_seconds",
            "Time of one attempt.",
            ("pool", pool),
            SECONDS,
            registry,
        )
        self._end_to_end_seconds = LoopHistogram(
            "forebay_processor_end_to_end_seconds",
            "From a webhook's receipt to the delivery of its item.",
            ("pool", pool),
            SECONDS,
            registry,
        )

    def follow(self, owned: Callable[[str], int], lag: Callable[[Lane], tuple[int, float]]) -> None:
        """Ask for these at every look at the metrics.

        Args:
            owned: How many partitions of a kind, `raw` or `event`, are owned.
            lag: How many items of a lane wait, and the age of the oldest in seconds.
        """
        for kind in ("raw", "event"):
            self._owned.labels(self._pool, kind).set_function(functools.partial(owned, kind))
        for lane in Lane:
            self._lag.labels(self._pool, lane).set_function(_part_of(lag, lane, 0))
            self._oldest.labels(self._pool, lane).set_function(_part_of(lag, lane, 1))

    def item(self, endpoint: EndpointName, lane: Lane, kind: str, outcome: str) -> None:
        """Count an item that was stored (`new`, `variant`), or known before (`repeat`)."""
        self._items_of(*endpoint, lane, kind, outcome).inc()

    def webhook(self, endpoint: EndpointName, lane: Lane, outcome: str) -> None:
        """Count a webhook: `split`, `invalid` or `dropped`."""
        self._webhooks_of(*endpoint, lane, outcome).inc()

    def attempt(
        self, endpoint: EndpointName, destination: str, result: str, seconds: float
    ) -> None:
        """Count an attempt and its time."""
        self._attempts_of(*endpoint, destination, result).inc()
        self._delivery_seconds.observe(seconds)

    def delivered(self, endpoint: EndpointName, destination: str, since_receipt: float) -> None:
        """Count a delivery; `since_receipt` in seconds."""
        self._deliveries_of(*endpoint, destination, "delivered").inc()
        self._end_to_end_seconds.observe(since_receipt)

    def parked(self, endpoint: EndpointName, destination: str) -> None:
        """Count an item that begins to wait in RETRY."""
        self._deliveries_of(*endpoint, destination, "parked").inc()

    def dead(self, endpoint: EndpointName, destination: str, reason: str) -> None:
        """Count a dead letter."""
        self._deliveries_of(*endpoint, destination, "dead").inc()
        self._dead.labels(*endpoint, destination, reason).inc()

    def unsplit(self, shard: str, share: float) -> None:
        """Set how much of its age the oldest webhook waits for its split."""
        self._unsplit.labels(self._pool, shard).set(share)

    def waiting(self, endpoint: EndpointName, destination: str, count: int) -> None:
        """Set how many items wait for a destination."""
        self._parked_of(*endpoint, destination).set(count)

    def breaker(self, endpoint: EndpointName, destination: str, *, is_open: bool) -> None:
        """Set whether a destination's breaker is open."""
        self._breaker.labels(*endpoint, destination).set(is_open)

    def redelivered(self) -> None:
        """Count a message that came again though it was finished."""
        self._redelivered.inc()

    def pull_refused(self, stream: str, reason: str) -> None:
        """Count a request for messages that came to nothing."""
        self._pulls_refused.labels(stream, reason).inc()

    def consumer_restored(self, stream: str) -> None:
        """Count a consumer that was made again, or got its settings back."""
        self._restored.labels(stream).inc()

    def purged(self, stream: str, count: int) -> None:
        """Count processed messages that were removed for room."""
        self._purged.labels(stream).inc(count)


def _part_of(
    lag: Callable[[Lane], tuple[int, float]], lane: Lane, part: int
) -> Callable[[], float]:
    return lambda: lag(lane)[part]
