"""What a POST to a destination costs: over aiohttp, over our own client, and over next to nothing.

The three take turns within one run (`client_loops` says what each does), each as a process of its
own on a core for itself, towards a destination in another process that costs as little as one can
(`quick_sink`), with 64 and with 512 requests in flight, plain and over TLS. What counts is
the processor time of the process that posts; ratios are medians over the rounds.

    make bench-client                              all, about 2 minutes
    make bench-client ARGS="--short"               a quarter of that, to see that it runs
    make bench-client ARGS="--record"              keep the results in docs/results/
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.records import Goal, Section, goals_section, keep, show
from bench.servers import all_but_one_core, move_to
from support.destinations.quick_sink import QuickSink
from support.programs.authority import Authority
from support.programs.ports import HOST

GOAL: Final = 1.5
WHO: Final = ("aiohttp", "own", "bare")
PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Which way the requests go."""

    scheme: str
    at_once: int


CASES: Final = tuple(Case(scheme=s, at_once=n) for s in ("http", "https") for n in (64, 512))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of one of them."""

    case: Case
    who: str
    per_second: float
    cpu_us: float
    """Processor time for each POST, of the process itself."""


async def measure(folder: Path, rounds: int, items: int) -> list[Turn]:
    """Let them take turns, for each case, and return all turns in their order."""
    authority = Authority(folder / "tls")
    certificate = authority.issue("sink", f"IP:{HOST}")
    trusted = folder / "authority.pem"
    trusted.write_text(authority.pem)
    turns = []
    with all_but_one_core() as core:
        async with QuickSink(folder, certificate) as sink:
            for case in CASES:
                port = sink.tls_port if case.scheme == "https" else sink.port
                url = f"{case.scheme}://{HOST}:{port}/"
                for _ in range(rounds):
                    for who in WHO:
                        result = await _turn(core, who, url, items, case.at_once, trusted)
                        turns.append(
                            Turn(
                                case=case,
                                who=who,
                                per_second=round(items / result["seconds"], 1),
                                cpu_us=round(result["cpu_seconds"] / items * 1e6, 1),
                            )
                        )
                        await sink.forget()
    return turns


async def _turn(  # what a turn is made of
    core: set[int], who: str, url: str, items: int, at_once: int, trusted: Path
) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.client_loops"),
        *(who, url, str(items), str(at_once), str(trusted)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    move_to(core, process.pid)
    async with asyncio.timeout(PATIENCE_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0, f"{who} failed"
    result: dict[str, float] = json.loads(output)
    return result


def ratio(turns: Sequence[Turn], case: Case, one: str, other: str) -> float:
    """Return the processor time of `one` as a multiple of that of `other`: the median."""
    costs = [
        [turn.cpu_us for turn in turns if (turn.case, turn.who) == (case, who)]
        for who in (one, other)
    ]
    return statistics.median(mine / theirs for mine, theirs in zip(costs[0], costs[1], strict=True))


def goals(turns: Sequence[Turn]) -> list[Goal]:
    """Compare with what has to be won, for each case."""
    found = []
    for case in CASES:
        reached = ratio(turns, case, "aiohttp", "own")
        found.append(
            Goal(
                what=f"{case.scheme}, {case.at_once} in flight: aiohttp / own, at least {GOAL:g}",
                reached=f"{reached:.2f}",
                holds=reached >= GOAL,
            )
        )
    return found


def sections(turns: Sequence[Turn]) -> list[Section]:
    """Return what is printed and kept."""
    rows = []
    for case in CASES:
        for who in WHO:
            taken = [turn for turn in turns if (turn.case, turn.who) == (case, who)]
            cpu = [turn.cpu_us for turn in taken]
            rate = statistics.median(turn.per_second for turn in taken)
            rows.append(
                (
                    f"{case.scheme}, {case.at_once}",
                    who,
                    f"{statistics.median(cpu):.1f}",
                    f"{min(cpu):.1f} to {max(cpu):.1f}",
                    f"{rate:,.0f}",
                    f"{ratio(turns, case, who, 'bare'):.2f}",
                )
            )
    return [
        goals_section(goals(turns)),
        Section(
            title="CPU for each POST, and POSTs a second: medians over the rounds",
            columns=("way, in flight", "who", "cpu µs", "from, to", "posts/s", "cpu / bare"),
            rows=rows,
        ),
    ]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-client",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="few items and rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=12_000, help="of each turn")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.rounds, chosen.items = 1, 6_000
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        turns = asyncio.run(measure(Path(name), chosen.rounds, chosen.items))
    found = sections(turns)
    show(found)
    if chosen.record:
        keep(
            "bench-client",
            "What a POST to a destination costs",
            found,
            {
                "turns": [asdict(turn) for turn in turns],
                "goals": [asdict(goal) for goal in goals(turns)],
            },
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
