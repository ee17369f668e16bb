"""An item of the index as `events ls` shows it."""

from typing import Any

from forebay.core.index_listing import ItemRow
from forebay.core.index_records import ItemHandled
from forebay.views.texts import millis_text, shown_channel

__all__ = ["handled_facts", "row_facts"]


def handled_facts(record: ItemHandled, *, reveal: bool) -> dict[str, Any]:
    """Return what a program gets of what happened at a destination."""
    facts: dict[str, Any] = {
        "at": millis_text(record.at),
        "destination": record.destination or None,
        "outcome": record.outcome,
        "attempt": record.attempt or None,
        "milliseconds": record.millis,
        "error": record.why or None,
        "nextAttemptAt": millis_text(record.due) if record.due else None,
    }
    if reveal:
        facts["answer"] = record.said or None
    return facts


def row_facts(row: ItemRow, *, reveal: bool) -> dict[str, Any]:
    """Return what a program gets of an item.

    Args:
        row: The item, as far as its records were read.
        reveal: Whether its conversation's token, an odd channel and answers of destinations show.
    """
    any_, stored = row.any, row.stored
    facts: dict[str, Any] = {
        "id": any_.token,
        "endpoint": any_.endpoint,
        "kind": any_.kind,
        "channel": shown_channel(any_.channel, reveal=reveal),
        "shard": row.shard,
        "at": millis_text(row.at),
        "stored": None if stored is None else stored.outcome,
        "receivedAt": (
            millis_text(stored.received) if stored is not None and stored.received else None
        ),
        "rawSequence": None if stored is None else stored.raw,
        "repeats": row.repeats,
        "handled": [handled_facts(row.last[name], reveal=reveal) for name in sorted(row.last)],
    }
    if reveal:
        facts["conversation"] = any_.conversation
    return facts
