"""A backlog: what it costs the processor, how soon it is worked, and how quickly it drains.

Entries wait in RETRY for one destination or for a thousand, in ten conversations or in half as many
as there are entries. A processor takes all partitions; the destinations answer at once. Two more
have as many conversations: in one of them every tenth fails all the while, in the other half of the
entries are older than `maxAge`. In the same run as many items are delivered by first attempts, for
comparison.

    make bench-backlog                                50,000 entries
    make bench-backlog ARGS="--entries 1000000"       the long form
    make bench-backlog ARGS="--only failing"          one of them; --help has the list
    make bench-backlog ARGS="--record"                keep the result in docs/results/
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.records import Goal, Progress, Section, goals_section, keep, show
from bench.servers import cpu_seconds
from forebay.core.subjects import Lane, StreamKind, stream_name
from forebay.core.tables import Retry
from forebay.runtime.jetstream.streams import ShardConfig
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import store_all, texts
from support.inputs.tables import endpoint, http_destination
from support.processor.backlog import (
    EXPIRED,
    FAILING,
    Row,
    out_of_order,
    peak_mib,
    resident_mib,
    rows,
    store_rows,
)
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
SECONDS = 1_800.0
"""For one backlog to drain."""


FAILING_EVERY = 10
EXPIRED_EVERY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One backlog."""

    name: str
    destinations: int = 1
    conversations: int | None = None
    """Half as many as entries, if nothing is given; never fewer than destinations."""

    failing_every: int = 0
    expired_every: int = 0

    def rows(self, entries: int, names: list[str]) -> list[Row]:
        """Return what waits."""
        people = entries // 2 if self.conversations is None else self.conversations
        return list(
            rows(
                entries,
                names,
                max(people, self.destinations),
                failing_every=self.failing_every,
                expired_every=self.expired_every,
            )
        )


CASES = (
    Case(name="few", conversations=TEN),
    Case(name="many"),
    Case(name="few-of-thousand", destinations=THOUSAND, conversations=THOUSAND),
    Case(name="many-of-thousand", destinations=THOUSAND),
    Case(name="failing", failing_every=FAILING_EVERY),
    Case(name="expiring", expired_every=EXPIRED_EVERY),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What was measured of one backlog."""

    case: str
    destinations: int
    conversations: int
    delivered: int
    expired: int
    """Found in DEAD."""

    is_whole: bool
    """All came; else the time was over."""

    takeover_seconds: float
    """From the start of the processor to its first attempt."""

    entries_per_second: float
    """Delivered or expired, from the first delivery to the last."""

    processor_peak_mib: float
    processor_cpu_us: float
    """Of each entry."""

    nats_mib: float
    """When all is stored."""

    nats_peak_mib: float
    nats_cpu_us: float
    repeated: int
    out_of_order: int


async def measure(folder: Path, case: Case, entries: int, seconds: float) -> Drain:
    """Store a backlog, let a processor take it, and look until it is empty or the time is over."""
    names = [f"whe-{number}" for number in range(case.destinations)]
    async with bench_stack(folder) as (stack, sink):
        stack.tables.write_endpoints(
            *(
                endpoint(http_destination(sink.url(), retry=Retry()), name=f"demo/{name}")
                for name in names
            )
        )
        stored = case.rows(entries, names)
        await store_rows(
            stack.nats_server.url, stored, Progress(f"{case.name} stored", entries).reached
        )
        await sink.refuse(FAILING)
        marks = [row.key[0] for row in stored]
        wanted = Finished(
            delivered=entries - marks.count(FAILING) - marks.count(EXPIRED),
            expired=marks.count(EXPIRED),
        )
        nats = stack.nats_server.pid
        nats_mib, nats_before = resident_mib(nats), cpu_seconds(nats)
        processor = stack.part("processor")
        began = time.time()
        await processor.start(until_ready=False)
        reached, peak = await _drained(stack, sink, processor, wanted, seconds, case.name)
        arrivals = await sink.arrivals()
        first, last = arrivals[0][1], max(arrivals[-1][1], reached.at)
        keys = [key for key, _ in arrivals]
        done = reached.all_of_it
        return Drain(
            case=case.name,
            destinations=case.destinations,
            conversations=len({(row.endpoint, row.conversation) for row in stored}),
            delivered=reached.delivered,
            expired=reached.expired,
            is_whole=reached.has_all(wanted),
            takeover_seconds=first - began,
            entries_per_second=done / (last - first),
            processor_peak_mib=peak_mib(processor.pid),
            processor_cpu_us=cpu_seconds(processor.pid) / done * 1e6,
            nats_mib=nats_mib,
            nats_peak_mib=peak,
            nats_cpu_us=(cpu_seconds(nats) - nats_before) / done * 1e6,
            repeated=len(keys) - len(set(keys)),
            out_of_order=out_of_order(stored, keys),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """How much is done."""

    delivered: int
    expired: int
    at: float = 0.0
    """Unix time of the last dead letter that was seen."""

    @property
    def all_of_it(self) -> int:
        """Whatever came of them."""
        return self.delivered + self.expired

    def has_all(self, wanted: "Finished") -> bool:
        """Say whether it is as much as was wanted.

        What is too old is tried once more where there is a place: then it is delivered.
        """
        return self.delivered >= wanted.delivered and self.all_of_it >= wanted.all_of_it


async def _drained(
    stack: Stack, sink: QuickSink, processor: Part, wanted: Finished, seconds: float, what: str
) -> tuple[Finished, float]:
    """Wait until all is done; returns what is, and nats-server's most memory, in MiB."""
    most, ends, finished = 0.0, time.monotonic() + seconds, Finished(0, 0)
    progress = Progress(f"{what} done", wanted.all_of_it)
    async with stack.nats_server.client() as client:
        context = client.jetstream()

        async def is_done() -> bool:
            nonlocal most, finished
            resident = resident_mib(stack.nats_server.pid)
            most = max(most, resident)
            assert processor.running
            info = await context.stream_info(stream_name(StreamKind.DEAD, "0"))
            dead = info.state.messages
            at = time.time() if dead > finished.expired else finished.at
            finished = Finished(await sink.count(), dead, at)
            progress.reached(finished.all_of_it, f", NATS {resident:,.0f} MiB")
            return finished.has_all(wanted) or time.monotonic() > ends

        await eventually(is_done, saying="all to be delivered", within=2 * seconds)
    return finished, most


async def first_attempts(folder: Path, count: int) -> float:
    """Return how many items a second are delivered that never wait."""
    async with bench_stack(folder) as (stack, sink):
        stack.tables.write_endpoints(endpoint(http_destination(sink.url())))
        processor = stack.part("processor")
        await processor.start()
        # Split and delivered at once, as they are where nothing waits.
        await store_all(stack.nats_server.url, texts(count), Lane.LIVE)
        await _drained(stack, sink, processor, Finished(count, 0), SECONDS, FIRST)
        arrivals = await sink.arrivals()
        return count / (arrivals[-1][1] - arrivals[0][1])


@contextlib.asynccontextmanager
async def bench_stack(folder: Path) -> AsyncIterator[tuple[Stack, QuickSink]]:
    """Give nats-server with room for the backlog, and a destination that answers at once."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    shard = ShardConfig(
        raw_max_bytes=GIBIBYTE,
        events_max_bytes=GIBIBYTE,
        retry_max_bytes=16 * GIBIBYTE,
        dead_max_bytes=16 * GIBIBYTE,
    )
    async with QuickSink(folder) as sink, Stack(folder, shard=shard) as stack:
        yield stack, sink


def goals(found: list[Drain], first: float) -> list[Goal]:
    """Compare with what the issue asks for."""
    rss = max(each.processor_peak_mib for each in found)
    takeover = max(each.takeover_seconds for each in found)
    wrong = sum(each.repeated + each.out_of_order for each in found)
    result = [
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
        Goal(what="once, and in order", reached=f"{wrong} wrong", holds=not wrong),
        Goal(
            what="all of it",
            reached=", ".join(each.case for each in found if each.is_whole) or "none",
            holds=all(each.is_whole for each in found),
        ),
    ]
    # A conversation is worked one by one, so ten of them are no measure of a rate.
    wide = [each.entries_per_second for each in found if each.conversations > TEN]
    if wide:
        result.append(
            Goal(
                what=f"drained at {DRAIN_GOAL} of the rate of first attempts ({first:,.0f}/s)",
                reached=f"{min(wide) / first:.2f} ({min(wide):,.0f}/s)",
                holds=min(wide) >= DRAIN_GOAL * first,
            )
        )
    return result


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="make bench-backlog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [each.name for each in CASES]
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="CASE")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help="end a backlog that takes longer [%(default)g]",
    )
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    parser.epilog = f"cases: {', '.join(names)}"
    return parser.parse_args()


def said(drain: Drain, first: float) -> str:
    """Return a line about one backlog, beside the rate of first attempts."""
    done = drain.delivered + drain.expired
    return (
        f"{drain.case}: {done:,} done at {drain.entries_per_second:,.0f}/s "
        f"({drain.entries_per_second / first:.2f} of first attempts), "
        f"first attempt after {drain.takeover_seconds:.2f} s, "
        f"processor {drain.processor_peak_mib:.0f} MiB and {drain.processor_cpu_us:.0f} us each, "
        f"NATS {drain.nats_peak_mib:.0f} MiB and {drain.nats_cpu_us:.0f} us each"
    )


def table(found: list[Drain], entries: int, first: float) -> Section:
    """Return the figures of each backlog."""
    return Section(
        title=f"{entries:,} entries that wait",
        columns=(
            "case",
            "destinations",
            "conversations",
            "delivered",
            "expired",
            "first attempt s",
            "entries/s",
            "of first attempts",
            "processor MiB",
            "CPU us",
            "NATS MiB",
            "NATS peak MiB",
            "NATS CPU us",
        ),
        rows=[
            (
                each.case,
                f"{each.destinations:,}",
                f"{each.conversations:,}",
                f"{each.delivered:,}",
                f"{each.expired:,}",
                f"{each.takeover_seconds:.2f}",
                f"{each.entries_per_second:,.0f}",
                f"{each.entries_per_second / first:.2f}",
                f"{each.processor_peak_mib:.0f}",
                f"{each.processor_cpu_us:.0f}",
                f"{each.nats_mib:.0f}",
                f"{each.nats_peak_mib:.0f}",
                f"{each.nats_cpu_us:.0f}",
            )
            for each in found
        ],
    )


def main() -> int:
    """Run it; returns the exit status."""
    chosen = parse()
    count: int = chosen.entries
    found = []
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        folder = Path(name)
        print(f"first attempts of {FIRST_ATTEMPTS:,} items ...", flush=True)
        first = asyncio.run(first_attempts(folder / FIRST, FIRST_ATTEMPTS))
        print(f"first attempts: {first:,.0f}/s", flush=True)
        for case in CASES:
            if case.name in chosen.only:
                print(f"{case.name}: {count:,} entries ...", flush=True)
                drain = asyncio.run(measure(folder / case.name, case, count, chosen.seconds))
                # A million entries take the better part of an hour: what is known is shown.
                print(said(drain, first), flush=True)
                found.append(drain)
    reached = goals(found, first)
    sections = [goals_section(reached), table(found, count, first)]
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
