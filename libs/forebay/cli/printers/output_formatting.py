"""What the tables and lists of several commands have in common."""

import itertools
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from typing import Final, TypeVar

from rich.console import Console
from rich.text import Text

from forebay.cli.printers.fitting_table import print_table

__all__ = [
    "CELL",
    "SHORT_ID",
    "TABLE_ROWS",
    "PagedTable",
    "output_console",
    "print_pages",
]

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


class PagedTable:
    """The table of a list, whose rows come page by page."""

    def __init__(
        self,
        columns: Sequence[str],
        *,
        prose: str,
        right: Collection[str] = (),
        spare: Sequence[str] = (),
    ) -> None:
        """Prepare; on a terminal each is a `fitting_table`.

        Args:
            columns: Their heads.
            prose: The column whose words are wrapped.
            right: Columns of numbers.
            spare: Columns that may be left out, the first one first.
        """
        self._columns = columns
        self._prose, self._right, self._spare = prose, right, spare
        self._console = output_console()
        self._is_headed = False

    def rows(self, rows: Iterable[Sequence[str]]) -> None:
        """Show some: on a terminal with heads for each `TABLE_ROWS`, else one line each."""
        left = iter(rows)
        while some := list(itertools.islice(left, TABLE_ROWS)):
            if not self._console.is_terminal:
                _plain_rows(some if self._is_headed else [self._columns, *some])
                self._is_headed = True
                continue
            print_table(
                self._console,
                self._columns,
                [[Text(cell) for cell in row] for row in some],
                prose=self._prose,
                right=self._right,
                spare=self._spare,
            )


def _plain_rows(rows: Sequence[Sequence[str]]) -> None:
    """Write rows for `grep` and its like: one line each, and no lines between columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


_Row = TypeVar("_Row")


async def print_pages(
    pages: AsyncIterator[list[_Row]], show: Callable[[list[_Row]], None], most: int
) -> tuple[int, bool]:
    """Show the rows of a list, page by page.

    Args:
        pages: All that there is.
        show: Shows some rows; also called with none, where a page has none.
        most: How many rows to show; 0 for all.

    Returns:
        How many were shown, and whether there are more.
    """
    shown = 0
    async for page in pages:
        rest = len(page) if not most else most - shown
        show(page[:rest])
        shown += len(page[:rest])
        if len(page) > rest:
            return shown, True
    return shown, False
