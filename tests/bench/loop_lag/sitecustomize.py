"""Python reads this at its start, where `bench.shapes_receiver` put the folder on its path.

It makes the loop of a receiver write to a file how late it was each time: beside the receiver's own
code, which knows nothing of it.
"""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
        self._worked = time.thread_time()

    def look(self) -> None:
        """Write how late it is, without the time for which the process stood in the run queue.

        And how long it worked meanwhile: a machine that is one of several on its host is also
        late by what those take, of which the kernel knows nothing.
        """
        now, starved, worked = time.monotonic(), self._waited(), time.thread_time()
        late = now - self._expected - (starved - self._starved)
        if late > WORTH_TELLING:
            print(json.dumps([now, late, worked - self._worked]), file=self._file)
        self._starved, self._worked = self._waited(), time.thread_time()
        self._expected = time.monotonic() + PAUSE
        self._loop.call_later(PAUSE, self.look)

    def _waited(self) -> float:
        return int(os.pread(self._schedule, 100, 0).split()[1]) / 1e9


if FILE:
    import uvloop

    _run = uvloop.Loop.run_until_complete

    def run_until_complete(loop: uvloop.Loop, future: Any) -> Any:  # noqa: ANN401  # as they are
        """Run a loop that writes how late it is."""
        loop.call_soon(lambda: _Probe(loop, FILE or "").look())
        return _run(loop, future)

    uvloop.Loop.run_until_complete = run_until_complete  # type: ignore[assignment, method-assign]
