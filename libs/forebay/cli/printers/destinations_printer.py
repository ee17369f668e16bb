"""What `forebay destinations ls` shows: a table for people, or JSON for programs."""

import sys
from collections.abc import Sequence
from typing import Final

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from forebay.cli.printers.printing import CELL, output_console
from forebay.core.control import DestinationCondition, DestinationReport
from forebay.core.failure_words import plain_failure
from forebay.core.masking import printable
from forebay.local.troubles import span

__all__ = ["print_destinations"]

_COLORS: Final = {
    DestinationCondition.UP: "green",
    DestinationCondition.PAUSED: "cyan",
    DestinationCondition.FAILING: "yellow",
}


def print_destinations(reports: Sequence[DestinationReport], *, as_json: bool) -> None:
    """Print them on stdout."""
    if as_json:
        for each in reports:
            sys.stdout.write(f"{msgspec.json.encode(each).decode()}\n")
        return
    console = output_console()
    if not reports:
        console.print("no destinations")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("endpoint", "destination", "state", "reason"):
        table.add_column(name, overflow="fold")
    for name in ("waiting", "oldest", "next try"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in reports:
        table.add_row(
            each.endpoint,
            each.destination,
            Text(each.state.value, _COLORS.get(each.state, "red")),
            Text(printable(plain_failure(each.reason), CELL)),
            f"{each.waiting:,}" if each.waiting else "",
            _span(each.oldest_seconds),
            _next(each),
        )
    console.print(table)


def _span(seconds: float | None) -> str:
    return "" if seconds is None else span(seconds)


def _next(report: DestinationReport) -> str:
    if report.next_attempt_seconds is None:
        return "now" if report.state is DestinationCondition.PROBING else ""
    return f"in {span(report.next_attempt_seconds)}"
