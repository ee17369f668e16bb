"""Tables of the command line that are readable on a terminal of any width.

Rich shares a narrow terminal out among all columns, and breaks every word of every one. Here one
column, the prose, gets what the others leave; and where that is too little to read, those that
matter least are left out, and named.
"""

from collections.abc import Collection, Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_table"]

PROSE_WIDTH: Final = 17
"""Columns of the terminal that prose gets at least, while there is something to leave out: a line
of `acme.bot has no` is read, one of `has` is not. 80 columns leave no more beside a time, an
endpoint, a kind and an id.
"""

GAP: Final = 2
"""Columns of the terminal between two of a table."""

EDGES: Final = 2
"""Columns of the terminal at the left and the right of a table."""


def print_table(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[Text]],
    *,
    prose: str,
    right: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table.

    Args:
        console: Where to; its width is what the table has.
        columns: The heads.
        rows: The cells, one for each column.
        prose: The column whose words are wrapped.
        right: Columns of numbers.
        spare: Columns that may be left out, the first one first.
    """
    widths = {
        name: max(cell_len(name), *(cell_len(row[place].plain) for row in rows))
        for place, name in enumerate(columns)
    }
    left_out = _left_out(widths, console.width, prose, spare)
    shown = [name for name in columns if name not in left_out]
    whole = _needed({name: widths[name] for name in shown}, prose) <= console.width
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for name in shown:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            # Where not even the least fits, all are broken: nothing is cut off.
            no_wrap=whole and name != prose,
        )
    for row in rows:
        table.add_row(*(cell for name, cell in zip(columns, row, strict=True) if name in shown))
    console.print(table)
    if left_out:
        names = ", ".join(name for name in columns if name in left_out)
        console.print(f"not shown: {names} (a wider terminal has room for it, and --json has all)")


def _left_out(
    widths: dict[str, int], width: int, prose: str, spare: Sequence[str]
) -> frozenset[str]:
    left_out: set[str] = set()
    for name in spare:
        if _needed({each: widths[each] for each in widths if each not in left_out}, prose) <= width:
            break
        left_out.add(name)
    return frozenset(left_out)


def _needed(widths: dict[str, int], prose: str) -> int:
    """Return what a table of these columns needs at least."""
    others = sum(width for name, width in widths.items() if name != prose)
    return others + min(widths[prose], PROSE_WIDTH) + GAP * (len(widths) - 1) + EDGES
