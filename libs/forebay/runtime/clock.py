"""The machine's own clocks."""

import time
from typing import Final

from typing_extensions import override

from forebay.core.clock import Clock

__all__ = ["SystemClock"]

_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, as the streams' clocks do; where there is none, the
next check of those makes it good."""


class SystemClock(Clock):
    """Reads the clocks of this machine."""

    @override
    def wall(self) -> float:
        return time.time()

    @override
    def monotonic(self) -> float:
        return time.clock_gettime(_STEADY)
