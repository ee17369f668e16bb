"""What nine destinations notice when the tenth is dead, or answers 200 after nine seconds.

One endpoint, one processor, one run: a phase with all of them well, one with the tenth ill, and the
ratio of the others' times from storing a webhook to its arrival.

    make bench-ill                                    50 webhooks/s for 20 s in each phase
    make bench-ill ARGS="--rate 20 --seconds 5"       a short form
    make bench-ill ARGS="--record"                    keep the result in docs/results/
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench.records import Section, keep, show
from support.processor.neighbours import (
    HEALTHY,
    Neighbours,
    percentile,
    ten_destinations,
    usual_percentile,
)

FACTOR = 1.5
"""What the issue allows the others' 99th percentile to grow by."""


async def measure(folder: Path, illness: str, rate: float, seconds: float) -> dict[str, float]:
    """Return the figures of one illness in milliseconds, and their ratio."""
    async with ten_destinations(folder) as neighbours:
        before = await neighbours.phase(rate=rate, seconds=seconds)
        await neighbours.wait_all_at_the_ill_one(within=60)
        if illness == "dead":
            await neighbours.ill.down()
        else:
            neighbours.ill.delay_seconds = 9
        meanwhile = await neighbours.phase(rate=rate, seconds=seconds)
        back = await heal(neighbours)
    figures = {
        name: round(value * 1000, 2)
        for name, value in (
            ("before_p50_ms", percentile(before, 0.5)),
            ("before_p99_ms", percentile(before, 0.99)),
            ("meanwhile_p50_ms", percentile(meanwhile, 0.5)),
            ("meanwhile_p99_ms", percentile(meanwhile, 0.99)),
        )
    }
    ratio = percentile(meanwhile, 0.99) / percentile(before, 0.99)
    usual = usual_percentile(meanwhile, 0.99) / usual_percentile(before, 0.99)
    return figures | {
        "p99_ratio": round(ratio, 2),
        "median_of_windows_ratio": round(usual, 2),
        "all_in_order_after_s": round(back, 1),
    }


async def heal(neighbours: Neighbours) -> float:
    """Let the tenth be well; returns the seconds until it has everything, once and in order."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    neighbours.ill.delay_seconds = 0
    await neighbours.ill.up()
    await neighbours.wait_all_at_the_ill_one(within=120)
    return loop.time() - began


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for illness in ("dead", "slow"):
        with tempfile.TemporaryDirectory() as folder:
            found[illness] = asyncio.run(
                measure(Path(folder), illness, options.rate, options.seconds)
            )
    section = Section(
        title=f"{HEALTHY} destinations beside an ill one",
        columns=("figure", *found),
        rows=[
            (name, *(f"{figures[name]:g}" for figures in found.values())) for name in found["dead"]
        ],
    )
    show([section])
    if options.record:
        keep("bench-ill", "Ten destinations, one of them ill", [section], found)
    return int(any(figures["p99_ratio"] > FACTOR for figures in found.values()))


if __name__ == "__main__":
    sys.exit(main())
