"""Sends webhooks to one endpoint from a process of its own, so that the test's work slows none.

All connections send at the same moment, again and again: with many of them an endpoint is above its
limit each time, with one the times of its answers show a receiver that pauses.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from support.ports import HOST
from support.raw_http import RawConnection, request_bytes

__all__ = ["Flood", "flooding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What came of it."""

    statuses: Counter[int]
    times: list[tuple[float, float]]
    """When each moment's requests were sent (monotonic clock), and seconds until all answers."""

    def slowest(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Return the seconds of the answer that took longest, of those sent in this time."""
        return max((took for sent, took in self.times if begin <= sent <= end), default=0.0)


@contextlib.asynccontextmanager
async def flooding(
    port: int, path: str, *, seconds: float, connections: int, pause: float
) -> AsyncIterator[asyncio.Task[Flood]]:
    """Send beside the block, which has to await the task that it is given.

    Args:
        port: The receiver's.
        path: Of an endpoint that asks for no credentials.
        seconds: For how long.
        connections: How many requests are sent at one moment.
        pause: Seconds between two such moments.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.flood",
        *map(str, (port, path, seconds, connections, pause)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
    )

    async def result() -> Flood:
        output, _ = await process.communicate()
        told = json.loads(output)
        statuses = Counter({int(status): count for status, count in told["statuses"].items()})
        return Flood(statuses=statuses, times=told["times"])

    try:
        async with asyncio.TaskGroup() as group:
            yield group.create_task(result())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _flood(port: int, path: str, seconds: float, count: int, pause: float) -> Flood:
    connections = [RawConnection(*await asyncio.open_connection(HOST, port)) for _ in range(count)]
    statuses: Counter[int] = Counter()
    times: list[tuple[float, float]] = []
    number = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
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
