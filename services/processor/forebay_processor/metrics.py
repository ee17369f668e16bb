"""The processor's metrics: declared here, recorded through verbs, read on the admin port.

What an endpoint or a destination did is counted in plain numbers as it happens; how a destination
is (what waits, since when, its breaker) is read from its queue at a scrape.
"""

from collections.abc import Callable, Iterable
from typing import Final

from forebay.core.endpoint_name import EndpointName
from forebay.core.invalid_reasons import InvalidReason
from forebay.core.subjects import Lane
from forebay.runtime.metric_declarations import DESTINATION, ENDPOINT, NO_SPANS, Declarations
from forebay.runtime.metrics import MetricSet, Owner
from forebay.runtime.tracing import Tracer
from forebay_processor.destination_metrics import (
    OF_DESTINATIONS,
    DestinationFigures,
    follow_destinations,
)
from forebay_processor.filter_metrics import OF_FILTERS, FilterCounts
from forebay_processor.index_writer import IndexPublishing, IndexWriter

__all__ = ["DECLARED", "ProcessorMetrics"]

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Dense below 150 ms, our goal from webhook to destination; up to the longest attempt."""

_OWN: Final = Declarations("processor")

ITEMS: Final = _OWN.counter(
    "forebay_processor_items_total",
    "Items cut out of webhooks: new, a repeat of one that was seen before, or a variant: "
    "other content under a key that was seen.",
    labels=(*ENDPOINT, "lane", "kind", "outcome"),
    unit="items",
    use="Many repeats: the provider sends again, so answers are slow.",
)
WEBHOOKS: Final = _OWN.counter(
    "forebay_processor_webhooks_total",
    "Webhooks taken from RAW: split, invalid, or dropped with their endpoint.",
    labels=(*ENDPOINT, "lane", "outcome"),
    unit="webhooks",
    use="invalid are in `forebay dead ls --invalid`.",
)
UNREADABLE: Final = _OWN.counter(
    "forebay_processor_unreadable_bodies_total",
    "Webhooks set aside in the lane invalid, by reason: what no reader takes (NotJson, "
    "NoEnvelope), what is beyond a limit on what a body may hold (TooManyItems, TooManyValues, "
    "ExpandsTooFar, ItemTooLarge), what there is no room for behind a destination that is down "
    "(NoRoom), a fault of Forebay's own (Crashed).",
    labels=(*ENDPOINT, "reason"),
    unit="webhooks",
    use="Crashed: report it. A limit: raise it if the sender is trusted, then replay. NoRoom: "
    "bring the destination back, then replay.",
)
DELIVERIES: Final = _OWN.counter(
    "forebay_processor_deliveries_total",
    "Items by their outcome at a destination: delivered, parked or dead.",
    labels=(*DESTINATION, "outcome"),
    unit="items",
    use="parked wait for another attempt in RETRY; dead need somebody.",
)
ATTEMPTS: Final = _OWN.counter(
    "forebay_processor_attempts_total",
    "Requests to a destination by result: delivered, failed or rejected.",
    labels=(*DESTINATION, "result"),
    unit="attempts",
    use="failed over all is how ill a destination is; answers_total says with what.",
)
ANSWERS: Final = _OWN.counter(
    "forebay_processor_answers_total",
    "Attempts by what the destination answered: 2xx, 4xx, 5xx, other (another status, or what "
    "never left), timeout (no answer in time), connection (none was made, or it broke).",
    labels=(*DESTINATION, "result"),
    unit="attempts",
    use="4xx: credentials or items; 5xx and timeout: the destination; connection: its network.",
)
DEAD: Final = _OWN.counter(
    "forebay_processor_dead_letters_total",
    "Items given up, by reason.",
    labels=(*DESTINATION, "reason"),
    unit="items",
    use="Any is an alert: see docs/dead-letters.md.",
)
REPLAYED: Final = _OWN.counter(
    "forebay_processor_replayed_items_total",
    "Dead letters that somebody replayed, as they were found in RETRY.",
    labels=DESTINATION,
    unit="items",
    use="Goes with dead letters that were replayed; deliveries_total says how they ended.",
)
REDELIVERED: Final = _OWN.counter(
    "forebay_processor_redeliveries_total",
    "Messages that JetStream handed out again after they were finished here.",
    unit="messages",
    use="Some after a restart of NATS; always: acks get lost, check NATS.",
)
PURGED: Final = _OWN.counter(
    "forebay_processor_purged_messages_total",
    "Processed messages removed before their age, for room.",
    labels=("stream",),
    unit="messages",
    use="Of EVENTS: repeats are recognized for a shorter time; give the stream more room.",
)
PULLS_REFUSED: Final = _OWN.counter(
    "forebay_processor_pulls_refused_total",
    "Requests for messages that failed: the consumer is gone, or refuses them.",
    labels=("stream", "reason"),
    unit="requests",
    use="A rise that lasts: somebody changes consumers.",
)
RESTORED: Final = _OWN.counter(
    "forebay_processor_consumers_restored_total",
    "Durable consumers that were missing, or changed by somebody, and were restored.",
    labels=("stream",),
    unit="consumers",
    use="Find out who deletes them: what was acked before is checked again.",
)
OWNED: Final = _OWN.gauge(
    "forebay_processor_partitions_owned",
    "Partitions of RAW (`raw`), and of EVENTS and RETRY (`event`), that it works.",
    labels=("pool", "kind"),
    unit="partitions",
    use="The sum over all pods is 16 of each kind a shard (4 of a shard of its own).",
)
TAKEN: Final = _OWN.counter(
    "forebay_processor_takeovers_total",
    "Partitions that this process took, at its start too; `kind` as at partitions_owned.",
    labels=("pool", "kind"),
    unit="partitions",
    use="A rise without a roll-out: processors die, or lose their leases.",
)
LOST: Final = _OWN.counter(
    "forebay_processor_partitions_lost_total",
    "Partitions that went to somebody else without being handed over.",
    labels=("pool", "kind"),
    unit="partitions",
    use="The process stood still for longer than its lease: CPU, memory, or NATS.",
)
LAG: Final = _OWN.gauge(
    "forebay_processor_lag_items",
    "Webhooks that wait for a split and items that wait for a first attempt, in the "
    "partitions that this process works. What is parked is counted apart.",
    labels=("pool", "lane"),
    unit="messages",
    use="Rises while processors are too few or too slow: it is what scales them.",
)
OLDEST: Final = _OWN.gauge(
    "forebay_processor_oldest_item_seconds",
    "The age of the oldest of them; 0 where nothing waits.",
    labels=("pool", "lane"),
    unit="seconds",
    use="Above 5 s the objective of freshness is missed.",
)
UNSPLIT: Final = _OWN.gauge(
    "forebay_processor_unsplit_age_ratio",
    "The age of the oldest webhook that is not split, as a share of the age at which RAW "
    "forgets it; 0 at all processors but the one that checks.",
    labels=("pool", "shard"),
    unit="ratio",
    use="Alert at 0.5: at 1 webhooks are lost. Most likely no table names an endpoint any more.",
)
DELIVERY_SECONDS: Final = _OWN.histogram(
    "forebay_processor_delivery_seconds",
    "Time of one attempt.",
    unit="seconds",
    use="How quick destinations are, over all of them.",
    buckets=SECONDS,
)
END_TO_END_SECONDS: Final = _OWN.histogram(
    "forebay_processor_end_to_end_seconds",
    "From a webhook's receipt to the delivery of its item.",
    unit="seconds",
    use="The objective of freshness: 99 % within 5 s.",
    buckets=SECONDS,
)
HEARTBEAT_SECONDS: Final = _OWN.histogram(
    "forebay_processor_heartbeat_seconds",
    "From a heartbeat's write to NATS' answer, about once a second: the round trip to NATS, its "
    "disk and quorum included.",
    unit="seconds",
    use="Where items are late and this rises, it is NATS; where it does not, see loop_lag.",
    buckets=SECONDS,
)
ENDPOINTS: Final = _OWN.gauge(
    "forebay_processor_endpoints",
    "Endpoints that the tables name.",
    unit="endpoints",
    use="The same at all pods of a pool; one that differs does not get its table.",
)
TABLE_AGE: Final = _OWN.gauge(
    "forebay_processor_table_age_seconds",
    "Since the newest change of the tables came into force in this process.",
    unit="seconds",
    use="One pod that is much older than the others of its pool does not follow the tables.",
)
INDEX_RECORDS: Final = _OWN.counter(
    "forebay_processor_index_records_total",
    "Records of what happened to items, for `forebay events`: written or dropped.",
    labels=("outcome",),
    unit="records",
    use="dropped: answers of `forebay events` have gaps; NATS was away or slow, or the stream "
    "FOREBAY_INDEX_<shard> is missing. Deliveries are not affected.",
)
SPANS: Final = _OWN.spans()
LOOP_LAG: Final = _OWN.loop_lag()
START_TIME: Final = _OWN.start_time()

DECLARED: Final = (*_OWN, *OF_DESTINATIONS, *OF_FILTERS)

_UNKNOWN_REASON: Final = "Unknown"
"""Of a webhook whose header names no reason of ours."""

_REASONS: Final = frozenset(map(str, InvalidReason))


class ProcessorMetrics:
    """All metrics of one processor process, what it is traced by, and the index of items.

    All are given the same moments by the same callers, so they are passed together.
    """

    def __init__(self, pool: str, tracer: Tracer | None = None) -> None:
        self._pool = pool
        self.index: IndexWriter | None = None
        """None where nothing is kept of what happens to items."""

        self.tracer = tracer
        """None where nothing is traced."""

        self._set = metrics = MetricSet(DECLARED, pool)
        self.exposition = metrics.exposition
        self.filters = FilterCounts(metrics)
        self._items = metrics.series(ITEMS)
        self._webhooks = metrics.series(WEBHOOKS)
        self._unreadable = metrics.series(UNREADABLE)
        self._deliveries = metrics.series(DELIVERIES)
        self._attempts = metrics.series(ATTEMPTS)
        self._answers = metrics.series(ANSWERS)
        self._dead = metrics.series(DEAD)
        self._replayed = metrics.series(REPLAYED)
        self._redelivered = metrics.series(REDELIVERED)
        self._purged = metrics.series(PURGED)
        self._pulls_refused = metrics.series(PULLS_REFUSED)
        self._restored = metrics.series(RESTORED)
        self._taken = metrics.series(TAKEN)
        self._lost = metrics.series(LOST)
        self._unsplit = metrics.series(UNSPLIT)
        self._delivery_seconds = metrics.histogram(DELIVERY_SECONDS)
        self._end_to_end_seconds = metrics.histogram(END_TO_END_SECONDS)
        self._heartbeat_seconds = metrics.histogram(HEARTBEAT_SECONDS)
        if tracer is None:
            metrics.series(SPANS).follow(lambda: NO_SPANS)
        else:
            metrics.follow_spans(SPANS, tracer.counts)

    # -- what is read at a scrape

    def follow(self, owned: Callable[[str], int], lag: Callable[[Lane], tuple[int, float]]) -> None:
        """Ask for these at each scrape.

        Args:
            owned: How many partitions of a kind, `raw` or `event`, are owned.
            lag: How many items of a lane wait, and the age of the oldest in seconds.
        """
        pool, kinds = self._pool, ("raw", "event")
        self._set.series(OWNED).follow(lambda: [((pool, kind), owned(kind)) for kind in kinds])
        self._set.series(LAG).follow(lambda: [((pool, lane), lag(lane)[0]) for lane in Lane])
        self._set.series(OLDEST).follow(lambda: [((pool, lane), lag(lane)[1]) for lane in Lane])

    def keep_index(self, publisher: IndexPublishing, now: Callable[[], float]) -> None:
        """Keep what happens to items from now on: before any of them comes.

        Args:
            publisher: Stores it.
            now: Seconds since the epoch, by the time of the NATS servers.
        """
        self.index = index = IndexWriter(publisher, now)
        self._set.series(INDEX_RECORDS).follow(
            lambda: [(("written",), index.written), (("dropped",), index.dropped)]
        )

    def follow_tables(self, endpoints: Callable[[], int], age: Callable[[], float]) -> None:
        """Ask for the number of endpoints, and the tables' age in seconds, at each scrape."""
        self._set.series(ENDPOINTS).follow_value(endpoints)
        self._set.series(TABLE_AGE).follow_value(age)

    def follow_destinations(self, read: Callable[[], Iterable[DestinationFigures | None]]) -> None:
        """Ask at each scrape how destinations are; at each None others have their turn."""
        follow_destinations(self._set, read)

    # -- life

    async def measure_lag(self) -> None:
        """Measure how late the loop is; until cancelled."""
        await self._set.measure_lag(LOOP_LAG)

    async def forget_gone(self, is_known: Callable[[Owner], bool], keep_seconds: float) -> None:
        """Drop what was counted for endpoints and destinations that are gone; until cancelled.

        Args:
            is_known: Whether an endpoint, or a destination of one, is still there.
            keep_seconds: How long the last counts are shown.
        """
        await self._set.forget_gone(is_known, keep_seconds)

    # -- what happens

    def item(self, endpoint: EndpointName, lane: Lane, kind: str, outcome: str) -> None:
        """Count an item that was stored (`new`, `variant`), or known before (`repeat`)."""
        self._items.add((*endpoint, lane, kind, outcome))

    def webhook(self, endpoint: EndpointName, lane: Lane, outcome: str) -> None:
        """Count a webhook: `split`, `invalid` or `dropped`."""
        self._webhooks.add((*endpoint, lane, outcome))

    def unreadable(self, endpoint: EndpointName, reason: str) -> None:
        """Count a webhook that is set aside; `reason` is the value of its header."""
        self._unreadable.add((*endpoint, str(reason) if reason in _REASONS else _UNKNOWN_REASON))

    def attempt(
        self, endpoint: EndpointName, destination: str, result: str, answer: str, seconds: float
    ) -> None:
        """Count an attempt, what it was answered, and its time."""
        self._attempts.add((*endpoint, destination, result))
        self._answers.add((*endpoint, destination, answer))
        self._delivery_seconds.observe(seconds)

    def delivered(self, endpoint: EndpointName, destination: str, since_receipt: float) -> None:
        """Count a delivery; `since_receipt` in seconds."""
        self._deliveries.add((*endpoint, destination, "delivered"))
        self._end_to_end_seconds.observe(since_receipt)

    def traced(
        self, attempt_seconds: float, since_receipt: float | None, trace_id: str, at: float
    ) -> None:
        """Name the trace of an attempt that was observed.

        Args:
            attempt_seconds: What `attempt` was given.
            since_receipt: What `delivered` was given; None where it was not called.
            trace_id: 32 hex digits.
            at: When it ended, in seconds since the epoch.
        """
        self._delivery_seconds.exemplify(attempt_seconds, trace_id, at)
        if since_receipt is not None:
            self._end_to_end_seconds.exemplify(since_receipt, trace_id, at)

    def parked(self, endpoint: EndpointName, destination: str) -> None:
        """Count an item that begins to wait in RETRY."""
        self._deliveries.add((*endpoint, destination, "parked"))

    def dead(self, endpoint: EndpointName, destination: str, reason: str) -> None:
        """Count a dead letter."""
        self._deliveries.add((*endpoint, destination, "dead"))
        self._dead.add((*endpoint, destination, reason))

    def replayed(self, endpoint: EndpointName, destination: str) -> None:
        """Count a dead letter that somebody replayed."""
        self._replayed.add((*endpoint, destination))

    def unsplit(self, shard: str, share: float) -> None:
        """Set how much of its age the oldest webhook waits for its split."""
        self._unsplit.set(share, (self._pool, shard))

    def redelivered(self) -> None:
        """Count a message that came again though it was finished."""
        self._redelivered.add()

    def pull_refused(self, stream: str, reason: str) -> None:
        """Count a request for messages that failed."""
        self._pulls_refused.add((stream, reason))

    def consumer_restored(self, stream: str) -> None:
        """Count a consumer that was made again, or got its settings back."""
        self._restored.add((stream,))

    def purged(self, stream: str, count: int) -> None:
        """Count processed messages that were removed for room."""
        self._purged.add((stream,), count)

    def heartbeat(self, seconds: float) -> None:
        """Observe how long NATS took for a heartbeat."""
        self._heartbeat_seconds.observe(seconds)

    def taken(self, kind: str) -> None:
        """Count a partition that this process took."""
        self._taken.add((self._pool, kind))

    def lost(self, kind: str) -> None:
        """Count a partition that went to somebody else."""
        self._lost.add((self._pool, kind))
