"""Python reads this at its start, where `bench.shapes_receiver` put the folder on its path.

It makes the loop of a receiver tell how late it was each time, to a file: beside the receiver's own
code, which knows nothing of it.
"""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

PAUSE: Final = 0.001
"""Seconds between two looks."""

WORTH_TELLING: Final = 0.001
"""Seconds: what is less is the loop's own clock."""

FILE: Final = os.environ.get("BENCH_LOOP_LAG")


class _Probe:
    """Looks how late it is called."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", file: str) -> None:
        self._loop = loop
        self._file = Path(file).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115  # to its end
        self._schedule = os.open("/proc/self/schedstat", os.O_RDONLY)
        self._expected = time.monotonic()
        self._starved = self._waited()

    def look(self) -> None:
        """Tell how late it is, without the time in which this process got no processor."""
        now, starved = time.monotonic(), self._waited()
        late = now - self._expected - (starved - self._starved)
        if late > WORTH_TELLING:
            print(json.dumps([now, late]), file=self._file)
        self._starved = self._waited()
        self._expected = time.monotonic() + PAUSE
        self._loop.call_later(PAUSE, self.look)

    def _waited(self) -> float:
        return int(os.pread(self._schedule, 100, 0).split()[1]) / 1e9


if FILE:
    import uvloop

    _make = uvloop.new_event_loop

    def new_event_loop() -> "uvloop.Loop":
        """Return a loop that tells how late it is."""
        loop = _make()
        loop.call_soon(lambda: _Probe(loop, FILE or "").look())
        return loop

    uvloop.new_event_loop = new_event_loop
