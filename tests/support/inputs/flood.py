"""Sends webhooks to one endpoint from a process of its own, so that the test's work slows none.

All connections send at the same moment, again and again: with many of them an endpoint is above its
limit each time, with one the times of its answers show a receiver that pauses.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from support.programs.nursery import python_path
from support.programs.ports import HOST
from support.programs.python_process import PythonProcess, python
from support.receiver.raw_http import RawConnection, request_bytes

__all__ = ["Flood", "Sending", "flooding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What came of it."""

    statuses: Counter[int]
    times: list[tuple[float, float]]
    """When each moment's requests were sent (monotonic clock), and seconds until all answers."""

    def slowest(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Return the seconds of the answer that took longest, of those sent in this time."""
        return max((took for sent, took in self.times if begin <= sent <= end), default=0.0)


class Sending:
    """A process that sends."""

    def __init__(self, process: PythonProcess, seconds: float) -> None:
        """Take the process, and for how long it sends."""
        self._process = process
        self._seconds = seconds

    async def done(self) -> Flood:
        """Wait until its time is over, and return what came of it."""
        result = json.loads((await self._process.ended(within=self._seconds + 30)).out)
        statuses = Counter({int(status): count for status, count in result["statuses"].items()})
        return Flood(statuses=statuses, times=result["times"])

    async def stop(self) -> Flood:
        """End it, and return what came of it."""
        self._process.send_signal(signal.SIGTERM)
        return await self.done()


@contextlib.asynccontextmanager
async def flooding(
    port: int, path: str, *, seconds: float, connections: int, pause: float
) -> AsyncIterator[Sending]:
    """Send beside the block, which has to wait for what comes of it.

    Args:
        port: The receiver's.
        path: Of an endpoint that asks for no credentials.
        seconds: For how long, unless it is stopped.
        connections: How many requests are sent at one moment.
        pause: Seconds between two such moments.
    """
    process = python(
        *("-m", "support.inputs.flood", *map(str, (port, path, seconds, connections, pause))),
        environment={**os.environ, "PYTHONPATH": python_path()},
    )
    try:
        yield Sending(process, seconds)
    finally:
        if process.returncode is None:
            process.kill()
            process.outcome()


async def _flood(port: int, path: str, seconds: float, count: int, pause: float) -> Flood:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    connections = [RawConnection(*await asyncio.open_connection(HOST, port)) for _ in range(count)]
    statuses: Counter[int] = Counter()
    times: list[tuple[float, float]] = []
    number = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped.is_set():
        began = time.monotonic()
        for connection in connections:
            number += 1
            body = b'{"number": %d, "of": %d}' % (number, time.time_ns())
            await connection.send(request_bytes("POST", path, body=body))
        for connection in connections:
            statuses[(await connection.response()).status] += 1
        times.append((began, time.monotonic() - began))
        await asyncio.sleep(pause)
    for connection in connections:
        await connection.close()
    return Flood(statuses=statuses, times=times)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("seconds", type=float)
    parser.add_argument("connections", type=int)
    parser.add_argument("pause", type=float)
    given = parser.parse_args()
    flood = asyncio.run(
        _flood(given.port, given.path, given.seconds, given.connections, given.pause)
    )
    sys.stdout.write(json.dumps({"statuses": flood.statuses, "times": flood.times}))


if __name__ == "__main__":
    _main()
