"""The processor's speed: items a second split and delivered, CPU, and latency, all in one run.

One processor process and one endpoint. A bare loop and the processor take turns on the same
webhooks: `split` is from RAW to EVENTS, `deliver` from EVENTS to a destination in a process of its
own that costs as little as one can (`quick_sink`). What the bare loops do: `bare_loops`. While one
step is measured the consumers of the other are paused at the server, and the processor is as
shipped; its turn counts from its first item. The one that is measured has a core for itself, and
nats-server and the destination have the others. `both` is from RAW to the destination, item by item
and in batches of a hundred, and is compared with the two bare loops one after the other; and with
traces of 1 %, to be compared with itself without. Then the
latency from sending a webhook to a receiver until its item is there, at a steady rate.

    make bench-processor                              all, about 4 minutes
    make bench-processor ARGS="--short"               a quarter of a minute, to see that it runs
    make bench-processor ARGS="--record"              keep the results in docs/results/
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StreamConfig
from nats.js.errors import NotFoundError

from bench.bare_loops import BARE_STREAM, BARE_SUBJECTS
from bench.records import Goal, Section, goals_section, keep, show
from bench.servers import all_but_one_core, cpu_seconds, move_to
from forebay.core.subjects import (
    PARTITIONS,
    Lane,
    StreamKind,
    consumer_name,
    stream_name,
)
from forebay.core.tables import Batch
from forebay.runtime.jetstream.streams import ShardConfig
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import send_paced, store_all, texts
from support.inputs.tables import PATH, endpoint, http_destination, route
from support.processor.neighbours import percentile
from support.programs.stack import Stack
from support.timing.wait import eventually
from support.traces.otlp_collector import OtlpCollector

RAW: Final = stream_name(StreamKind.RAW, "0")
EVENTS: Final = stream_name(StreamKind.EVENTS, "0")

GIBIBYTE: Final = 1024**3

SPLIT_GOAL: Final = 0.7
DELIVER_GOAL: Final = 0.8
BOTH_GOAL: Final = 0.8
TRACES_GOAL: Final = 0.97
P99_GOAL_MS: Final = 150.0

PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of the bare loop or of the processor."""

    step: str
    who: str
    items: int
    per_second: float
    cpu_us: float
    """Processor time for each item, of the process itself."""

    nats_cpu_us: float
    parked: int
    """Items that went through RETRY, which costs two writes: the destination seemed slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From sending a webhook to its item at the destination."""

    rate: float
    sent: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Bench:
    """The stack with one processor, whose consumers are paused between turns."""

    def __init__(  # what a turn is made of, and where it runs
        self,
        stack: Stack,
        sink: QuickSink,
        collector: OtlpCollector,
        client: Client,
        items: int,
        core: set[int],
    ) -> None:
        self._collector = collector
        self._stack = stack
        self._sink = sink
        self._client = client
        self._items = items
        self._core = core
        self.turns: list[Turn] = []

    async def round(self, mark: str) -> None:
        """Measure each step once, the bare loop and the processor in turns."""
        url = self._stack.nats_server.url
        deliver = [(EVENTS, consumer_name("deliver", Lane.LIVE, p)) for p in range(PARTITIONS)]
        await store_all(url, texts(self._items, mark), Lane.LIVE)
        await self._bare("split")
        await self._pause(*deliver)
        await self._forebay("split", self._stored)
        await self._bare("deliver", self._sink.url())
        await self._sink.forget()
        await self._pause(*deliver, until=None)
        await self._forebay("deliver", self._sink.count)
        await self._sink.forget()
        await self._empty()
        # Others than before: RAW knows those for two minutes.
        await store_all(url, texts(self._items, f"{mark}B"), Lane.LIVE)
        await self._forebay("both", self._sink.count)
        await self._sink.forget()
        await self._empty()
        await store_all(url, texts(self._items, f"{mark}D"), Lane.LIVE)
        await self._forebay(
            "both",
            self._sink.count,
            "with traces",
            OTEL_EXPORTER_OTLP_ENDPOINT=self._collector.url,
        )
        await self._sink.forget()
        await self._empty()
        await store_all(url, texts(self._items, f"{mark}C"), Lane.LIVE)
        self._serve(Batch())
        await self._forebay("both", self._sink.count, "in batches")
        self._serve(None)
        await self._sink.forget()
        await self._empty()

    def _serve(self, batch: Batch | None) -> None:
        destination = http_destination(self._sink.url(), batch=batch)
        self._stack.tables.write_endpoints(endpoint(destination))

    async def _bare(self, step: str, *target: str) -> None:
        nats_pid = self._stack.nats_server.pid
        nats_cpu = cpu_seconds(nats_pid)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.bare_loops", step, self._stack.nats_server.url),
            *(str(self._items), *target),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        move_to(self._core, process.pid)
        async with asyncio.timeout(PATIENCE_SECONDS):
            output, _ = await process.communicate()
        assert process.returncode == 0, "the bare loop failed"
        reported = json.loads(output)
        self._note(
            step, "bare", self._items, reported["seconds"], reported["cpu_seconds"], nats_cpu
        )

    async def _forebay(
        self, step: str, done: Callable[[], Awaitable[int]], who: str = "forebay", **settings: str
    ) -> None:
        """Start a processor and measure from its first item to the last one."""
        processor = self._stack.part("processor", **settings)
        await processor.start(until_ready=False)
        move_to(self._core, processor.pid)
        first = await eventually(done, within=PATIENCE_SECONDS, saying=f"{step} to begin")
        nats_cpu, cpu = cpu_seconds(self._stack.nats_server.pid), cpu_seconds(processor.pid)
        began = time.perf_counter()

        async def is_done() -> bool:
            return await done() >= self._items

        await eventually(is_done, within=PATIENCE_SECONDS, saying=f"{step} to end")
        seconds = time.perf_counter() - began
        cpu = cpu_seconds(processor.pid) - cpu
        name = "forebay_processor_deliveries_total"
        parked = round(await processor.metric(name, outcome="parked"))
        self._note(step, who, self._items - first, seconds, cpu, nats_cpu, parked)
        await processor.terminate()

    def _note(  # noqa: PLR0913, PLR0917  # what a turn is made of
        self,
        step: str,
        who: str,
        items: int,
        seconds: float,
        cpu: float,
        nats_cpu: float,
        parked: int = 0,
    ) -> None:
        nats_seconds = cpu_seconds(self._stack.nats_server.pid) - nats_cpu
        turn = Turn(
            step=step,
            who=who,
            items=items,
            per_second=round(items / seconds, 1),
            cpu_us=round(cpu / items * 1e6, 1),
            nats_cpu_us=round(nats_seconds / items * 1e6, 1),
            parked=parked,
        )
        self.turns.append(turn)

    async def _stored(self) -> int:
        return int((await self._client.jetstream().stream_info(EVENTS)).state.messages)

    async def _pause(self, *consumers: tuple[str, str], until: str | None = "2199-01-01") -> None:
        """Let consumers hand out nothing until then; None: let them go on."""
        request = {} if until is None else {"pause_until": f"{until}T00:00:00Z"}
        for stream, consumer in consumers:
            subject = f"$JS.API.CONSUMER.PAUSE.{stream}.{consumer}"
            answer = await self._client.request(subject, msgspec.json.encode(request), timeout=5)
            reported: dict[str, Any] = json.loads(answer.data)
            assert bool(reported.get("paused")) is (until is not None), reported

    async def _empty(self) -> None:
        context = self._client.jetstream()
        for stream in (RAW, EVENTS, BARE_STREAM):
            await context.purge_stream(stream)
            with contextlib.suppress(NotFoundError):
                await context.delete_consumer(stream, "bare")


async def measure_rates(folder: Path, rounds: int, items: int) -> list[Turn]:
    """Return what all turns came to."""
    shard = ShardConfig(raw_max_bytes=GIBIBYTE, events_max_bytes=GIBIBYTE)
    async with contextlib.AsyncExitStack() as running:
        core = running.enter_context(all_but_one_core())
        stack = await running.enter_async_context(Stack(folder, shard=shard))
        sink = await running.enter_async_context(QuickSink(folder))
        collector = await running.enter_async_context(OtlpCollector())
        client = await running.enter_async_context(stack.nats_server.client())
        stack.tables.write_endpoints(endpoint(http_destination(sink.url())))
        await client.jetstream().add_stream(
            StreamConfig(
                name=BARE_STREAM,
                subjects=[BARE_SUBJECTS],
                max_bytes=GIBIBYTE,
                # As EVENTS: the server's own work for a store shall be the same.
                max_msgs_per_subject=1,
                discard=DiscardPolicy.NEW,
                discard_new_per_subject=True,
            )
        )
        bench = Bench(stack, sink, collector, client, items, core)
        for number in range(rounds):
            await bench.round(f"R{number}")
        assert collector.spans, "the collector got no span"
    return bench.turns


async def measure_latency(folder: Path, rate: float, seconds: float) -> Latency:
    """Send to a receiver at a steady rate, with a processor and the destination behind it."""
    async with Stack(folder) as stack, QuickSink(folder) as sink:
        stack.tables.write_routes(route())
        stack.tables.write_endpoints(endpoint(http_destination(sink.url())))
        receiver = await stack.receiver()
        await stack.processor()
        await send_paced(receiver.url(PATH), texts(round(rate), "WARM"), rate)
        due = await send_paced(receiver.url(PATH), texts(round(rate * seconds)), rate)

        async def all_came() -> bool:
            return await sink.count() >= len(due) + round(rate)

        await eventually(all_came, within=30, saying="the last items")
        waits = [at - due[key] for key, at in await sink.arrivals() if key in due]
        assert len(waits) == len(due), "an item came twice"
    return Latency(
        rate=rate,
        sent=len(due),
        p50_ms=round(percentile(waits, 0.5) * 1000, 2),
        p99_ms=round(percentile(waits, 0.99) * 1000, 2),
        max_ms=round(max(waits) * 1000, 2),
    )


def ratio(turns: Sequence[Turn], step: str) -> float:
    """Return the processor's rate as a part of the bare loop's right before: the rounds' median."""
    bare, forebay = (
        [turn.per_second for turn in turns if (turn.step, turn.who) == (step, who)]
        for who in ("bare", "forebay")
    )
    return statistics.median(one / other for one, other in zip(forebay, bare, strict=True))


def rate_of_both(turns: Sequence[Turn], who: str) -> float:
    """Return the rate from RAW to the destination as a part of the bare loops' in series.

    Of two loops of `a` and `b` items a second the series makes `1 / (1 / a + 1 / b)`. The rounds'
    median.
    """

    def rates(step: str, who: str) -> list[float]:
        return [turn.per_second for turn in turns if (turn.step, turn.who) == (step, who)]

    each = zip(rates("both", who), rates("split", "bare"), rates("deliver", "bare"), strict=True)
    return statistics.median(both * (1 / split + 1 / deliver) for both, split, deliver in each)


def traced_ratio(turns: Sequence[Turn]) -> float:
    """Return the rate with traces as a part of that without: the rounds' median."""
    without, traced = (
        [turn.per_second for turn in turns if (turn.step, turn.who) == ("both", who)]
        for who in ("forebay", "with traces")
    )
    return statistics.median(one / other for one, other in zip(traced, without, strict=True))


def goals(turns: Sequence[Turn], latency: Latency) -> list[Goal]:
    """Compare with what the issue asks for."""
    found = []
    for step, goal in (("split", SPLIT_GOAL), ("deliver", DELIVER_GOAL)):
        reached = ratio(turns, step)
        found.append(
            Goal(
                what=f"{step}: processor / bare loop, at least {goal:g}",
                reached=f"{reached:.2f}",
                holds=reached >= goal,
            )
        )
    for who, goal in (("forebay", BOTH_GOAL), ("in batches", 4 * BOTH_GOAL)):
        reached = rate_of_both(turns, who)
        found.append(
            Goal(
                what=f"both, {who}: processor / bare loops in series, at least {goal:g}",
                reached=f"{reached:.2f}",
                holds=reached >= goal,
            )
        )
    reached = traced_ratio(turns)
    found.append(
        Goal(
            what=f"both: rate with traces (1 %) / without, at least {TRACES_GOAL:g}",
            reached=f"{reached:.3f}",
            holds=reached >= TRACES_GOAL,
        )
    )
    found.append(
        Goal(
            what=f"webhook to destination at {latency.rate:g}/s, p99 under {P99_GOAL_MS:g} ms",
            reached=f"{latency.p99_ms:.1f} ms",
            holds=latency.p99_ms < P99_GOAL_MS,
        )
    )
    return found


def sections(turns: Sequence[Turn], latency: Latency) -> list[Section]:
    """Return what is printed and kept."""
    ms = [f"{each:,.1f}" for each in (latency.p50_ms, latency.p99_ms, latency.max_ms)]
    return [
        goals_section(goals(turns, latency)),
        Section(
            title="Items a second, in turns; CPU for each item",
            columns=("step", "who", "items", "items/s", "cpu µs", "nats µs", "parked"),
            rows=[
                (
                    turn.step,
                    turn.who,
                    f"{turn.items:,}",
                    f"{turn.per_second:,.0f}",
                    f"{turn.cpu_us:.1f}",
                    f"{turn.nats_cpu_us:.1f}",
                    f"{turn.parked:,}",
                )
                for turn in turns
            ],
        ),
        Section(
            title="From sending a webhook to its item at the destination",
            columns=("webhooks/s", "sent", "p50 ms", "p99 ms", "max ms"),
            rows=[(f"{latency.rate:g}", f"{latency.sent:,}", *ms)],
        ),
    ]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-processor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="few items and seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=40_000, help="of each turn")
    parser.add_argument("--rate", type=float, default=500, help="webhooks/s, for the latency")
    parser.add_argument("--seconds", type=float, default=30, help="of the latency")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.rounds, chosen.items, chosen.seconds = 1, 10_000, 3
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        for part in ("rates", "latency"):
            (Path(name) / part).mkdir()
        turns = asyncio.run(measure_rates(Path(name) / "rates", chosen.rounds, chosen.items))
        latency = asyncio.run(measure_latency(Path(name) / "latency", chosen.rate, chosen.seconds))
    found = sections(turns, latency)
    show(found)
    if chosen.record:
        keep(
            "bench-processor",
            "The processor's speed",
            found,
            {
                "turns": [asdict(turn) for turn in turns],
                "latency": asdict(latency),
                "goals": [asdict(goal) for goal in goals(turns, latency)],
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
