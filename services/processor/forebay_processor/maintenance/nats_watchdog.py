"""Ends a process that NATS does not answer any more: a fresh one may find what this one cannot."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from forebay_processor.shared.lease import lease_clock

__all__ = ["Watchdog"]

_log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0
"""Between two checks."""


class Watchdog:
    """Barks when there was no round trip to NATS for too long.

    It wakes with the first round trip: a processor that is started before NATS waits for it.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = lease_clock) -> None:
        """Prepare.

        Args:
            patience: Seconds without a round trip after which it barks.
            clock: Seconds that go on while the process stands still.
        """
        self.has_barked = False
        """Whether the process ends for it."""

        self._patience = patience
        self._clock = clock
        self._last = 0.0
        self._awake = asyncio.Event()

    def answered(self) -> None:
        """Note a round trip."""
        self._last = self._clock()
        self._awake.set()

    async def watch(self) -> None:
        """Return when there was no round trip for too long."""
        await self._awake.wait()
        pause = min(POLL_SECONDS, self._patience / 10)
        silent, seen = 0.0, self._last
        while silent < self._patience:
            checked = self._clock()
            await asyncio.sleep(pause)
            # Time in which the process stood still does not count: it had no chance to ask.
            gap = min(self._clock() - checked, 2 * pause)
            silent = silent + gap if self._last == seen else 0.0
            seen = self._last
        self.has_barked = True
        _log.error("watchdog_ended_the_process", seconds=self._patience)
