"""What `forebay waiting ls` shows: a table for people, or JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.text import Text

from forebay.cli.printers.fitting_table import print_table
from forebay.cli.printers.output_formatting import (
    CELL,
    SHORT_ID,
    TABLE_ROWS,
    output_console,
    utc_or_none,
)
from forebay.core.control import DestinationCondition, DestinationReport
from forebay.core.failure_words import plain_failure
from forebay.core.masking import printable
from forebay.core.waiting_items import WaitingItem
from forebay.local.troubles import span

__all__ = ["WaitingPrinter"]

_HOLDING: Final = frozenset(
    {DestinationCondition.OPEN, DestinationCondition.PROBING, DestinationCondition.REFUSED}
)
"""States in which nothing is tried but one item now and then."""


class WaitingPrinter:
    """Prints rows as they come."""

    def __init__(
        self,
        reports: Mapping[tuple[str, str], DestinationReport],
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
                text = json.dumps(self._facts(row), ensure_ascii=False)
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
            facts = self._facts(row)
            due = self._due_at(row)
            expires = self._expires_at(row)
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

    def _facts(self, row: WaitingItem) -> dict[str, Any]:
        subject, report = row.subject, self._report(row)
        facts: dict[str, Any] = {
            "id": subject.key,
            "endpoint": str(subject.endpoint),
            "destination": subject.destination,
            "kind": row.kind,
            "lane": subject.lane,
            "state": None if report is None else report.state.value,
            "reason": None if report is None else report.reason,
            "why": self._why(row),
            "receivedAt": utc_or_none(row.received_at),
            "waitsSince": utc_or_none(row.since),
            "nextAttemptAbout": utc_or_none(self._due_at(row)),
            "expiresAt": utc_or_none(self._expires_at(row)),
            "hasFailed": row.has_failed,
            "shard": subject.shard,
            "sequence": row.sequence,
            "bytes": row.size,
        }
        if self._reveal:
            facts["itemkey"] = None if row.item is None else row.item.key
            facts["conversation"] = subject.conversation
        return facts

    def _report(self, row: WaitingItem) -> DestinationReport | None:
        return self._reports.get((str(row.subject.endpoint), row.subject.destination))

    def _why(self, row: WaitingItem) -> str:
        own = "it failed" if row.has_failed else "it waits for its turn"
        report = self._report(row)
        if report is None or report.state is DestinationCondition.UP:
            return own
        reason = f" ({plain_failure(report.reason)})" if report.reason else ""
        return f"{own}; the destination: {report.state.value}{reason}"

    def _due_at(self, row: WaitingItem) -> datetime | None:
        """Return when it is tried next, about; None where nothing says so."""
        report, due = self._report(row), row.due_at
        if report is None or report.state is DestinationCondition.PAUSED:
            return None
        after = report.next_attempt_seconds
        if report.state in _HOLDING:
            after = after or 0.0
            return max(due or self._now, self._now + timedelta(seconds=after))
        if due is not None and due > self._now:
            return due
        return None if after is None else self._now + timedelta(seconds=after)

    def _expires_at(self, row: WaitingItem) -> datetime | None:
        """Return when its `maxAge` is over, which does not count while its endpoint is paused."""
        report = self._report(row)
        if report is None or report.state is DestinationCondition.PAUSED:
            return None
        age = report.max_age_seconds
        return None if age is None else row.since + timedelta(seconds=age)
