"""How long a process wanted to run and got no processor, by the kernel's own account.

For promises in milliseconds on a machine that others use too: what a process was kept from doing is
no delay of its own. On a machine with processors to spare all of this is next to nothing.
"""

import bisect
import time
from collections import defaultdict
from pathlib import Path
from typing import ClassVar, Final

from support.programs.processes import Part
from support.receiver.recording_sender import Sending

__all__ = ["Starvation", "Stopwatch", "seconds_waited"]

EDGE_SECONDS: Final = 0.2
"""Around the beginning and the end of a request: in between a receiver only waits for its NATS, and
makes up for what it missed."""


class Starvation:
    """Follows the receivers' waiting for a processor, inside `following`."""

    pause: ClassVar = 0.02

    def __init__(self, *receivers: Part) -> None:
        """Say whose."""
        self._receivers = receivers
        self._times: list[float] = []
        self._waited: defaultdict[int, list[float]] = defaultdict(list)
        """Seconds in all at each of those times, by the receiver's port."""

    def of(self, sending: Sending) -> float:
        """Return how many seconds a request may have been late for want of a processor."""
        begun, ended = sending.sent_at, sending.answered_at
        return self._within(sending.port, begun, begun + EDGE_SECONDS) + self._within(
            sending.port, ended - EDGE_SECONDS, ended
        )

    def _within(self, port: int, start: float, end: float) -> float:
        waited = self._waited[port]
        if not waited:
            return 0.0
        first = max(0, bisect.bisect_right(self._times, start) - 1)
        last = min(len(waited) - 1, bisect.bisect_left(self._times, end))
        # A process that was started anew counts from zero.
        return max(0.0, waited[last] - waited[first])

    async def poll(self) -> None:
        """Read how long each has waited."""
        self._times.append(time.time())
        for receiver in self._receivers:
            self._waited[receiver.port].append(seconds_waited(receiver))


class Stopwatch:
    """How long something takes from now on, for promises of at least or at most so many seconds."""

    def __init__(self, *parts: Part) -> None:
        """Begin; the parts are those that keep the promise, beside the test's own process."""
        self._parts = parts
        self._began = time.monotonic()
        self._waited = self._seconds_waited()

    @property
    def seconds(self) -> float:
        """What went by: to be held against what it has to take at least."""
        return time.monotonic() - self._began

    @property
    def busy_seconds(self) -> float:
        """That without what the machine had no processor for: what it may take at most."""
        return self.seconds - (self._seconds_waited() - self._waited)

    def _seconds_waited(self) -> float:
        return _waited("self") + sum(seconds_waited(part) for part in self._parts)


def seconds_waited(part: Part) -> float:
    """Return how long a process wanted to run since its start and got no processor."""
    return _waited(str(part.pid)) if part.running else 0.0


def _waited(process: str) -> float:
    """Return the second field of `schedstat`: nanoseconds on a run queue; 0 where there is none."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
