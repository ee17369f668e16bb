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
        self._real = real
        self._stood_at: float | None = None
        monkeypatch.setattr(loop, "time", self._time)

    def stop(self) -> None:
        """Stand still from now on, but for `ahead`: nothing is due that the test did not let pass.

        Only what needs no time goes on, such as turns of the loop and sockets.
        """
        self._stood_at = self._real()

    def _time(self) -> float:
        return (self._real() if self._stood_at is None else self._stood_at) + self.ahead
