"""What a channel's throughput is at a moment, by its schedule: a pure function of the time.

A window holds from its lead time before its begin until its end, so that what it needs is there
when it begins. Where several hold, and beside what is declared for all times, the greatest counts,
by the webhooks that it brings.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from forebay.core.cron import last_due, next_due, zone_named
from forebay.core.throughput_spec import ScheduleWindow, Throughput
from forebay.core.webhook_rate import webhook_rate

__all__ = [
    "LoadNow",
    "NextWindow",
    "WindowInForce",
    "greatest_throughput",
    "load_at",
    "webhooks_per_second",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowInForce:
    """A window whose rate counts."""

    name: str
    begins: datetime
    """Still to come while the lead time runs."""

    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NextWindow:
    """The next one that begins, of those that do not hold yet."""

    name: str
    begins: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadNow:
    """What holds at a moment; times in UTC."""

    throughput: Throughput
    """Without a schedule: what counts now."""

    window: WindowInForce | None
    """Of which it is; None where it is what is declared for all times."""

    upcoming: NextWindow | None
    changes_at: datetime | None
    """When to ask again; None where there is no schedule."""


def webhooks_per_second(throughput: Throughput) -> float:
    """Return the webhooks that a channel brings at its full speed, by the provider's formula.

    360dialog sizes an endpoint by `3 x outgoing + incoming`: 66, 264 or 3,300 webhooks/s for 20, 80
    or 1,000 messages/s at 30 % replies.
    """
    outgoing = throughput.messages_per_second
    return webhook_rate(outgoing, outgoing * throughput.reply_ratio)


def load_at(throughput: Throughput, now: datetime) -> LoadNow:
    """Return what a throughput comes to at a moment, which has a time zone."""
    counts, in_force = _always(throughput), None
    upcoming: NextWindow | None = None
    changes: list[datetime] = []
    for window in throughput.schedule:
        zone, lead = zone_named(window.time_zone), timedelta(seconds=window.lead_time)
        begins = last_due(window.cron, zone, now + lead)
        ends = None if begins is None else begins + timedelta(seconds=window.duration)
        if begins is not None and ends is not None and now < ends:
            changes.append(ends)
            raised = _of(window, throughput)
            if webhooks_per_second(raised) > webhooks_per_second(counts):
                counts = raised
                in_force = WindowInForce(name=window.name, begins=begins, ends=ends)
        coming = next_due(window.cron, zone, now + lead)
        if coming is not None:
            changes.append(coming - lead)
            if upcoming is None or coming < upcoming.begins:
                upcoming = NextWindow(name=window.name, begins=coming)
    return LoadNow(
        throughput=counts,
        window=in_force,
        upcoming=upcoming,
        changes_at=min(changes, default=None),
    )


def greatest_throughput(throughput: Throughput) -> Throughput:
    """Return the greatest that holds at any time, for who has no clock."""
    every = [_always(throughput), *(_of(window, throughput) for window in throughput.schedule)]
    return max(every, key=webhooks_per_second)


def _always(throughput: Throughput) -> Throughput:
    return throughput.model_copy(update={"schedule": ()})


def _of(window: ScheduleWindow, throughput: Throughput) -> Throughput:
    ratio = throughput.reply_ratio if window.reply_ratio is None else window.reply_ratio
    return Throughput(messages_per_second=window.messages_per_second, reply_ratio=ratio)
