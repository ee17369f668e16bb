"""What `forebay events ls` shows: a table for people, or JSON for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Final

from forebay.cli.printers.outcome_words import outcome_words
from forebay.cli.printers.output_formatting import CELL, SHORT_ID, PagedTable, output_console
from forebay.core.failure_words import plain_failure
from forebay.core.index_listing import ItemRow
from forebay.core.index_records import IndexOutcome
from forebay.core.masking import printable
from forebay.views.items import row_facts
from forebay.views.texts import millis_text, shown_channel

__all__ = ["ItemListPrinter"]

_COLUMNS: Final = ("since", "endpoint", "kind", "channel", "what became of it", "tries", "id")
_REVEALED: Final = ("conversation", "answer")


class ItemListPrinter:
    """Prints rows as they come."""

    def __init__(self, *, as_json: bool, reveal: bool) -> None:
        """Prepare.

        Args:
            as_json: Whether programs read it.
            reveal: Whether conversations' tokens, odd channels and answers of destinations show.
        """
        self._as_json = as_json
        self._reveal = reveal
        self._columns = (*_COLUMNS, *_REVEALED) if reveal else _COLUMNS
        self._console = output_console()
        self._table = PagedTable(
            self._columns, prose="what became of it", spare=("tries", "channel", "kind")
        )

    def rows(self, rows: Sequence[ItemRow]) -> None:
        """Show some."""
        if self._as_json:
            for row in rows:
                sys.stdout.write(
                    printable(json.dumps(row_facts(row, reveal=self._reveal), ensure_ascii=False))
                    + "\n"
                )
            return
        self._table.rows(map(self._cells, rows))

    def end(self, shown: int, time: str, *, is_cut: bool) -> None:
        """Say that the list is over, or that there is more; `time` is what was searched."""
        if self._as_json:
            return
        if is_cut:
            text = f"the first {shown:,} {time}; there are more: narrow it down, or say --limit 0"
        elif shown:
            text = f"{shown:,} {'item' if shown == 1 else 'items'} {time}"
        else:
            text = f"no item {time}"
        self._console.print(text)

    def _cells(self, row: ItemRow) -> tuple[str, ...]:
        any_ = row.any
        cells = [
            millis_text(row.at),
            any_.endpoint,
            any_.kind,
            shown_channel(any_.channel, reveal=self._reveal),
            _became(row),
            str(max((each.attempt for each in row.last.values()), default=0) or ""),
            any_.token[:SHORT_ID],
        ]
        if self._reveal:
            said = (f"{name}: {each.said}" for name, each in row.last.items() if each.said)
            cells += [any_.conversation, "; ".join(said)]
        return tuple(printable(cell, CELL) for cell in cells)


def _became(row: ItemRow) -> str:
    parts = []
    for name in sorted(row.last):
        record = row.last[name]
        text = outcome_words(record.outcome)
        if record.why:
            text += f" ({plain_failure(record.why)})"
        parts.append(f"{name}: {text}" if name else text)
    stored = row.stored
    if stored is not None and (not parts or stored.outcome is IndexOutcome.VARIANT):
        parts.insert(0, outcome_words(stored.outcome))
    if row.repeats:
        parts.append("1 repeat" if row.repeats == 1 else f"{row.repeats:,} repeats")
    return "; ".join(parts)
