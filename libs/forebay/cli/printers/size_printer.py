"""What `forebay size` shows: a table for people, or JSON for programs."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from forebay.cli.printers.output_formatting import output_console
from forebay.core.measured_costs import ASSUMPTIONS, MEASURED
from forebay.core.sizing import InstallationSize, PodSize
from forebay.core.webhook_rate import STATUSES_PER_MESSAGE

__all__ = ["print_sizing"]

MIB = 1024
CORE = 1000


def print_sizing(sized: InstallationSize, *, as_json: bool, values_out: Path | None) -> None:
    """Print it on stdout.

    Args:
        sized: What was reckoned.
        as_json: For programs.
        values_out: Where the values were written; None where they were not.
    """
    if as_json:
        sys.stdout.write(f"{json.dumps(_record(sized))}\n")
        return
    console = output_console()
    for line in _load(sized):
        console.print(line)
    console.print(_table(sized))
    for line in _notes(sized):
        console.print(line)
    if values_out is None:
        console.print("\nValues for the chart: the same with --values-out values.yaml")
    else:
        console.print(f"\nValues for the chart: {values_out}", markup=False)


def _load(sized: InstallationSize) -> list[str]:
    load = sized.load
    channels = f"{load.channels:,} {_plural('channel', load.channels)}"
    lines = [
        (
            f"{load.webhooks:,} webhooks/s: {STATUSES_PER_MESSAGE} x {load.outgoing:,} outgoing + "
            f"{load.incoming:,} incoming, {channels}; {load.busy_minutes:,} minutes of a day at "
            f"that rate, kept for {load.retention_hours:,} h"
        ),
    ]
    if sized.installations > 1:
        lines.append(
            f"{sized.installations} installations with {sized.webhooks:,} webhooks/s each: one has "
            "16 partitions for its processors; what follows is of each"
        )
    return lines


def _table(sized: InstallationSize) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("part")
    for name in ("pods", "up to", "cores each", "memory each", "disk each", "one takes"):
        table.add_column(name, justify="right", no_wrap=True)
    load = sized.load
    for name, unit, part in (
        (f"receivers, {load.isolation}", "webhooks/s", sized.receivers),
        ("processors", "items/s", sized.processors),
    ):
        table.add_row(name, *_pods(part), "", f"{part.rate:,} {unit}")
    nats = sized.nats
    table.add_row(
        f"NATS, {sized.shards} {_plural('shard', sized.shards)}",
        str(nats.servers),
        "",
        f"{nats.cpu / CORE:.2f}",
        f"{nats.memory / MIB:.1f} to {nats.memory_limit / MIB:.1f} GiB",
        f"{nats.volume:,} GiB",
        f"{sized.shard_rate:,} webhooks/s a shard",
    )
    return table


def _pods(part: PodSize) -> tuple[str, str, str, str]:
    return (
        str(part.pods),
        str(part.most_pods),
        f"{part.cpu / CORE:.2f}",
        f"{part.memory} to {part.memory_limit} MiB",
    )


def _notes(sized: InstallationSize) -> list[str]:
    nats = sized.nats
    first, rate = sized.gives_way
    return [
        (
            f"All of it asks for {sized.total_cpu / CORE:,.1f} cores, "
            f"{sized.total_memory / MIB:,.1f} GiB of memory and {sized.total_disk:,} GiB of disk, "
            f"in {sized.total_pods:,} pods with the operator."
        ),
        (
            f"Claims, by which repeats are known: {sized.keys:,} are kept, in "
            f"{sized.claim_bytes / 1024**3:,.1f} GiB of memory on each server, which takes some "
            f"{nats.restart_seconds:,} s to start with them. A disk takes "
            f"{nats.written / 1e6:,.1f} MB/s."
        ),
        f"First to give way when more comes: {first}, at {rate:,} webhooks/s.",
        "Assumed, not measured:",
        *(f"- {each}" for each in ASSUMPTIONS),
    ]


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _record(sized: InstallationSize) -> dict[str, object]:
    first, rate = sized.gives_way
    return {
        **asdict(sized),
        "load": {**asdict(sized.load), "webhooks": sized.load.webhooks},
        "total": {
            "pods": sized.total_pods,
            "cpu_millicores": sized.total_cpu,
            "memory_mib": sized.total_memory,
            "disk_gib": sized.total_disk,
        },
        "gives_way_first": {"part": first, "webhooks": rate},
        "measured": [{**asdict(each), "measured": str(each.measured)} for each in MEASURED],
        "assumed": list(ASSUMPTIONS),
    }
