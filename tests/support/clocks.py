"""Clocks that a test sets, while the steady one goes on as it does."""

import asyncio

import pytest
from typing_extensions import override

from forebay.core.clock import Clock
from forebay.runtime.clock import SystemClock

__all__ = ["HandClock", "LoopClock"]


class HandClock(Clock):
    """The machine's clocks, with a wall clock that can be put wrong, and a steady one pushed on."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead
        """By how much the wall clock is wrong."""

        self.gone_by = 0.0
        """Seconds that the test let pass at once, on both clocks."""

        self._real = SystemClock()

    @override
    def wall(self) -> float:
        return self._real.wall() + self.ahead + self.gone_by

    @override
    def monotonic(self) -> float:
        return self._real.monotonic() + self.gone_by


class LoopClock:
    """The clock of the running loop, which can be pushed on: what is due by then is done next."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin with the right time; whoever keeps the clock has to be made afterwards."""
        loop = asyncio.get_running_loop()
        real, self.ahead = loop.time, 0.0
        monkeypatch.setattr(loop, "time", lambda: real() + self.ahead)
