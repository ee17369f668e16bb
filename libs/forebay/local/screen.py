"""The picture of a run on a terminal of any size: what goes wrong first, then a table of endpoints.

On a narrow one columns are left out, the least needed first, and long names fold; on a low one
endpoints are, those with troubles and traffic last. What is left out is said.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forebay.local.metrics_reader import EndpointCounts, LastItem
from forebay.local.troubles import TroubleLine

__all__ = ["View", "picture"]

INDENT: Final = 2
NAME_COLUMNS: Final = 28
"""What is kept for endpoints' names, where they are that long, before columns are left out."""

LEAST_NAME_COLUMNS: Final = 8

UNDER_TITLE: Final = 1
HEAD_LINES: Final = 2
"""Of the table: the headings and a rule."""

LEAST_ROWS: Final = 3
"""Of the table, before troubles are left out."""

LEAST_TROUBLES: Final = 2
"""Lines on troubles, however low the terminal is: the first one, and how many more there are."""

LEAST_ENDPOINT: Final = 14
"""Columns of an endpoint's name in a line on a trouble, before the end of the line is cut."""

LEAST_LATEST: Final = 3
"""Lines with the latest items, or none."""

PER_SECOND: Final = "per s"
RECEIVED: Final = "received"
REPEATS: Final = "repeats"
REFUSED: Final = "refused"
UNAVAILABLE: Final = "503"
DELIVERED: Final = "delivered"
WAITING: Final = "waiting"
DEAD: Final = "dead"

COLUMNS: Final = (
    PER_SECOND,
    RECEIVED,
    REPEATS,
    REFUSED,
    UNAVAILABLE,
    DELIVERED,
    WAITING,
    DEAD,
)
LEFT_OUT: Final = (REPEATS, UNAVAILABLE, REFUSED, PER_SECOND)
"""Columns that go, in this order; why something is refused is said above the table, too."""

_STYLES: Final = {"bad": "bold red", "odd": "yellow", "calm": "cyan"}
_MARKS: Final = {"bad": "✗", "odd": "!", "calm": "‖"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is to be seen."""

    title: Text
    endpoints: Sequence[str]
    """Those that are in force; further ones of `rows` are shown too."""

    rows: Mapping[str, EndpointCounts]
    troubles: Sequence[TroubleLine] = ()
    latest: Sequence[LastItem] = ()
    """The oldest first."""

    has_rates: bool = True


def picture(view: View, width: int, height: int | None) -> RenderableType:
    """Return the picture.

    Args:
        view: What is to be seen.
        width: Columns of the terminal.
        height: Its rows; None for no limit.
    """
    room = sys.maxsize if height is None else height - 1
    title = view.title.copy()
    title.truncate(width - INDENT, overflow="ellipsis")
    shown: list[RenderableType] = [title, Text()]
    room -= 1 + UNDER_TITLE

    names = sorted({*view.endpoints, *view.rows})
    layout = _Layout(view, names, width - INDENT)
    needed = HEAD_LINES + min(len(names), LEAST_ROWS)
    troubles = _troubles(view.troubles, width - INDENT, max(room - needed - 1, LEAST_TROUBLES))
    if troubles:
        shown += [*troubles, Text()]
        room -= len(troubles) + 1

    table, lines = layout.table(room)
    shown.append(table)
    room -= lines
    latest = view.latest[::-1][: max(room - 1, 0)]
    if latest and len(latest) >= min(LEAST_LATEST, len(view.latest)):
        shown += [Text(), _latest_table(latest)]
    return Padding(Group(*shown), (0, 0, 0, INDENT))


def _troubles(troubles: Sequence[TroubleLine], width: int, room: int) -> list[Text]:
    fits = len(troubles) <= room
    some = troubles if fits else troubles[: room - 1]
    lines = [_line(each, width) for each in some]
    if not fits:
        left = len(troubles) - len(some)
        lines.append(Text(f"and {left:,} more: forebay status", "dim"))
    return lines


def _line(trouble: TroubleLine, width: int) -> Text:
    """Return a trouble on one line: what has to be cut is the endpoint, then the end."""
    mark, style = _MARKS[trouble.level], _STYLES[trouble.level]
    endpoint, destination = Text(trouble.endpoint, "bold"), trouble.who[len(trouble.endpoint) :]
    beside = len(mark) + 1 + len(destination) + 2 + len(trouble.what)
    least = min(LEAST_ENDPOINT, len(trouble.endpoint))
    endpoint.truncate(max(width - beside, least), overflow="ellipsis")
    parts = ((f"{mark} ", style), endpoint, (destination, "bold"), "  ", (trouble.what, style))
    line = Text.assemble(*parts, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


class _Layout:
    """Which columns there are, and how wide."""

    def __init__(self, view: View, names: Sequence[str], width: int) -> None:
        self._view, self._names = view, names
        self._troubled = {each.endpoint for each in view.troubles}
        columns = [each for each in COLUMNS if view.has_rates or each != PER_SECOND]
        cells = {name: _cells(view.rows.get(name, EndpointCounts())) for name in names}
        widths = {
            each: max(len(each), *(len(row[each].plain) for row in cells.values()), 0)
            for each in columns
        }
        longest = max((len(name) for name in names), default=LEAST_NAME_COLUMNS)
        wanted = min(longest, NAME_COLUMNS)
        for each in LEFT_OUT:
            if _beside(columns, widths) + wanted <= width:
                break
            if each in columns:
                columns.remove(each)
        self._columns, self._cells = columns, cells
        left = width - _beside(columns, widths)
        self._name_width = max(min(longest, left), LEAST_NAME_COLUMNS)

    def table(self, room: int) -> tuple[Table, int]:
        """Return the table, with as many rows as there is room for, and how many lines it takes."""
        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="dim",
        )
        table.add_column("endpoint", style="cyan", overflow="fold", width=self._name_width)
        for column in self._columns:
            table.add_column(column, justify="right", no_wrap=True)
        shown, lines = self._fitting(room)
        for name in shown:
            table.add_row(name, *(self._cells[name][column] for column in self._columns))
        if left := len(self._names) - len(shown):
            more = f"+ {left:,} more"
            table.add_row(Text(more, "dim", no_wrap=True, overflow="ellipsis"))
            lines += 1
        return table, lines

    def _fitting(self, room: int) -> tuple[Sequence[str], int]:
        heights = {name: max(math.ceil(len(name) / self._name_width), 1) for name in self._names}
        lines = HEAD_LINES + sum(heights.values())
        if lines <= room:
            return self._names, lines
        rows = self._view.rows
        urgent = sorted(
            self._names,
            key=lambda name: (
                name not in self._troubled,
                not (name in rows and rows[name].received),
                name,
            ),
        )
        shown: list[str] = []
        lines = HEAD_LINES
        for name in urgent:
            if lines + heights[name] > room - 1:
                break
            shown.append(name)
            lines += heights[name]
        return sorted(shown), lines


def _beside(columns: Sequence[str], widths: Mapping[str, int]) -> int:
    """Return what columns take beside the name, gaps and the table's own space included."""
    return sum(widths[each] + 2 for each in columns) + 2


def _latest_table(latest: Sequence[LastItem]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for item in latest:
        latency = f"{item.latency_ms:.1f} ms" if item.latency_ms is not None else ""
        table.add_row(
            Text(item.at, "dim"),
            Text(item.endpoint, "cyan"),
            Text(f"{item.kind} {item.type}"),
            Text(item.key[:12], "dim"),
            Text(latency, "dim"),
        )
    return table


def _cells(row: EndpointCounts) -> dict[str, Text]:
    return {
        PER_SECOND: Text(f"{row.rate:,.0f}", "bold" if row.rate >= 1 else "dim"),
        RECEIVED: _count(row.received, "bold"),
        REPEATS: _count(row.repeats, ""),
        REFUSED: _count(row.refused, "yellow"),
        UNAVAILABLE: _count(row.unavailable, "yellow"),
        DELIVERED: _count(row.delivered, "bold green"),
        WAITING: _count(row.waiting, "yellow"),
        DEAD: _count(row.dead, "bold red"),
    }


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style if number else "dim")
