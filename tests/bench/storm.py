"""A campaign's storm: 100,000 statuses are queued, then 20 live messages a second come in.

One receiver, one processor, one endpoint, a destination that answers at once. What counts is the
time from sending a live message to a receiver until it is at the destination, as long as statuses
are still on their way there.

    make bench-storm                              100,000 statuses
    make bench-storm ARGS="--statuses 10000"      a short form; tests/system has one
    make bench-storm ARGS="--record"              keep the result in docs/results/
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench.records import Goal, Section, goals_section, keep, show
from forebay.runtime.jetstream.streams import ShardConfig
from support.processor.neighbours import percentile
from support.processor.storm import storm

GIBIBYTE = 1024**3

P99_GOAL_MS = 500.0

PATIENCE_SECONDS = 300.0


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-storm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--statuses", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=20, help="live messages a second")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        shard = ShardConfig(raw_max_bytes=GIBIBYTE, events_max_bytes=GIBIBYTE)
        found = asyncio.run(
            storm(Path(name), chosen.statuses, chosen.rate, within=PATIENCE_SECONDS, shard=shard)
        )
    waits = [each.seconds * 1000 for each in found.live]
    figures = {
        "statuses": found.statuses,
        "drained_seconds": round(found.drained_seconds, 1),
        "statuses_per_second": round(found.statuses / found.drained_seconds),
        "live_messages": len(waits),
        "p50_ms": round(percentile(waits, 0.5), 1),
        "p99_ms": round(percentile(waits, 0.99), 1),
        "max_ms": round(max(waits), 1),
        "most_statuses_meanwhile": max(each.statuses_meanwhile for each in found.live),
        "parked": found.parked,
        "arrived_twice": sum(times > 1 for times in found.arrivals.values()),
    }
    goal = Goal(
        what=f"live messages while the storm drains: p99 under {P99_GOAL_MS:g} ms",
        reached=f"{figures['p99_ms']:g} ms",
        holds=figures["p99_ms"] < P99_GOAL_MS,
    )
    sections = [
        goals_section([goal]),
        Section(
            title="Live messages in a storm of statuses",
            columns=("what", "figure"),
            rows=[(what.replace("_", " "), f"{figure:,}") for what, figure in figures.items()],
        ),
    ]
    show(sections)
    if chosen.record:
        keep("bench-storm", "A storm of statuses", sections, figures)
    return int(not goal.holds)


if __name__ == "__main__":
    sys.exit(main())
