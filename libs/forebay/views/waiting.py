"""What waits, as `waiting ls` shows it: a row, and what its destination's processors say."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from forebay.core.control import DestinationCondition, DestinationReport
from forebay.core.failure_words import plain_failure
from forebay.core.waiting_items import WaitingItem
from forebay.views.texts import utc_or_none

__all__ = ["Reports", "due_at", "expires_at", "waiting_facts"]

Reports = Mapping[tuple[str, str], DestinationReport]
"""How destinations are, by endpoint and name; empty where nobody knows."""

_HOLDING: Final = frozenset(
    {DestinationCondition.OPEN, DestinationCondition.PROBING, DestinationCondition.REFUSED}
)
"""States in which nothing is tried but one item now and then."""


def waiting_facts(
    row: WaitingItem, reports: Reports, now: datetime, *, reveal: bool
) -> dict[str, Any]:
    """Return what a program gets of a row.

    Args:
        row: What waits.
        reports: How destinations are.
        now: The time, in UTC.
        reveal: Whether the message's id and its conversation's token are shown.
    """
    subject, report = row.subject, _report(row, reports)
    facts: dict[str, Any] = {
        "id": subject.key,
        "endpoint": str(subject.endpoint),
        "destination": subject.destination,
        "kind": row.kind,
        "lane": subject.lane,
        "state": None if report is None else report.state.value,
        "reason": None if report is None else report.reason,
        "why": _why(row, report),
        "receivedAt": utc_or_none(row.received_at),
        "waitsSince": utc_or_none(row.since),
        "nextAttemptAbout": utc_or_none(due_at(row, reports, now)),
        "expiresAt": utc_or_none(expires_at(row, reports)),
        "hasFailed": row.has_failed,
        "shard": subject.shard,
        "sequence": row.sequence,
        "bytes": row.size,
    }
    if reveal:
        facts["itemkey"] = None if row.item is None else row.item.key
        facts["conversation"] = subject.conversation
    return facts


def _report(row: WaitingItem, reports: Reports) -> DestinationReport | None:
    return reports.get((str(row.subject.endpoint), row.subject.destination))


def _why(row: WaitingItem, report: DestinationReport | None) -> str:
    own = "it failed" if row.has_failed else "it waits for its turn"
    if report is None or report.state is DestinationCondition.UP:
        return own
    reason = f" ({plain_failure(report.reason)})" if report.reason else ""
    return f"{own}; the destination: {report.state.value}{reason}"


def due_at(row: WaitingItem, reports: Reports, now: datetime) -> datetime | None:
    """Return when it is tried next, about; None where nothing says so."""
    report, due = _report(row, reports), row.due_at
    if report is None or report.state is DestinationCondition.PAUSED:
        return None
    after = report.next_attempt_seconds
    if report.state in _HOLDING:
        after = after or 0.0
        return max(due or now, now + timedelta(seconds=after))
    if due is not None and due > now:
        return due
    return None if after is None else now + timedelta(seconds=after)


def expires_at(row: WaitingItem, reports: Reports) -> datetime | None:
    """Return when its `maxAge` is over, which does not count while its endpoint is paused."""
    report = _report(row, reports)
    if report is None or report.state is DestinationCondition.PAUSED:
        return None
    age = report.max_age_seconds
    return None if age is None else row.since + timedelta(seconds=age)
