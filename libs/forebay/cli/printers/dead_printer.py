"""What `forebay dead` shows: tables for eyes, or JSON for programs.

Results go to stdout; progress and questions to stderr, so that a pipe gets results alone.
"""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from forebay.cli.printers.output_formatting import CELL, SHORT_ID, PagedTable, output_console
from forebay.core.dead_letters import DeadLetter, Death
from forebay.core.failure_words import plain_failure
from forebay.core.masking import masked, printable
from forebay.core.provider_vocabulary import known_word
from forebay.runtime.dead_letter_store import DeadLetterOutcome, DeadLetterPlan
from forebay.views.dead_letters import letter_facts

__all__ = ["DeadLetterPrinter", "JsonPrinter", "TablePrinter"]

_OWN_SHAPES: Final = frozenset({"generic", "unknown", "unreadable"})
"""Kinds whose fields no reference describes: their names can be private, too."""

_ADVICE: Final = {
    DeadLetterOutcome.WAITING: "an earlier replay had handed it to the processor already",
    DeadLetterOutcome.BUSY: (
        "the processor is working on it: left here, say the same again in a moment"
    ),
    DeadLetterOutcome.GONE: "somebody else replayed or removed it meanwhile",
    DeadLetterOutcome.UNDELIVERED: "about to be tried, or waiting: left here",
    DeadLetterOutcome.DEAD: "left here: `forebay dead replay` sends those again",
}


class DeadLetterPrinter(Protocol):
    """What the verbs print through."""

    def letters(self, page: Sequence[DeadLetter]) -> None:
        """Show some letters of a list."""

    def end_of_list(self, shown: int, *, is_cut: bool) -> None:
        """Say that the list is over, or that there are more."""

    def letter(self, letter: DeadLetter, *, reveal: bool) -> None:
        """Show one letter in full; its content only where it is revealed."""

    def plan(self, plan: DeadLetterPlan, verb: str, *, rate: float) -> None:
        """Show what is about to be done."""

    def ask(self) -> bool:
        """Ask whether to do it."""

    def outcome(
        self, plan: DeadLetterPlan, counts: Mapping[DeadLetterOutcome, int], *, changed: bool
    ) -> None:
        """Show what was done."""

    def searching(self) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Show that letters are counted: what it gives is called with the number so far."""

    def working(self, total: int) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """Show progress: what it gives is called after each letter."""


class _Moving(DeadLetterPrinter):
    """Progress on stderr, where that is a terminal."""

    def __init__(self) -> None:
        self._errors = Console(stderr=True)

    @override
    @contextlib.contextmanager
    def searching(self) -> Iterator[Callable[[int], None]]:
        with self._progress(TextColumn("searching: {task.completed:,.0f} found")) as progress:
            task = progress.add_task("", total=None)
            yield lambda found: progress.update(task, completed=found)

    @override
    @contextlib.contextmanager
    def working(self, total: int) -> Iterator[Callable[[], None]]:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with self._progress(*columns) as progress:
            task = progress.add_task("", total=total)
            yield lambda: progress.advance(task)

    @override
    def ask(self) -> bool:
        return typer.confirm("Go on?", err=True)

    def _progress(self, *columns: Any) -> Progress:  # noqa: ANN401  # rich's columns are of many types
        return Progress(
            *columns, console=self._errors, transient=True, disable=not self._errors.is_terminal
        )


class TablePrinter(_Moving):
    """A table for people."""

    def __init__(
        self, one: str = "dead letter", many: str = "dead letters", *, by: str = "reason"
    ) -> None:
        """Prepare; `one` and `many` are what is counted, `by` the last thing it is grouped by."""
        super().__init__()
        self._one, self._many, self._by = one, many, by
        self._console = output_console()
        self._list = PagedTable(_COLUMNS, prose="reason", right={"tries"}, spare=("tries", "kind"))

    @override
    def letters(self, page: Sequence[DeadLetter]) -> None:
        self._list.rows(map(_row, page))

    @override
    def end_of_list(self, shown: int, *, is_cut: bool) -> None:
        if is_cut:
            text = f"the first {shown:,}; there are more: narrow it down, or say --limit 0"
        elif shown:
            text = self._count(shown)
        else:
            text = f"no {self._many}"
        self._console.print(text)

    @override
    def letter(self, letter: DeadLetter, *, reveal: bool) -> None:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        facts = letter_facts(letter, reveal=reveal)
        facts["error"] = plain_failure(letter.error)
        facts["deathsBefore"] = "; ".join(map(_death_line, letter.deaths)) or None
        for name, value in facts.items():
            # As plain text: brackets would be taken for markup.
            table.add_row(name, Text("" if value is None else printable(str(value), CELL)))
        self._console.print(table)
        content = json.dumps(_content(letter, reveal=reveal), indent=2, ensure_ascii=False)
        self._console.print(Text(_lines_of(content)), soft_wrap=True)

    @override
    def plan(self, plan: DeadLetterPlan, verb: str, *, rate: float) -> None:
        if not plan.total:
            return
        table = _table("endpoint", "destination", self._by, self._many.rpartition(" ")[2])
        for group, count in plan.groups.items():
            table.add_row(str(group.endpoint), group.destination, group.reason, f"{count:,}")
        self._console.print(table)
        text = f"{verb}: {self._count(plan.total)}"
        if rate:
            text += f", at {rate:g} a second: {_duration(plan.total / rate)}"
        self._console.print(text)

    @override
    def outcome(
        self, plan: DeadLetterPlan, counts: Mapping[DeadLetterOutcome, int], *, changed: bool
    ) -> None:
        if not plan.total:
            self._console.print(f"no {self._many}: nothing to do")
        elif not changed:
            self._console.print("nothing was changed")
        for outcome in DeadLetterOutcome:
            if count := counts.get(outcome, 0):
                advice = _ADVICE.get(outcome)
                self._console.print(
                    f"{outcome.value}: {count:,}" + (f" ({advice})" if advice else "")
                )

    def _count(self, number: int) -> str:
        return f"{number:,} {self._one if number == 1 else self._many}"


class JsonPrinter(_Moving):
    """For programs: one object a line."""

    def __init__(self, *, by: str = "reason") -> None:
        """Prepare; `by` is the last thing that is counted together."""
        super().__init__()
        self._by = by

    @override
    def letters(self, page: Sequence[DeadLetter]) -> None:
        for letter in page:
            facts = letter_facts(letter, reveal=False)
            _line({name: facts[name] for name in _LISTED})

    @override
    def end_of_list(self, shown: int, *, is_cut: bool) -> None:
        """A program counts lines; what is cut was cut because it said so."""

    @override
    def letter(self, letter: DeadLetter, *, reveal: bool) -> None:
        _line({**letter_facts(letter, reveal=reveal), "data": _content(letter, reveal=reveal)})

    @override
    def plan(self, plan: DeadLetterPlan, verb: str, *, rate: float) -> None:
        """It is part of the outcome, for those who read it afterwards."""

    @override
    def outcome(
        self, plan: DeadLetterPlan, counts: Mapping[DeadLetterOutcome, int], *, changed: bool
    ) -> None:
        _line(
            {
                "found": plan.total,
                "changed": changed,
                "groups": [
                    {
                        "endpoint": str(group.endpoint),
                        "destination": group.destination,
                        self._by: group.reason,
                        "count": count,
                    }
                    for group, count in plan.groups.items()
                ],
                "outcomes": {
                    outcome.name.lower(): counts.get(outcome, 0) for outcome in DeadLetterOutcome
                },
            }
        )


_COLUMNS: Final = ("died", "endpoint", "destination", "kind", "reason", "tries", "id")


def _row(letter: DeadLetter) -> tuple[str, ...]:
    """Return what a table shows of a letter, by column."""
    item = letter.item
    cells = (
        letter.died_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        str(letter.subject.endpoint),
        letter.subject.destination,
        letter.kind if item is None else f"{letter.kind} ({known_word(item.type)})",
        _why(letter.reason, letter.error),
        str(letter.attempts),
        letter.subject.key[:SHORT_ID],
    )
    return tuple(printable(cell, CELL) for cell in cells)


_LISTED: Final = (
    "id",
    "endpoint",
    "destination",
    "kind",
    "type",
    "reason",
    "error",
    "attempts",
    "diedAt",
    "receivedAt",
)


def _death_line(death: Death) -> str:
    return f"{death.destination}: {_why(death.reason, death.error)}, {death.attempts} tries"


def _why(reason: str, error: str) -> str:
    return f"{reason} ({plain_failure(error)})" if error else reason


def _content(letter: DeadLetter, *, reveal: bool) -> Any:  # noqa: ANN401  # decoded JSON
    if letter.item is None:
        if reveal:
            return letter.content().decode(errors="replace")
        return f"<{letter.size} bytes that are no item>"
    data = msgspec.json.decode(letter.item.data)
    return data if reveal else masked(data, known=letter.kind not in _OWN_SHAPES)


def _lines_of(content: str) -> str:
    """Return JSON as a terminal may show it: its line breaks stand between values only."""
    return "\n".join(printable(line) for line in content.split("\n"))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_number = column in {"bodies", "items", "letters"}
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


def _duration(seconds: float) -> str:
    minute, hour = 60, 3600
    if seconds < 2 * minute:
        return f"about {max(1, round(seconds))} s"
    if seconds < 2 * hour:
        return f"about {round(seconds / minute)} minutes"
    return f"about {round(seconds / hour)} hours"


def _line(record: dict[str, Any]) -> None:
    sys.stdout.write(printable(json.dumps(record, ensure_ascii=False)) + "\n")
