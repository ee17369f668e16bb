"""What a receiver's memory does over a million webhooks.

The receiver runs as shipped, with a nats-server of its own, and takes webhooks from wrk, no two
alike, until as many are stored as asked for. Its memory is looked at before the first webhook,
after each round and at the end: what it keeps for a webhook must not stay.

    make soak                                1,000,000 webhooks
    make soak ARGS="--webhooks 100000"       the short form
    make soak ARGS="--record"                keep the result in docs/results/
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

import psutil
from rich.console import Console

from bench.rate import Case, Load, stored_turn
from bench.records import Section, keep
from bench.servers import BenchError, serving_receiver
from bench.webhooks import HALF_KB

ROUND_SECONDS = 10

SLOWEST = 5_000
"""Webhooks a second that any machine is expected to reach: bounds the number of rounds."""

GROWTH_LIMIT_MIB = 20.0
"""What a receiver may have grown by at the end; above it the run fails."""

CONNECTIONS = 64

MEBIBYTE = 1024 * 1024


async def run(webhooks: int, console: Console) -> dict[str, float]:
    """Store so many webhooks and return what the memory did, in MiB.

    Raises:
        BenchError: where a webhook was refused, or fewer were stored than were answered 200.
    """
    rounds = webhooks // (SLOWEST * ROUND_SECONDS) + 1
    with tempfile.TemporaryDirectory(prefix="forebay-soak-") as name:
        folder = Path(name)
        load = Load(folder, Case(size_kb=HALF_KB, connections=CONNECTIONS))
        async with serving_receiver(folder, load.endpoints(ROUND_SECONDS) * rounds) as (
            receiver,
            stack,
        ):
            process = psutil.Process(receiver.pid)
            at_rest = highest = process.memory_info().rss / MEBIBYTE
            console.print(f"at rest: {at_rest:.1f} MiB")
            stored = 0
            for _ in range(rounds):
                turn = await stored_turn(load, receiver, stack.nats_server, ROUND_SECONDS)
                stored += turn.answers
                now = process.memory_info().rss / MEBIBYTE
                highest = max(highest, now)
                console.print(f"{stored:>10,} webhooks stored: {now:.1f} MiB")
                if stored >= webhooks:
                    break
            return {
                "webhooks": stored,
                "at_rest_mib": round(at_rest, 1),
                "highest_mib": round(highest, 1),
                "at_the_end_mib": round(process.memory_info().rss / MEBIBYTE, 1),
            }


def main() -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--webhooks", type=int, default=1_000_000)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    console = Console()
    try:
        figures = asyncio.run(run(chosen.webhooks, console))
    except BenchError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    growth = figures["at_the_end_mib"] - figures["at_rest_mib"]
    if chosen.record:
        rows = [(name, f"{value:,}") for name, value in figures.items()]
        section = Section(title="Memory", columns=("figure", "value"), rows=rows)
        keep("soak", "What the receiver's memory does", [section], figures)
    if growth > GROWTH_LIMIT_MIB:
        console.print(f"grew by {growth:.1f} MiB, above {GROWTH_LIMIT_MIB:.0f}", style="red")
        return 1
    console.print(f"grew by {growth:.1f} MiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
