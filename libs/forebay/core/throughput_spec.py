"""What a channel sends and is sent, always and in windows that are known before they begin.

For `resource` only, which has it in its place, and for `schedule`, which says what holds when.
"""

from typing import Annotated

from pydantic import Field, field_validator

from forebay.core.cron import check_cron, zone_named
from forebay.core.field_types import CronExpression, Name, TimeZone, duration
from forebay.core.spec_base import ResourceRecord

__all__ = ["ScheduleWindow", "Throughput"]

MessageRate = Annotated[int, Field(ge=1, le=10_000)]
ReplyRatio = Annotated[float, Field(ge=0, le=10)]


class ScheduleWindow(ResourceRecord):
    """Times in which more is sent, such as a campaign."""

    name: Name
    """How the status calls it."""

    cron: CronExpression
    """When it begins; see `cron`."""

    time_zone: TimeZone = "UTC"
    """Whose wall clock that means."""

    duration: Annotated[float, duration("1m", "168h")]
    """Seconds from a begin to its end, of time that passes: summer time makes it no longer."""

    lead_time: Annotated[float, duration("0s", "24h")] = 300.0
    """Seconds before the begin in which what it needs is made: pods take one minute, nodes some."""

    messages_per_second: MessageRate
    """What is sent in it."""

    reply_ratio: ReplyRatio | None = None
    """Messages that come in for each that goes out; None for as many as at other times."""

    @field_validator("cron")
    @classmethod
    def _comes_due(cls, cron: str) -> str:
        check_cron(cron)
        return cron

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, time_zone: str) -> str:
        zone_named(time_zone)
        return time_zone


class Throughput(ResourceRecord):
    """What the channel sends and is sent; sizes limits and the floor of the autoscaler."""

    messages_per_second: MessageRate = 80
    """Messages that the business sends: 20 with coexistence, else 80, up to 1,000 a number."""

    reply_ratio: ReplyRatio = 0.3
    """Messages that come in for each that goes out."""

    schedule: Annotated[tuple[ScheduleWindow, ...], Field(max_length=16)] = ()
    """Windows with a higher rate; where several hold, the greatest counts."""

    @field_validator("schedule")
    @classmethod
    def _have_their_own_names(
        cls, schedule: tuple[ScheduleWindow, ...]
    ) -> tuple[ScheduleWindow, ...]:
        names = [window.name for window in schedule]
        for name in names:
            if names.count(name) > 1:
                message = f"two windows are called {name!r}: give each a name of its own"
                raise ValueError(message)
        return schedule
