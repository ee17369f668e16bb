"""What the tables and lists of several commands have in common."""

import sys
from datetime import UTC, datetime
from typing import Final

from rich.console import Console

__all__ = ["CELL", "SHORT_ID", "TABLE_ROWS", "output_console", "utc_or_none", "utc_text"]

PIPE_WIDTH: Final = 240
"""Columns where there is no terminal: no line of a table is broken for a program."""

TABLE_ROWS: Final = 100
"""Of a table; a longer list is several tables, each with its own heads."""

SHORT_ID: Final = 12
"""Digits of an id that a table shows: enough to find it again among millions."""

CELL: Final = 200
"""Characters of one fact that a table shows: nearly always all of them."""


def output_console() -> Console:
    """Return where results are shown: stdout, as wide as its terminal."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def utc_text(moment: datetime) -> str:
    """Return a time as it is shown: UTC, with milliseconds."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def utc_or_none(moment: datetime | None) -> str | None:
    """Return a time as it is shown; None where there is none."""
    return None if moment is None else utc_text(moment)
