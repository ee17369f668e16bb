"""The steps in which a status shows a backlog: what a person or a program needs, and no more.

A backlog that stands is a second older every second, and one that moves has another number at
every poll. Written each time, a thousand endpoints with something to do would be a hundred writes a
second at the API server, each of them an event for all who watch. So:

- what is younger than one poll is on its way, and no backlog;
- the age goes in steps (`AGE_STEPS`): 20 for a week;
- the number is written again when it is a quarter away from what stands there;
- between two changes are six polls, but that a backlog is gone is said at once.
"""

from bisect import bisect_right
from typing import Final

from forebay_operator.models.status import Backlog

__all__ = ["AGE_STEPS", "shown_backlog"]

_HOUR: Final = 3600

AGE_STEPS: Final = (
    *(0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
    *(hours * _HOUR for hours in (1, 2, 4, 8, 12, 24, 48, 72, 96, 120, 144, 168)),
)
"""Seconds; an age is shown as the last step that it has reached."""

QUARTER: Final = 0.25


def shown_backlog(
    found: Backlog, before: Backlog | None, *, poll_seconds: float, may_change: bool
) -> Backlog:
    """Return what the status is to say.

    Args:
        found: What was found, with the exact age.
        before: What stands in the status; None for nothing.
        poll_seconds: Between two polls.
        may_change: Whether the last change is long enough ago.
    """
    if not found.items or found.oldest_seconds < poll_seconds:
        return Backlog(items=0, oldest_seconds=0)
    step = AGE_STEPS[bisect_right(AGE_STEPS, found.oldest_seconds) - 1]
    if before is None:
        return Backlog(items=found.items, oldest_seconds=step)
    if not may_change:
        return before
    is_near = abs(found.items - before.items) < QUARTER * before.items
    if is_near and step == before.oldest_seconds:
        return before
    return Backlog(items=found.items, oldest_seconds=step)
