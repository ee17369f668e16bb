"""What `forebay destinations ls` shows: a table for people, or JSON for programs."""

import sys
from collections.abc import Sequence
from typing import Final

import msgspec
from rich.text import Text

from forebay.cli.printers.fitting_table import print_table
from forebay.cli.printers.output_formatting import CELL, output_console
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
    rows = [
        (
            Text(each.endpoint),
            Text(each.destination),
            Text(each.state.value, _COLORS.get(each.state, "red")),
            Text(printable(plain_failure(each.reason), CELL)),
            Text(f"{each.waiting:,}" if each.waiting else ""),
            Text(_span(each.oldest_seconds)),
            Text(_next(each)),
        )
        for each in reports
    ]
    numbers = ("waiting", "oldest", "next try")
    print_table(
        console,
        ("endpoint", "destination", "state", "reason", *numbers),
        rows,
        prose="reason",
        right=numbers,
        spare=("oldest",),
    )


def _span(seconds: float | None) -> str:
    return "" if seconds is None else span(seconds)


def _next(report: DestinationReport) -> str:
    if report.next_attempt_seconds is None:
        return "now" if report.state is DestinationCondition.PROBING else ""
    return f"in {span(report.next_attempt_seconds)}"
