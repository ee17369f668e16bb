"""The redelivery drill: 10,000 webhooks, each sent three times over a minute in random order.

Half of the repeats are the same bytes, which RAW refuses; half carry the item in other bytes, and
its claim refuses it (`support.processor.redelivery`). Each item has to arrive, and no item twice.

    make drill-redelivery                            10,000 webhooks in 60 s
    make drill-redelivery ARGS="--webhooks 1000 --seconds 6"    a short form; tests/system has one
    make drill-redelivery ARGS="--record"            keep the result in docs/results/
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.records import Goal, Section, goals_section, keep, show
from forebay.runtime.jetstream.streams import ShardConfig
from support.processor.redelivery import TIMES, Drill, drill

GIBIBYTE = 1024**3


def goals(found: Drill) -> list[Goal]:
    """Compare with what the issue asks for."""
    repeats = found.refused_by_raw + found.refused_claims
    return [
        Goal(
            what=f"the items of {found.webhooks:,} webhooks arrive, each once",
            reached=f"{found.missing} missing, {found.arrived_again} repeated",
            holds=not found.missing and not found.arrived_again,
        ),
        Goal(
            what=f"{(TIMES - 1) * found.webhooks:,} repeats counted",
            reached=f"{repeats:,}",
            # A webhook that was stored and answered too late comes once more.
            holds=0 <= repeats - (TIMES - 1) * found.webhooks <= found.answers.get("503", 0),
        ),
    ]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make drill-redelivery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--webhooks", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        shard = ShardConfig(raw_max_bytes=GIBIBYTE, events_max_bytes=GIBIBYTE)
        found = asyncio.run(
            drill(Path(name), chosen.webhooks, chosen.seconds, seed=chosen.seed, shard=shard)
        )
    figures = asdict(found)
    reached = goals(found)
    sections = [
        goals_section(reached),
        Section(
            title=f"Each webhook {TIMES} times in random order",
            columns=("what", "figure"),
            rows=[(what.replace("_", " "), str(figure)) for what, figure in figures.items()],
        ),
    ]
    show(sections)
    if chosen.record:
        keep("drill-redelivery", "The redelivery drill", sections, figures)
    return int(not all(goal.holds for goal in reached))


if __name__ == "__main__":
    sys.exit(main())
