"""A backlog: what it costs the processor, how soon it is worked, and how quickly it drains.

Entries wait in RETRY for one destination or for a thousand, in ten conversations or in half as many
as there are entries. A processor takes all partitions; the destinations answer at once. In the same
run as many items are delivered by first attempts, for comparison.

    make bench-backlog                                50,000 entries
    make bench-backlog ARGS="--entries 1000000"       the long form
    make bench-backlog ARGS="--record"                keep the result in docs/results/
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.records import Goal, Section, goals_section, keep, show
from bench.servers import cpu_seconds
from forebay.core.subjects import Lane
from forebay.runtime.provisioning import ShardConfig
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import store_all, texts
from support.inputs.tables import endpoint, http_destination
from support.processor.backlog import out_of_order, peak_mib, resident_mib, rows, store_rows
from support.programs.processes import Part
from support.programs.stack import Stack
from support.timing.wait import eventually

GIBIBYTE = 1024**3
RSS_GOAL_MIB = 256.0
TAKEOVER_GOAL_SECONDS = 10.0
DRAIN_GOAL = 0.8
TEN = 10
THOUSAND = 1_000
FIRST_ATTEMPTS = 20_000
FIRST = "first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What was measured of one backlog."""

    destinations: int
    conversations: int
    takeover_seconds: float
    """From the start of the processor to its first attempt."""

    entries_per_second: float
    processor_peak_mib: float
    processor_cpu_us: float
    """Of each entry."""

    nats_mib: float
    """When all is stored."""

    nats_peak_mib: float
    nats_cpu_us: float
    repeated: int
    out_of_order: int


async def measure(folder: Path, entries: int, destinations: int, conversations: int) -> Drain:
    """Store a backlog, let a processor take it, and look until it is empty."""
    names = [f"whe-{number}" for number in range(destinations)]
    async with bench_stack(folder) as (stack, sink):
        stack.tables.write_endpoints(
            *(endpoint(http_destination(sink.url()), name=f"demo/{name}") for name in names)
        )
        stored = list(rows(entries, names, conversations))
        await store_rows(stack.nats_server.url, stored)
        nats = stack.nats_server.pid
        nats_mib, nats_before = resident_mib(nats), cpu_seconds(nats)
        processor = stack.part("processor")
        began = time.time()
        await processor.start(until_ready=False)
        peaks = await _drained(stack, sink, processor, entries)
        arrivals = await sink.arrivals()
        first, last = arrivals[0][1], arrivals[-1][1]
        keys = [key for key, _ in arrivals]
        return Drain(
            destinations=destinations,
            conversations=conversations,
            takeover_seconds=first - began,
            entries_per_second=entries / (last - first),
            processor_peak_mib=peak_mib(processor.pid),
            processor_cpu_us=cpu_seconds(processor.pid) / entries * 1e6,
            nats_mib=nats_mib,
            nats_peak_mib=peaks,
            nats_cpu_us=(cpu_seconds(nats) - nats_before) / entries * 1e6,
            repeated=len(keys) - len(set(keys)),
            out_of_order=out_of_order(stored, keys),
        )


async def _drained(stack: Stack, sink: QuickSink, processor: Part, entries: int) -> float:
    """Wait until all has come; returns the most memory that nats-server had meanwhile, in MiB."""
    most = 0.0

    async def all_came() -> bool:
        nonlocal most
        most = max(most, resident_mib(stack.nats_server.pid))
        assert processor.running
        return await sink.count() >= entries

    await eventually(all_came, saying="all to be delivered", within=60 + entries / 200)
    return most


async def first_attempts(folder: Path, count: int) -> float:
    """Return how many items a second are delivered that never wait."""
    async with bench_stack(folder) as (stack, sink):
        stack.tables.write_endpoints(endpoint(http_destination(sink.url())))
        processor = stack.part("processor")
        await processor.start()
        # Split and delivered at once, as they are where nothing waits.
        await store_all(stack.nats_server.url, texts(count), Lane.LIVE)
        await _drained(stack, sink, processor, count)
        arrivals = await sink.arrivals()
        return count / (arrivals[-1][1] - arrivals[0][1])


def bench_stack(folder: Path) -> "_BenchStack":
    """Return nats-server with room for the backlog, and a destination that answers at once."""
    return _BenchStack(folder)


class _BenchStack:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        shard = ShardConfig(
            raw_max_bytes=GIBIBYTE, events_max_bytes=GIBIBYTE, retry_max_bytes=8 * GIBIBYTE
        )
        self._stack = Stack(folder, shard=shard)
        self._sink = QuickSink(folder)

    async def __aenter__(self) -> tuple[Stack, QuickSink]:
        await self._sink.__aenter__()
        await self._stack.__aenter__()
        return self._stack, self._sink

    async def __aexit__(self, *_: object) -> None:
        await self._stack.__aexit__(None, None, None)
        await self._sink.__aexit__(None, None, None)


def goals(found: list[Drain], first: float) -> list[Goal]:
    """Compare with what the issue asks for."""
    rss = max(each.processor_peak_mib for each in found)
    takeover = max(each.takeover_seconds for each in found)
    # A conversation is worked one by one, so ten of them are no measure of a rate.
    drain = min(each.entries_per_second for each in found if each.conversations > TEN)
    wrong = sum(each.repeated + each.out_of_order for each in found)
    return [
        Goal(
            what=f"processor under {RSS_GOAL_MIB:g} MiB",
            reached=f"{rss:.0f} MiB",
            holds=rss < RSS_GOAL_MIB,
        ),
        Goal(
            what=f"first attempt within {TAKEOVER_GOAL_SECONDS:g} s of the start",
            reached=f"{takeover:.2f} s",
            holds=takeover < TAKEOVER_GOAL_SECONDS,
        ),
        Goal(
            what=f"drained at {DRAIN_GOAL} of the rate of first attempts ({first:,.0f}/s)",
            reached=f"{drain / first:.2f} ({drain:,.0f}/s)",
            holds=drain >= DRAIN_GOAL * first,
        ),
        Goal(what="once, and in order", reached=f"{wrong} wrong", holds=not wrong),
    ]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-backlog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    count: int = chosen.entries
    found = []
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        folder = Path(name)
        first = asyncio.run(first_attempts(folder / FIRST, FIRST_ATTEMPTS))
        for destinations in (1, THOUSAND):
            for conversations in (TEN, count // 2):
                people = max(conversations, destinations)
                own = folder / f"{destinations}-{conversations}"
                found.append(asyncio.run(measure(own, count, destinations, people)))
    reached = goals(found, first)
    columns = (
        "destinations",
        "conversations",
        "first attempt s",
        "entries/s",
        "processor MiB",
        "CPU us",
        "NATS MiB",
        "NATS peak MiB",
        "NATS CPU us",
    )
    table = [
        (
            f"{each.destinations:,}",
            f"{each.conversations:,}",
            f"{each.takeover_seconds:.2f}",
            f"{each.entries_per_second:,.0f}",
            f"{each.processor_peak_mib:.0f}",
            f"{each.processor_cpu_us:.0f}",
            f"{each.nats_mib:.0f}",
            f"{each.nats_peak_mib:.0f}",
            f"{each.nats_cpu_us:.0f}",
        )
        for each in found
    ]
    sections = [
        goals_section(reached),
        Section(title=f"{count:,} entries that wait", columns=columns, rows=table),
    ]
    show(sections)
    if chosen.record:
        figures = {
            "entries": count,
            "first_attempts_per_second": round(first),
            "drain": [{name: getattr(each, name) for name in Drain.__slots__} for each in found],
        }
        keep("bench-backlog", "A backlog", sections, figures)
    return int(not all(goal.holds for goal in reached))


if __name__ == "__main__":
    sys.exit(main())
