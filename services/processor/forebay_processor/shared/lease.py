"""How long this process may assume that it owns what the table says."""

import asyncio
import time
from typing import Final

__all__ = ["DEAD_SECONDS", "HEARTBEAT_SECONDS", "VALID_SECONDS", "Lease", "lease_clock"]

HEARTBEAT_SECONDS: Final = 1.0
"""Between two steps of a processor."""

VALID_SECONDS: Final = 5.0
"""A lease ends so long after the step that renewed it began."""

DEAD_SECONDS: Final = 6.0
"""A processor whose heartbeat stood still for so long is dead. Others began to count after it
wrote, so its lease has been over for a second; a crash is noticed in 6 to 7 s."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Return seconds on a clock that goes on while the process, or the machine, stands still.

    Not the event loop's: uvloop reads its clock once a turn, so a process that was stopped in the
    middle of one would not notice.
    """
    return time.clock_gettime(_CLOCK)


class Lease:
    """The time until which a shard's table holds; renewed by every step that succeeds."""

    def __init__(self) -> None:
        self._until = 0.0
        self._pulse = asyncio.Event()

    @property
    def remaining(self) -> float:
        """Seconds that it lasts; 0 or less where it is over."""
        return self._until - lease_clock()

    @property
    def is_valid(self) -> bool:
        """Whether it lasts."""
        return self.remaining > 0

    def renew(self, began: float) -> None:
        """Note that a step succeeded which began then, on the lease's clock."""
        self._until = began + VALID_SECONDS
        self.changed()

    def changed(self) -> None:
        """Wake who waits for the lease: it is renewed, or something is lost."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def wait_change(self) -> None:
        """Wait for the next change."""
        await self._pulse.wait()
