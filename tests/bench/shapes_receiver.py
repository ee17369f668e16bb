"""What the worst bodies of 4 MiB cost a receiver, and what other tenants wait meanwhile.

One receiver as shipped, one nats-server. An endpoint gets one such body after the other, signed,
over one connection; another endpoint gets 200 small webhooks a second. For each shape: a phase
without it, and one with it.

    make bench-shapes                                all shapes, 12 bodies of each
    make bench-shapes ARGS="--only zeros quotes"     some of them
    make bench-shapes ARGS="--record"                keep the result in docs/results/
"""

import argparse
import asyncio
import bisect
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.records import Goal, Section, goals_section, keep, show
from bench.webhooks import HALF_KB, bodies
from forebay.core.signatures import sign
from forebay.runtime.jetstream.streams import ShardConfig
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import route
from support.inputs.worst_bodies import LARGEST, WORST_BODIES, varied_history
from support.processor.neighbours import percentile
from support.programs.processes import Part
from support.programs.stack import Stack
from support.receiver.raw_http import connect, request_bytes

SHAPES: Final = {**WORST_BODIES, "a varied history": varied_history()}
"""By what they are; the last one is what a provider really sends, all others repeat themselves."""

RATE: Final = 200
"""Small webhooks a second, over so many connections:"""

CONNECTIONS: Final = 4

LAG_GOAL_MS: Final = 10.0
WAIT_GOAL_MS: Final = 25.0
RATIO_GOAL: Final = 1.5
MEMORY_GOAL: Final = 4
"""Times the bytes of a body."""

BUCKETS_MS: Final = (2, 3, 5, 10, 25, 100)

_MEBIBYTE: Final = 1024 * 1024
_SHARD: Final = ShardConfig(
    raw_max_bytes=4 * 1024 * _MEBIBYTE,
    events_max_bytes=64 * _MEBIBYTE,
    retry_max_bytes=32 * _MEBIBYTE,
    dead_max_bytes=32 * _MEBIBYTE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one shape cost."""

    shape: str
    stored: int
    seconds: float
    lags_ms: list[float]
    """How late the receiver's loop was, each time that it was by more than a millisecond."""

    pieces_ms: list[float]
    """How long it worked at each of those times: without what the machine kept it from."""

    before_p99_ms: float
    p99_ms: float
    max_ms: float
    grown_bytes: float


class Others:
    """Another tenant, whose small webhooks go on and on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._bodies = bodies(HALF_KB, 1_000_000, mark="OTHER")
        self.times: list[tuple[float, float]] = []
        """When each was sent, and the seconds until its answer."""

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Send until the end of the block."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send(number)) for number in range(CONNECTIONS)]
            yield
            for task in tasks:
                task.cancel()

    async def _send(self, number: int) -> None:
        pause = CONNECTIONS / RATE
        async with connect(self._port) as connection:
            due = time.monotonic() + pause * number / CONNECTIONS
            while True:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                request = _request("/v1/webhooks/demo/others", next(self._bodies).encode())
                sent = time.monotonic()
                await connection.send(request)
                answer = await connection.response()
                self.times.append((sent, time.monotonic() - sent))
                if answer.status != 200:  # stored
                    message = f"another tenant got {answer.status}"
                    raise RuntimeError(message)
                due += pause

    def within(self, start: float, end: float) -> list[float]:
        """Return what answers took in milliseconds to what was sent between two moments."""
        return [took * 1000 for sent, took in self.times if start <= sent <= end]


def _request(path: str, body: bytes) -> bytes:
    headers = {"X-Hub-Signature-256": f"sha256={sign(APP_SECRET, body)}"}
    return request_bytes("POST", path, headers=headers, body=body)


async def send_shape(shape: str, port: int, count: int) -> int:
    """Send bodies of a shape, one after the other and no two alike; return how many were stored.

    The sender is a process of its own, so that what it does keeps nobody else's clock from going.
    """
    stored = 0
    async with connect(port) as connection:
        for number in range(count):
            body = SHAPES[shape][: LARGEST - count] + b" " * (number + 1)
            await connection.send(_request("/v1/webhooks/demo/worst", body))
            answer = await connection.response(within=60)
            stored += answer.status == 200  # stored
    return stored


def _lags(file: Path, start: float, end: float) -> list[tuple[float, float]]:
    lines = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("]")]
    return [(late * 1000, worked * 1000) for at, late, worked in lines if start <= at <= end]


async def _memory(pid: int, peaks: list[int]) -> None:
    process = psutil.Process(pid)
    while True:
        peaks.append(process.memory_info().rss)
        await asyncio.sleep(0.02)


async def measure(shape: str, receiver: Part, others: Others, lag_file: Path, count: int) -> Cost:
    """Send bodies of one shape beside the others' webhooks."""
    began = time.monotonic()
    await asyncio.sleep(4)
    rss = psutil.Process(receiver.pid).memory_info().rss
    peaks = [rss]
    watching = asyncio.create_task(_memory(receiver.pid, peaks))
    start = time.monotonic()
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.shapes_receiver"),
        *("--send", shape, "--port", str(receiver.port), "--count", str(count)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await sender.communicate()
    end = time.monotonic()
    watching.cancel()
    meanwhile, lags = others.within(start, end), _lags(lag_file, start, end)
    return Cost(
        shape=shape,
        stored=int(output),
        seconds=end - start,
        lags_ms=[late for late, _ in lags],
        pieces_ms=[min(late, worked) for late, worked in lags],
        before_p99_ms=percentile(others.within(began, start), 0.99),
        p99_ms=percentile(meanwhile, 0.99),
        max_ms=max(meanwhile),
        grown_bytes=(max(peaks) - rss) / LARGEST,
    )


async def measure_all(folder: Path, shapes: list[str], count: int) -> list[Cost]:
    """Measure shapes one after the other, at one receiver."""
    lag_file = folder / "lags"
    stack = Stack(folder, shard=_SHARD)
    stack.tables.write_routes(route("demo/worst"), route("demo/others"))
    found = []
    async with stack:
        receiver = await stack.receiver(
            PYTHONPATH=str(Path(__file__).parent / "loop_lag"), BENCH_LOOP_LAG=str(lag_file)
        )
        others = Others(receiver.port)
        async with others.going_on():
            for shape in shapes:
                found.append(await measure(shape, receiver, others, lag_file, count))
                async with stack.nats_server.client() as client:
                    await client.jetstream().purge_stream("FOREBAY_RAW_0")
    return found


def _row(cost: Cost) -> tuple[str, ...]:
    return (
        cost.shape,
        f"{cost.stored}",
        f"{max(cost.pieces_ms, default=0.0):.1f}",
        f"{max(cost.lags_ms, default=0.0):.1f}",
        f"{cost.before_p99_ms:.1f}",
        f"{cost.p99_ms:.1f}",
        f"{cost.p99_ms / cost.before_p99_ms:.2f}",
        f"{cost.max_ms:.1f}",
        f"{cost.grown_bytes:.1f}",
    )


def sections_of(costs: list[Cost]) -> list[Section]:
    """Return the tables, the goals first."""
    lags = sorted(piece for cost in costs for piece in cost.pieces_ms)
    ratios = sorted(cost.p99_ms / cost.before_p99_ms for cost in costs)
    waited, grown = max(c.max_ms for c in costs), max(c.grown_bytes for c in costs)
    longest, usual = max(lags, default=0.0), ratios[len(ratios) // 2]
    goals = [
        Goal(
            what=f"the receiver's loop is never busy for more than {LAG_GOAL_MS:g} ms",
            reached=f"{longest:.1f} ms",
            holds=longest <= LAG_GOAL_MS,
        ),
        Goal(
            what=f"others' p99 within {RATIO_GOAL:g} times of without; the median of all shapes",
            reached=f"{usual:.2f}, worst {ratios[-1]:.2f}",
            holds=ratios[-1] <= RATIO_GOAL,
        ),
        Goal(
            what=f"no other webhook waits more than {WAIT_GOAL_MS:g} ms",
            reached=f"{waited:.1f} ms",
            holds=waited <= WAIT_GOAL_MS,
        ),
        Goal(
            what=f"a body takes no more than {MEMORY_GOAL} times its bytes",
            reached=f"{grown:.1f}",
            holds=grown <= MEMORY_GOAL,
        ),
    ]
    counts = [bisect.bisect_right(lags, bucket) for bucket in BUCKETS_MS]
    histogram = Section(
        title="Pieces of work above 1 ms, of all shapes together",
        columns=("up to ms", "times"),
        rows=[(f"{bucket}", f"{count}") for bucket, count in zip(BUCKETS_MS, counts, strict=True)]
        + [("more", f"{len(lags) - counts[-1]}")],
    )
    table = Section(
        title="Bodies of 4 MiB, and others' small webhooks meanwhile",
        columns=(
            "shape",
            "stored",
            "longest piece ms",
            "longest lag ms",
            "others' p99 ms before",
            "meanwhile",
            "ratio",
            "longest wait ms",
            "memory, times its bytes",
        ),
        rows=[_row(cost) for cost in costs],
    )
    return [goals_section(goals), table, histogram]


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--send", choices=list(SHAPES), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        print(asyncio.run(send_shape(options.send, options.port, options.count)))
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        costs = asyncio.run(measure_all(Path(folder), options.only, options.count))
    sections = sections_of(costs)
    show(sections)
    if options.record:
        found = {
            cost.shape: dict(zip(sections[1].columns, _row(cost), strict=True)) for cost in costs
        }
        keep("bench-shapes-receiver", "The worst bodies, at a receiver", sections, found)
    return int(any(row[-1] == "no" for row in sections[0].rows))


if __name__ == "__main__":
    sys.exit(main())
