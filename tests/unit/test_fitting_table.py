"""Tables on a terminal: words stay whole, and what does not fit is left out and named."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from forebay.cli.printers.fitting_table import print_table

COLUMNS = ("since", "endpoint", "kind", "channel", "why", "id")
ROW = (
    "2026-12-01T14:41:14.631Z",
    "demo/d360",
    "messages",
    "108200000000301",
    "crm: failed (no connection); warehouse: waits, not tried yet",
    "9f6eb69e339c",
)


def printed(
    width: int, *, spare: tuple[str, ...] = ("channel", "kind"), prose: str = ROW[4]
) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    cells = [[Text(cell) for cell in (*ROW[:4], prose, ROW[5])]]
    print_table(console, COLUMNS, cells, prose="why", spare=spare)
    output = console.file
    assert isinstance(output, io.StringIO)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines]


def words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split()}


def test_a_wide_terminal_has_all_columns_and_no_line_more() -> None:
    lines = printed(200)
    assert "  ".join(ROW) in lines[3]
    assert not any("not shown" in line for line in lines)


@pytest.mark.parametrize("width", [80, 90, 100, 120, 150])
def test_no_word_of_a_column_is_broken(width: int) -> None:
    shown = words(printed(width))
    assert {"2026-12-01T14:41:14.631Z", "demo/d360", "9f6eb69e339c", "warehouse:"} <= shown
    assert {"failed", "connection);", "tried", "yet"} <= shown


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(97, set()), (96, {"channel"}), (80, {"channel"}), (79, {"channel", "kind"})],
)
def test_what_matters_least_is_left_out_first_and_named(width: int, left_out: set[str]) -> None:
    lines = printed(width)
    assert set(COLUMNS) - set(lines[1].split()) == left_out
    named = " ".join(lines).partition("not shown: ")[2].partition(" (")[0]
    assert set(named.split(", ")) == (left_out or {""})


def test_one_that_is_short_enough_needs_no_room_for_prose() -> None:
    assert set(COLUMNS) == set(printed(80 + len("short"), prose="short")[1].split())


def test_where_nothing_more_can_be_left_out_all_is_shown_in_pieces() -> None:
    text = "".join("".join(printed(40, spare=())).split())
    for piece in ("2026", "demo", "9f6e"):
        assert piece in text
    assert "…" not in text
