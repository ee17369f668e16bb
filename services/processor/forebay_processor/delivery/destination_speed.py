"""Whether a destination is quick, as far as this process can measure.

Time alone does not show it: while this process itself is busy everything takes long. So what counts
is how much the destination works off, and time in which this process did not run counts for nobody.
If the process dies, the next one finds out anew.
"""

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["CHECK_SECONDS", "HOLD_SECONDS", "LINE_SECONDS", "PACE_SECONDS", "QUICK_ENDED", "Pace"]

HOLD_SECONDS: Final = 0.25
"""How long an attempt may take before what is held behind it is parked: a healthy destination
answers within it, and parking costs two writes."""

LINE_SECONDS: Final = 1.0
"""How long an item waits for a place of a slow destination before it is parked, and how long an
attempt may take where the destination works off much at the same time: there it is this process or
the destination's that does not get the CPU, and parking would take more of that."""

CHECK_SECONDS: Final = 0.05
"""Between two checks of what is held: one check of all costs less than a timer for each. A check,
or a judgement of the pace, that comes later than that is about this process and not about the
destination: it did not run, and so it saw no answer. That time counts for nobody; but of two
judgements in a row the second one counts, for a process whose processor is throttled is late at
each."""

PACE_SECONDS: Final = 0.25
QUICK_ENDED: Final = 64
"""So many attempts have to end within that time, or the destination counts as slow: 256 a second.
A quicker one is better waited for: 3,800 deliveries a second went through memory, 1,080 through
RETRY (one process; 2 cores shared with nats-server and the destination)."""


class Pace:
    """The pace of one destination."""

    def __init__(self, on_judged: Callable[[], bool]) -> None:
        """Prepare.

        Args:
            on_judged: Called after each judgement; says whether to judge again in a moment.
        """
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._call_later = loop.call_later
        self._on_judged = on_judged
        self.is_slow = False
        """Whether the destination works off little, though all its places are taken."""

        self.ended = 0
        """Attempts that have ended."""

        self._ended_before = 0
        self._timer: asyncio.TimerHandle | None = None
        self._was_late = False
        """Whether the last judgement said nothing."""

        self._stood_still = 0.0
        """Seconds in which this process did not run while items were held."""

    def now(self) -> float:
        """Return seconds on a clock that stands still while this process does."""
        return self._clock() - self._stood_still

    def note_check(self, timer: asyncio.TimerHandle | None) -> None:
        """Take notice that a check of what is held was to come by a timer."""
        self._stood_still += self._late(timer)

    def takes_long(self, ended_before: int, seconds: float) -> bool:
        """Say whether an attempt takes longer than what is behind it waits.

        Args:
            ended_before: How many attempts had ended when it began.
            seconds: How long ago that was.
        """
        if seconds < HOLD_SECONDS:
            return False
        quick = QUICK_ENDED * seconds / PACE_SECONDS
        return seconds >= LINE_SECONDS or self.ended - ended_before < quick

    def watch(self) -> None:
        """See in a moment whether the destination is quick: asked while all places are taken."""
        if self._timer is None:
            self._ended_before = self.ended
            self._timer = self._call_later(PACE_SECONDS, self._judge)

    def _judge(self) -> None:
        self._was_late = not self._was_late and self._late(self._timer) > 0
        if not self._was_late:
            self.is_slow = self.ended - self._ended_before < QUICK_ENDED
        self._timer = None
        if self._on_judged():
            self.watch()

    def _late(self, timer: asyncio.TimerHandle | None) -> float:
        """Return by how many seconds a timer came late because the process did not run, else 0."""
        late = 0.0 if timer is None else self._clock() - timer.when()
        return late if late > CHECK_SECONDS else 0.0
