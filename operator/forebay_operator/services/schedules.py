"""What a schedule means for a pass over an endpoint: when the next is due, and what is said."""

import math
from datetime import datetime

import msgspec

from forebay.core.schedule import LoadNow, webhooks_per_second
from forebay.core.tables import ProcessorEndpoint, ReceiverRoute
from forebay_operator.models.endpoint import write_time
from forebay_operator.services.acceptance import AcceptedEndpoint

__all__ = ["load_in_words", "seconds_until_change", "sooner", "with_any_load"]


def seconds_until_change(accepted: AcceptedEndpoint | None, now: datetime) -> float:
    """Return the seconds until another window counts, or none does; infinite without a schedule."""
    if accepted is None or accepted.load.changes_at is None:
        return math.inf
    return max(0.0, (accepted.load.changes_at - now).total_seconds())


def sooner(again_in: float | None, change: float) -> float | None:
    """Return the seconds until the next pass: until what comes first; None for never."""
    first = min(math.inf if again_in is None else again_in, change)
    return None if first == math.inf else first


def with_any_load(accepted: AcceptedEndpoint) -> tuple[ReceiverRoute, ProcessorEndpoint]:
    """Return what pods know of an endpoint, but for what follows from its schedule."""
    return msgspec.structs.replace(accepted.route, max_in_flight=0), accepted.processing


def load_in_words(load: LoadNow) -> str:
    """Return what an Event says when another window counts, or none does."""
    rate = math.ceil(webhooks_per_second(load.throughput))
    if load.window is None:
        return f"no window of the schedule counts any more: {rate} webhooks/s"
    return (
        f"the window {load.window.name!r} counts until {write_time(load.window.ends)}: {rate} "
        "webhooks/s"
    )
