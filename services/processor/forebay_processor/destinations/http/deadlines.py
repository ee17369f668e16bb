"""Time limits of many things by one timer, where each thing's own timer would cost more than it.

Things with the same limit stand in line in the order in which they began, so the first of each line
is the next that is due. A check of the lines costs the same however many stand in them.
"""

import asyncio
import itertools
import math
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["RESOLUTION", "Deadlines"]

RESOLUTION: Final = 0.05
"""Seconds by which a limit may be exceeded: the shortest time between two checks. Never is one cut
short."""

Member = TypeVar("Member")


class Deadlines(Generic[Member]):
    """Ends what takes too long. Nothing waits for it while nothing is in line."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Member], None]) -> None:
        """Prepare.

        Args:
            loop: Whose time it is.
            expire: Called once for each member whose time is over; it may begin and end others.
        """
        self._loop = loop
        self._expire = expire
        self._lines: dict[float, dict[Member, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf
        self._has_waited = False

    def __len__(self) -> int:
        """Count what is in line."""
        return sum(map(len, self._lines.values()))

    def begin(self, member: Member, seconds: float) -> float:
        """Let a member's time begin; returns when it is over, by the loop's time."""
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = {}
        when = line[member] = self._loop.time() + seconds
        if when < self._next:
            self._check_at(when)
        return when

    def end(self, member: Member, seconds: float) -> None:
        """Take a member out of its line; nothing where it is in none."""
        line = self._lines.get(seconds)
        if line is not None:
            line.pop(member, None)

    def oldest(self, seconds: float) -> Member | None:
        """Return the member that began first of those with this limit."""
        return next(iter(self._lines.get(seconds, ())), None)

    def close(self) -> None:
        """Forget all, and end none of it."""
        self._lines.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._next = math.inf

    def _check_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = self._loop.call_at(when, self._check)

    def _check(self) -> None:
        now = self._loop.time()
        is_late = now - self._next > RESOLUTION and not self._has_waited
        self._timer, self._next = None, math.inf
        self._has_waited = is_late
        if is_late:
            # The loop stood still, and what it did not read meanwhile may be in time: it reads
            # first. Once: a loop that is always late has to end things, too.
            self._check_at(now + RESOLUTION)
            return
        for seconds, line in list(self._lines.items()):
            self._end_due(line, now)
            if not line:
                # Limits are settings, which change: none is kept forever.
                del self._lines[seconds]
        firsts = [next(iter(line.values())) for line in self._lines.values()]
        if firsts and (first := max(min(firsts), now + RESOLUTION)) < self._next:
            self._check_at(first)

    def _end_due(self, line: dict[Member, float], now: float) -> None:
        for member, _ in list(itertools.takewhile(lambda each: each[1] <= now, line.items())):
            # One that ended before may have ended this one.
            if line.pop(member, None) is not None:
                self._expire(member)
