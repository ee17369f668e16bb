"""What `forebay waiting ls` shows: a table for people, or JSON for programs."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from forebay.cli.printers.fitting_table import print_table
from forebay.cli.printers.output_formatting import CELL, SHORT_ID, TABLE_ROWS, output_console
from forebay.core.masking import printable
from forebay.core.waiting_items import WaitingItem
from forebay.local.troubles import span
from forebay.views.waiting import Reports, due_at, expires_at, waiting_facts

__all__ = ["WaitingPrinter"]


class WaitingPrinter:
    """Prints rows as they come."""

    def __init__(
        self,
        reports: Reports,
        *,
        as_json: bool,
        reveal: bool,
    ) -> None:
        """Prepare.

        Args:
            reports: How destinations are, by endpoint and name; empty where nobody knows.
            as_json: Whether programs read it.
            reveal: Whether ids of messages and tokens of conversations are shown.
        """
        self._reports = reports
        self._as_json = as_json
        self._reveal = reveal
        self._now = datetime.now(UTC)
        self._console = output_console()

    def rows(self, page: Sequence[WaitingItem]) -> None:
        """Show some."""
        if self._as_json:
            for row in page:
                text = json.dumps(
                    waiting_facts(row, self._reports, self._now, reveal=self._reveal),
                    ensure_ascii=False,
                )
                sys.stdout.write(f"{printable(text)}\n")
            return
        for start in range(0, len(page), TABLE_ROWS):
            self._table(page[start : start + TABLE_ROWS])

    def end(self, shown: int, *, is_cut: bool) -> None:
        """Say that the list is over, or that there is more."""
        if self._as_json:
            return
        if is_cut:
            text = f"the first {shown:,}; there are more: narrow it down, or say --limit 0"
        elif shown:
            text = f"{shown:,} waiting"
        else:
            text = "nothing waits"
        self._console.print(text)

    def _table(self, rows: Sequence[WaitingItem]) -> None:
        times = ("since", "next try", "expires")
        columns = ["id", "endpoint", "destination", "kind", "why", *times]
        if self._reveal:
            columns += ["message", "conversation"]
        shown: list[list[Text]] = []
        for row in rows:
            facts = waiting_facts(row, self._reports, self._now, reveal=self._reveal)
            due = due_at(row, self._reports, self._now)
            expires = expires_at(row, self._reports)
            cells = [
                row.subject.key[:SHORT_ID],
                facts["endpoint"],
                facts["destination"],
                facts["kind"],
                facts["why"],
                f"{span(max((self._now - row.since).total_seconds(), 0))} ago",
                "" if due is None else f"in {span(max((due - self._now).total_seconds(), 0))}",
                "" if expires is None else self._left(expires),
            ]
            if self._reveal:
                cells += [facts["itemkey"] or "", facts["conversation"]]
            shown.append([Text(printable(cell, CELL)) for cell in cells])
        spare = ("kind", "expires", "since")
        print_table(self._console, columns, shown, prose="why", right=times, spare=spare)

    def _left(self, expires: datetime) -> str:
        left = (expires - self._now).total_seconds()
        return f"in {span(left)}" if left > 0 else "now"
