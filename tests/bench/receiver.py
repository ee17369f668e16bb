"""The receiver's speed: webhooks a second, CPU and latency, all in one run on this machine.

Three servers take turns: `bare` does nothing (uvicorn with an ASGI application that answers 200),
`receiver` is Forebay as shipped (signature, limits, deadline, lanes, metrics, a PubAck before every
200), `fastapi` is a plain route that awaits `js.publish`. Then the receiver's latency under an open
loop, and a receiver that traces 1 % in turns with one that does not. See `rate` and `latency`.

    make bench-receiver                              all, about 14 minutes
    make bench-receiver ARGS="--short"               half a minute, to see that it runs
    make bench-receiver ARGS="--only rate"           one part; the others are latency and traces
    make bench-receiver ARGS="--record"              keep the results in docs/results/
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.latency import RATES, SETUPS, Latency, measure_latencies, vegeta_program
from bench.rate import CASES, Ratios, Turn, measure_rates, measure_traces, traced_ratio
from bench.records import Goal, Section, goals_section, keep, show
from bench.servers import BenchError
from bench.webhooks import HALF_KB

PARTS: Final = ("rate", "latency", "traces")

TRACES_GOAL: Final = 0.97

RATE_COLUMNS: Final = (
    "KB", "connections", "server", "webhooks/s", "cpu µs", "nats µs", "load µs",
    "p50 ms", "p99 ms", "max ms",
)  # fmt: skip
LATENCY_COLUMNS: Final = (
    "behind it", "webhooks/s", "sent", "refused", "p50 ms", "p99 ms", "p99.9 ms", "max ms",
    "> 250 ms", "> 1 s", "generator late ms", "disk max ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a run found."""

    turns: Sequence[Turn]
    ratios: Sequence[Ratios]
    latencies: Sequence[Latency]
    traced: Sequence[Turn]

    def goals(self) -> list[Goal]:
        """Compare with what the issue asks for."""
        found: list[Goal] = []
        for ratios in self.ratios:
            if ratios.case.size_kb == HALF_KB:
                where = f"at 0.5 KB over {ratios.case.connections} connections"
                found += (
                    Goal(
                        what=f"receiver / bare {where}, at least 0.9",
                        reached=f"{ratios.to_bare:.2f}",
                        holds=ratios.to_bare >= 0.9,
                    ),
                    Goal(
                        what=f"receiver / fastapi {where}, at least 6",
                        reached=f"{ratios.to_fastapi:.1f}",
                        holds=ratios.to_fastapi >= 6,
                    ),
                )
        for setup, p99_ms in ((SETUPS[0], 8.0), (SETUPS[1], 15.0)):
            for each in self.latencies:
                if each.setup == str(setup) and each.rate == 1000:
                    found.append(_latency_goal(each, p99_ms))
        if self.traced:
            reached = traced_ratio(self.traced)
            found.append(
                Goal(
                    what=f"rate with traces (1 %) / without, at least {TRACES_GOAL:g}",
                    reached=f"{reached:.3f}",
                    holds=reached >= TRACES_GOAL,
                )
            )
        return found


def _latency_goal(latency: Latency, p99_ms: float) -> Goal:
    is_flushed = latency.setup != str(SETUPS[0])
    p50_ms = None if is_flushed else 1.5
    wanted = "" if p50_ms is None else f"p50 under {p50_ms:g} ms, "
    return Goal(
        what=f"{latency.setup} at 1,000/s: {wanted}p99 under {p99_ms:g} ms, none above 250 ms",
        reached=f"{latency.p50_ms:.2f} ms, {latency.p99_ms:.1f} ms, {latency.late}",
        holds=(p50_ms is None or latency.p50_ms < p50_ms)
        and latency.p99_ms < p99_ms
        and not (latency.late or latency.refused),
    )


async def run(chosen: argparse.Namespace) -> Outcome:
    """Measure what was chosen."""
    parts: Sequence[str] = [chosen.only] if chosen.only else PARTS
    if "latency" in parts:
        vegeta_program()  # known to be missing now, and not after the first part
    turns: list[Turn] = []
    latencies: list[Latency] = []
    traced: list[Turn] = []
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        folder = Path(name)
        if "rate" in parts:
            turns = await measure_rates(
                folder,
                rounds=chosen.rounds,
                seconds=chosen.seconds,
                cases=CASES[:1] if chosen.short else CASES,
            )
        if "latency" in parts:
            latencies = await measure_latencies(
                folder,
                rates=RATES[1:2] if chosen.short else RATES,
                setups=SETUPS[:1] if chosen.short else SETUPS,
                seconds=chosen.latency_seconds,
            )
        if "traces" in parts:
            (folder / "traces").mkdir()
            traced = await measure_traces(
                folder / "traces", rounds=chosen.rounds, seconds=chosen.seconds
            )
    ratios = [Ratios.of(turns, case) for case in dict.fromkeys(turn.case for turn in turns)]
    return Outcome(turns=turns, ratios=ratios, latencies=latencies, traced=traced)


def _turn_cells(turn: Turn) -> tuple[str, ...]:
    return (
        f"{turn.case.size_kb:g}",
        str(turn.case.connections),
        turn.server,
        f"{turn.per_second:,.0f}",
        f"{turn.cpu_us:.1f}",
        f"{turn.nats_cpu_us:.1f}",
        f"{turn.load_cpu_us:.1f}",
        f"{turn.p50_ms:.2f}",
        f"{turn.p99_ms:.2f}",
        f"{turn.max_ms:.1f}",
    )


def _latency_cells(latency: Latency) -> tuple[str, ...]:
    return (
        latency.setup,
        f"{latency.rate:,}",
        f"{latency.sent:,}",
        f"{latency.refused:,}",
        f"{latency.p50_ms:.2f}",
        f"{latency.p99_ms:.2f}",
        f"{latency.p999_ms:.2f}",
        f"{latency.max_ms:.1f}",
        f"{latency.late:,}",
        f"{latency.very_late:,}",
        f"{latency.behind_ms:.2f}",
        "-" if latency.flush_ms is None else f"{latency.flush_ms:.0f}",
    )


def _sections(outcome: Outcome) -> list[Section]:
    """Return all tables."""
    compared = [
        (
            f"{each.case.size_kb:g}",
            str(each.case.connections),
            f"{each.to_bare:.2f}",
            f"{each.cpu_to_bare:.2f}",
            f"{each.to_fastapi:.1f}",
        )
        for each in outcome.ratios
    ]
    sections = [
        goals_section(outcome.goals()),
        Section(
            title="Receiver against the others, medians over the rounds",
            columns=("KB", "connections", "rate to bare", "cpu to bare", "rate to fastapi"),
            rows=compared,
        ),
        Section(
            title="Webhooks a second, the servers in turn; CPU for each webhook, of each process",
            columns=RATE_COLUMNS,
            rows=[_turn_cells(turn) for turn in outcome.turns],
        ),
        Section(
            title="With traces and without, in turns; CPU for each webhook",
            columns=RATE_COLUMNS,
            rows=[_turn_cells(turn) for turn in outcome.traced],
        ),
        Section(
            title="Latency of the receiver's answers, open loop",
            columns=LATENCY_COLUMNS,
            rows=[_latency_cells(latency) for latency in outcome.latencies],
        ),
    ]
    return [section for section in sections if section.rows]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-receiver",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--short", action="store_true", help="one size, one rate, few seconds")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server in each case")
    parser.add_argument("--seconds", type=int, default=6, help="of each turn")
    parser.add_argument("--latency-seconds", type=int, default=30, help="at each rate")
    parser.add_argument("--at-least", type=float, default=0.0, help="fail below this part of bare")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.rounds, chosen.seconds, chosen.latency_seconds = 2, 2, 5
    return chosen


def main() -> int:
    """Run from the command line; returns the exit status."""
    chosen = _arguments()
    console = Console()
    try:
        outcome = asyncio.run(run(chosen))
    except BenchError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    sections = _sections(outcome)
    show(sections)
    if chosen.record:
        found = {
            "uvicorn": version("uvicorn"),
            **asdict(outcome),
            "goals": [asdict(goal) for goal in outcome.goals()],
        }
        page = keep("bench-receiver", "The receiver's speed", sections, found)
        console.print(f"kept in docs/results/{page.name}")
    if any(ratios.to_bare < chosen.at_least for ratios in outcome.ratios[:1]):
        console.print(f"below {chosen.at_least:.2f} of the bare server", style="red")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
