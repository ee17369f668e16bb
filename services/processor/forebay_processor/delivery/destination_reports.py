"""How each destination is, for whoever asks this process: `forebay destinations ls`.

What is said is what is in memory at the moment; entries are gone through in slices, as for the
metrics (`queue_figures`).
"""

import asyncio
from typing import Final

from forebay.core.control import DestinationCondition, DestinationReport
from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import Destination
from forebay_processor.delivery.failing_destinations import next_attempt_of
from forebay_processor.delivery.queue_figures import figures_of
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.destination_metrics import DestinationFigures

__all__ = ["MOST_REPORTS", "reports_of"]

MOST_REPORTS: Final = 1000
"""Destinations in one answer: 300 kB, where a server of NATS takes 1 MiB as it comes."""


async def reports_of(
    queues: DestinationQueues, endpoint: EndpointName | None, destination: str
) -> tuple[list[DestinationReport], int]:
    """Return how destinations are, and how many found no room: those that are well go first.

    Args:
        queues: Of this process.
        endpoint: Only of this one; None for all.
        destination: Only of this name; empty for all.
    """
    figures: dict[tuple[EndpointName, str], DestinationFigures] = {}
    for each in figures_of(queues):
        if each is None:
            await asyncio.sleep(0)
        else:
            figures[each.endpoint, each.name] = each
    named = queues.named()
    waiting = {key for key, each in figures.items() if each.parked}
    found = [
        _report(queues, key, figures.get(key), named.get(key))
        for key in sorted({*named, *waiting})
        if endpoint in {None, key[0]} and destination in {"", key[1]}
    ]
    found.sort(key=lambda each: each.state is DestinationCondition.UP)
    return found[:MOST_REPORTS], max(len(found) - MOST_REPORTS, 0)


def _report(
    queues: DestinationQueues,
    key: tuple[EndpointName, str],
    figures: DestinationFigures | None,
    config: Destination | None,
) -> DestinationReport:
    name, destination = key
    queue, failing = queues.find(name, destination), queues.incidents.find(name, destination)
    state = DestinationCondition.UP if config is not None else DestinationCondition.REMOVED
    if queues.is_paused(name):
        state = DestinationCondition.PAUSED
    elif queue is not None and not queue.breaker.is_closed:
        state = DestinationCondition(queue.breaker.shown)
    elif failing is not None:
        state = DestinationCondition.FAILING
    now = queues.incidents.clock()
    reason = "" if queue is None else queue.breaker.reason
    return DestinationReport(
        endpoint=str(name),
        destination=destination,
        state=state,
        reason=reason or ("" if failing is None else failing.error),
        waiting=0 if figures is None else figures.parked,
        share=0.0 if figures is None else round(figures.share, 3),
        blocked=0 if figures is None else figures.blocked,
        oldest_seconds=None if figures is None else _rounded(figures.oldest),
        expires_seconds=None if figures is None else _rounded(figures.expires),
        failing_seconds=None if failing is None else round(now - failing.since, 1),
        next_attempt_seconds=(
            None
            if queue is None or state is DestinationCondition.PAUSED
            else next_attempt_of(queue.breaker, failing, now)
        ),
        max_age_seconds=None if config is None else config.retry.max_age_seconds,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
