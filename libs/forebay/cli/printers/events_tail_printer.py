"""What `forebay events tail` shows: a line for each thing that happens, or JSON for programs."""

import json
import sys
from collections.abc import Iterable
from typing import Any, Final

from rich.text import Text

from forebay.cli.printers.outcome_words import outcome_words
from forebay.cli.printers.output_formatting import CELL, SHORT_ID, output_console
from forebay.core.failure_words import plain_failure
from forebay.core.index_records import IndexOutcome, IndexRecord, ItemHandled
from forebay.core.masking import printable
from forebay.views.items import handled_facts
from forebay.views.texts import millis_text, shown_channel

__all__ = ["TailPrinter"]

_STYLES: Final = {
    IndexOutcome.NEW: "cyan",
    IndexOutcome.VARIANT: "magenta",
    IndexOutcome.REPEAT: "dim",
    IndexOutcome.UNWANTED: "dim",
    IndexOutcome.FILTERED: "dim",
    IndexOutcome.PARKED: "yellow",
    IndexOutcome.DELIVERED: "green",
    IndexOutcome.FAILED: "yellow",
    IndexOutcome.REJECTED: "bold red",
    IndexOutcome.DEAD: "bold red",
}

_ENDPOINT: Final = 24
_KIND: Final = 13
"""Characters of columns: a longer name moves the rest of its own line."""


class TailPrinter:
    """Prints what happens as it comes."""

    def __init__(self, *, as_json: bool, reveal: bool) -> None:
        """Prepare.

        Args:
            as_json: Whether programs read it.
            reveal: Whether conversations' tokens and answers of destinations are shown.
        """
        self._as_json = as_json
        self._reveal = reveal
        self._console = output_console()

    def records(self, records: Iterable[IndexRecord]) -> None:
        """Show some, by time; what is written is out at once."""
        for record in sorted(records, key=_at):
            if self._as_json:
                text = json.dumps(self._facts(record), ensure_ascii=False)
                sys.stdout.write(printable(text) + "\n")
            else:
                # One line an event, however narrow the terminal is: it breaks lines itself.
                self._console.print(self._line(record), soft_wrap=True)
        sys.stdout.flush()

    def _line(self, record: IndexRecord) -> Text:
        line = Text()
        line.append(millis_text(record.at), "dim")
        line.append(f"  {printable(record.endpoint, CELL):<{_ENDPOINT}}")
        line.append(f"  {printable(record.kind, CELL):<{_KIND}}")
        line.append(f"  {printable(record.token[:SHORT_ID])}  ", "dim")
        line.append(printable(_words(record), CELL), _STYLES.get(record.outcome, ""))
        if self._reveal:
            line.append(f"  {printable(record.conversation, CELL)}", "dim")
            if isinstance(record, ItemHandled) and record.said:
                line.append(f"  {printable(record.said, CELL)}")
        return line

    def _facts(self, record: IndexRecord) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "at": millis_text(record.at),
            "id": record.token,
            "endpoint": record.endpoint,
            "kind": record.kind,
            "channel": shown_channel(record.channel, reveal=self._reveal),
            "outcome": record.outcome,
        }
        if isinstance(record, ItemHandled):
            facts |= handled_facts(record, reveal=self._reveal)
        else:
            facts["receivedAt"] = millis_text(record.received) if record.received else None
            facts["rawSequence"] = record.raw
        if self._reveal:
            facts["conversation"] = record.conversation
        return facts


def _words(record: IndexRecord) -> str:
    text = outcome_words(record.outcome)
    if not isinstance(record, ItemHandled):
        return f"{text} (webhook {record.raw} of RAW)" if record.raw else text
    if record.why:
        text += f" ({plain_failure(record.why)})"
    if record.attempt:
        text = f"attempt {record.attempt} {text} in {record.millis} ms"
    if record.due:
        text += f", next attempt {millis_text(record.due)}"
    return f"{record.destination}: {text}" if record.destination else text


def _at(record: IndexRecord) -> int:
    return record.at
