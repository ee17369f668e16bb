"""The metrics of how destinations are: what waits, since when, the breaker, batches.

Nothing is counted for them as it happens: they are read from the queues at a scrape, so
they go when a queue goes. A part of `metrics`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.metric_declarations import DESTINATION, Declarations, Metric
from forebay.runtime.metrics import MetricSet, Sample

__all__ = ["OF_DESTINATIONS", "DestinationFigures", "follow_destinations"]

_OWN: Final = Declarations("processor")

PARKED: Final = _OWN.gauge(
    "forebay_processor_parked_items",
    "Items that wait in RETRY; of a partition that was just taken, those counted so far.",
    labels=DESTINATION,
    unit="items",
    use="Sum over all pods. What waits at a destination that is up drains; else it is down.",
)
BLOCKED: Final = _OWN.gauge(
    "forebay_processor_blocked_conversations",
    "Conversations that wait because one of their items failed: all behind it keep their order.",
    labels=DESTINATION,
    unit="conversations",
    use="Few, while others are delivered: single items fail, check their answers.",
)
PARKED_BYTES: Final = _OWN.gauge(
    "forebay_processor_parked_bytes",
    "What those take of RETRY, about: a row's headers and subject count as 512 bytes.",
    labels=DESTINATION,
    unit="bytes",
    use="Sum over all pods. Who it is that fills RETRY.",
)
SHARE: Final = _OWN.gauge(
    "forebay_processor_backlog_share_ratio",
    "How much of what it may have of RETRY a destination has, it or its namespace: at 1 what "
    "finds no room for 10 s becomes a dead letter NoRoom. An estimate of each pod.",
    labels=DESTINATION,
    unit="ratio",
    use="Take the greatest of all pods. Bring the destination back before it is 1.",
)
OLDEST_WAITING: Final = _OWN.gauge(
    "forebay_processor_oldest_parked_seconds",
    "The age of the oldest item that waits in RETRY, of those in memory; none where none waits.",
    labels=DESTINATION,
    unit="seconds",
    use="Take the greatest of all pods.",
)
EXPIRES: Final = _OWN.gauge(
    "forebay_processor_oldest_parked_expires_seconds",
    "Until that item is given up; none where none waits.",
    labels=DESTINATION,
    unit="seconds",
    use="Take the least of all pods. Before it is 0: fix the destination, or pause the endpoint.",
)
BREAKER: Final = _OWN.gauge(
    "forebay_processor_breaker_open",
    "1 while nothing is sent to a destination but probes.",
    labels=DESTINATION,
    unit="0 or 1",
    use="The destination is down, or refuses us: breaker_state says which.",
)
BREAKER_STATE: Final = _OWN.gauge(
    "forebay_processor_breaker_state",
    "1 for the state that a destination's breaker is in: Closed, Open, Probing, or Refused, where "
    "pauses between two attempts grow to hours.",
    labels=(*DESTINATION, "state"),
    unit="1",
    use="Refused needs somebody: a credential is wrong, or the destination is gone for good.",
)
NEXT_PROBE: Final = _OWN.gauge(
    "forebay_processor_breaker_next_attempt_seconds",
    "Until an open breaker lets the next attempt begin; none while it is closed, or one is made.",
    labels=DESTINATION,
    unit="seconds",
    use="0 that stays: nothing waits there that could be tried.",
)
BATCHES: Final = _OWN.counter(
    "forebay_processor_batches_total",
    "Requests that held several items.",
    labels=DESTINATION,
    unit="requests",
    use="batch_items_total over this is how full batches are.",
)
BATCH_ITEMS: Final = _OWN.counter(
    "forebay_processor_batch_items_total",
    "Items that were sent in those.",
    labels=DESTINATION,
    unit="items",
    use="As batches_total.",
)

OF_DESTINATIONS: Final = tuple(_OWN)
"""All of them, in the order in which they are shown."""


class DestinationFigures(NamedTuple):
    """How one destination is at this moment."""

    endpoint: EndpointName
    name: str
    parked: int
    parked_bytes: int
    share: float
    """Of what it may have of RETRY; 1 where it gets no more."""

    blocked: int
    oldest: float | None
    """Age in seconds."""

    expires: float | None
    """Seconds."""

    breaker: str
    """The state's name."""

    next_probe: float | None
    """Seconds until the breaker's next attempt; None where there is none to wait for."""

    is_open: bool
    batches: int
    batch_items: int


def follow_destinations(
    metrics: MetricSet, read: Callable[[], Iterable[DestinationFigures | None]]
) -> None:
    """Ask at each scrape how destinations are; at each None others have their turn."""

    def survey() -> Iterator[None]:
        found: dict[str, list[Sample]] = {metric.name: [] for metric in OF_DESTINATIONS}
        for figures in read():
            if figures is None:
                yield
            else:
                for metric, sample in _samples(figures):
                    found[metric.name].append(sample)
        for metric in OF_DESTINATIONS:
            metrics.series(metric).replace(found[metric.name])

    metrics.before(survey)


def _samples(figures: DestinationFigures) -> Iterator[tuple[Metric, Sample]]:
    of = (*figures.endpoint, figures.name)
    yield PARKED, (of, figures.parked)
    yield PARKED_BYTES, (of, figures.parked_bytes)
    yield SHARE, (of, figures.share)
    yield BLOCKED, (of, figures.blocked)
    if figures.oldest is not None:
        yield OLDEST_WAITING, (of, figures.oldest)
    if figures.expires is not None:
        yield EXPIRES, (of, figures.expires)
    yield BREAKER, (of, figures.is_open)
    yield BREAKER_STATE, ((*of, figures.breaker), 1)
    if figures.next_probe is not None:
        yield NEXT_PROBE, (of, figures.next_probe)
    if figures.batches:
        yield BATCHES, (of, figures.batches)
        yield BATCH_ITEMS, (of, figures.batch_items)
