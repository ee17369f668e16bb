"""The rolling drill: three nats-servers leave one after the other under webhooks, in each way.

What is answered 503, why, and how many webhooks waited instead (`support.receiver.rolling`), with
two receivers and every message flushed; the same as on a cluster, where a server takes longer.

    make drill-roll                                  100/s, three rounds of each way
    make drill-roll ARGS="--rounds 1 --way stopped"  one of them
    make drill-roll ARGS="--record"                  keep the result in docs/results/
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.records import Goal, Section, goals_section, keep, show
from support.receiver.rolling import RATE, WAYS, Roll, Way, rolled

MOST = 0.001
"""Of the answers while servers are handed over or stopped, those of 503. One that is killed has to
be missed first: its copies elect another leader after 4 to 9 s, longer than a webhook's budget."""


def counts(found: Mapping[str, int]) -> str:
    """Return counts in one cell."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(found.items())) or "none"


def row(roll: Roll) -> Sequence[str]:
    """Return a roll as a row."""
    return (
        roll.way,
        f"{roll.seconds:.0f} s",
        f"{roll.accepted:,}",
        f"{roll.refused:,}",
        f"{roll.share:.2%}",
        counts(roll.reasons),
        counts(roll.waited),
        f"{roll.slowest:.2f} s",
    )


def goals(rolls: Sequence[Roll]) -> list[Goal]:
    """Compare with what the issue asks for."""
    answers: Counter[Way] = Counter()
    refused: Counter[Way] = Counter()
    for roll in rolls:
        answers[roll.way] += roll.accepted + roll.refused
        refused[roll.way] += roll.refused
    return [
        Goal(
            what=f"{way}: fewer than {MOST:.1%} answered 503",
            reached=f"{refused[way] / answers[way]:.2%} of {answers[way]:,}",
            holds=refused[way] / answers[way] < MOST,
        )
        for way in answers
        if way != "killed"
    ]


async def _all(ways: Sequence[Way], rounds: int, rate: float) -> list[Roll]:
    rolls: list[Roll] = []
    for _ in range(rounds):
        for way in ways:
            with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
                rolls.append(await rolled(Path(name), way, rate=rate))
            print("  ".join(row(rolls[-1])), flush=True)
    return rolls


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make drill-roll",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=RATE, help="webhooks a second")
    parser.add_argument("--way", choices=WAYS, action="append", help="all, where none is named")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    rolls = asyncio.run(_all(chosen.way or WAYS, chosen.rounds, chosen.rate))
    reached = goals(rolls)
    sections = [
        goals_section(reached),
        Section(
            title=f"Three servers of NATS, one after the other, {chosen.rate:g} webhooks/s",
            columns=("how", "took", "200", "503", "share", "reasons", "waited", "slowest"),
            rows=[row(roll) for roll in rolls],
        ),
    ]
    show(sections)
    if chosen.record:
        keep("drill-roll", "NATS rolls", sections, {"rolls": [asdict(roll) for roll in rolls]})
    return int(not all(goal.holds for goal in reached))


if __name__ == "__main__":
    sys.exit(main())
