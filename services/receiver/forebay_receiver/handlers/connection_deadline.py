"""When a connection is late: one timer for each, which is moved only when it fires."""

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["FOREVER", "Deadline"]

FOREVER: Final = float("inf")
"""The deadline of what cannot be late."""


class Deadline:
    """A time at which something is called at the latest."""

    __slots__ = ("_loop", "_on_late", "_timer", "_timer_at", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[], None]) -> None:
        self._loop = loop
        self._on_late: Callable[[], None] | None = on_late
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = FOREVER
        self.when = FOREVER
        """On the loop's clock. May be put off by setting it; `move` also brings it forward."""

    def move(self, when: float) -> None:
        """Be late at this time, earlier or later than before."""
        self.when = when
        if self._timer is None or self._timer_at > when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self._timer_ended)
            self._timer_at = when

    def end(self) -> None:
        """Be never late, and forget whoever was to be called."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_late = None

    def _timer_ended(self) -> None:
        self._timer = None
        if self._loop.time() < self.when:
            if self.when < FOREVER:
                self.move(self.when)
            return
        if self._on_late is not None:
            self._on_late()
