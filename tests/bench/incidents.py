"""The incident drill: what goes wrong at night, made by hand on a cluster that Prometheus watches.

Each incident has an alert that has to fire in time, and no other; then the alert's runbook is
followed word by word, and what its commands and queries say has to name the cause.

    make drill-incidents                              all of them, three quarters of an hour
    make drill-incidents ARGS="--only latency,endpoints+server"
                                                      some, two of them at the same time: see --help
    make drill-incidents ARGS="--record"              keep the result in docs/results/

A cluster is found by KUBECONFIG; `make drill-incidents` starts one where CLUSTER names a program
that can, with its extra `monitoring`.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.records import Goal, Section, goals_section, keep, show
from support.incidents.drill import Drill, Report
from support.incidents.incident import Incident
from support.incidents.of_endpoints import (
    DestinationKilled,
    DestinationTimesOut,
    SecretNotRegistered,
    StreamFull,
)
from support.incidents.of_parts import AcksDelayed, NothingScraped, ProcessorStarved, ServerLost
from support.incidents.stage import Stage

QUIET_SECONDS = 150.0
STOPPED_SECONDS = 120.0
SETTLE_SECONDS = 900.0
CAUSE_SECONDS = 300.0
"""From the alert to the cause; the commands take a part of it, reading them the rest."""

LINES = 14
"""Of what a command printed, in the record."""

WAVES = ("latency", "endpoints", "scrape", "stream", "server", "cpu", "stopped")


async def _wave(stage: Stage, name: str) -> list[Incident]:
    """Make the incidents of a wave, with the tenants that they need."""
    namespace = stage.release.namespace
    match name:
        case "latency":
            return [AcksDelayed(stage.proxy)]
        case "endpoints":
            slow, killed, rotated = [await stage.tenant() for _ in range(3)]
            return [
                DestinationTimesOut(stage.cluster, slow[0]),
                DestinationKilled(stage.cluster, killed[0]),
                SecretNotRegistered(stage.cluster, *rotated),
            ]
        case "scrape":
            return [NothingScraped(stage.cluster, namespace)]
        case "stream":
            return [StreamFull(stage.cluster, *await stage.tenant())]
        case "server":
            return [ServerLost(stage.cluster, namespace)]
        case "cpu":
            return [ProcessorStarved(stage.cluster, namespace)]
        case _:
            message = f"no wave {name}"
            raise ValueError(message)


async def drill(
    names: Sequence[str], folder: Path, quiet: float, settle: float
) -> tuple[list[Report], list[str]]:
    """Run it; returns what came of each, and what fired while nothing was wrong."""
    async with Stage(folder) as stage:
        waves = [
            [each for part in name.split("+") for each in await _wave(stage, part)]
            for name in names
            if name != "stopped"
        ]
        slow = [each for wave in waves for each in wave if isinstance(each, ProcessorStarved)]
        watched = Drill(stage.monitoring)
        reports: list[Report] = []
        async with watched.watching():
            unasked = await watched.silence(quiet)
            for each in slow:  # a quarter of an hour until it is noticed
                await watched.begin(each)
            for incidents in waves:
                reports += await watched.go_wrong(*incidents)
                show([goals_section(goals(reports[-len(incidents) :], []))])
            await watched.settle(settle)
            if "stopped" in names:
                await stage.flows.aclose()
                unasked += await watched.silence(STOPPED_SECONDS)
    return reports, unasked


def goals(reports: Sequence[Report], unasked: Sequence[str]) -> list[Goal]:
    """Compare with what the issue asks for."""
    found = [
        Goal(
            what="nothing fires while nothing is wrong, nor when the traffic stops",
            reached="; ".join(unasked) or "nothing",
            holds=not unasked,
        )
    ]
    for report in reports:
        late = [each for each in report.expected if each not in report.fired]
        times = ", ".join(f"{seconds:.0f} s" for seconds in report.fired.values())
        found += [
            Goal(
                what=f"{report.title}: {', '.join(report.expected)} fires, no other",
                reached=f"after {times or '-'}"
                + (f"; others: {'; '.join(report.others)}" if report.others else ""),
                holds=not late and not report.others and report.notified,
            ),
            Goal(
                what=f"{report.title}: the runbook's commands work and name the cause",
                reached=f"{sum(each.works for each in report.answers)} of {len(report.answers)} "
                f"work, {report.seconds_to_cause:.0f} s"
                + (f"; not seen: {report.unseen}" if report.unseen else ""),
                holds=bool(report.answers)
                and all(each.works for each in report.answers)
                and not report.unseen
                and report.seconds_to_cause < CAUSE_SECONDS,
            ),
            Goal(
                what=f"{report.title}: the alert ends",
                reached=", ".join(f"{seconds:.0f} s after" for seconds in report.ended.values())
                or "not while the drill lasted",
                holds=len(report.ended) == len(report.expected),
            ),
        ]
    return found


def _of(report: Report) -> list[Section]:
    """Return what was seen of one incident."""
    seen = [("fired too", each) for each in report.beside]
    seen += [("dashboard", each) for each in report.panels]
    for answer in report.answers:
        lines = answer.said.splitlines()
        shown = lines[:LINES] + ([f"... {len(lines) - LINES} more"] if len(lines) > LINES else [])
        mark = "" if answer.works else "FAILED: "
        text = "<br>".join(line.replace("|", "\\|")[:160] for line in shown)
        seen.append((f"`{answer.step.text.replace('|', chr(92) + '|')}`", f"{mark}{text}"))
    return [Section(title=report.title.capitalize(), columns=("what", "seen"), rows=seen)]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make drill-incidents",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(WAVES), help="of %(default)s")
    parser.add_argument("--quiet", type=float, default=QUIET_SECONDS, help="seconds before")
    parser.add_argument("--settle", type=float, default=SETTLE_SECONDS, help="seconds after")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    with tempfile.TemporaryDirectory(prefix="forebay-drill-") as name:
        reports, unasked = asyncio.run(drill(names, Path(name), chosen.quiet, chosen.settle))
    reached = goals(reports, unasked)
    sections = [goals_section(reached), *(each for report in reports for each in _of(report))]
    show(sections)
    if chosen.record:
        keep(
            "drill-incidents",
            "The incident drill",
            sections,
            {"reports": [asdict(report) for report in reports], "unasked": unasked},
        )
    return int(not all(goal.holds for goal in reached))


if __name__ == "__main__":
    sys.exit(main())
