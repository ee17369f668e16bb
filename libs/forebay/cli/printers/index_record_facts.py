"""What all verbs of `forebay events` say of a record of the index: words, or JSON."""

from typing import Any, Final

from forebay.cli.printers.output_formatting import millis_text
from forebay.core.index_records import IndexOutcome, ItemHandled

__all__ = ["handled_facts", "outcome_words"]

_WORDS: Final = {
    IndexOutcome.NEW: "stored",
    IndexOutcome.VARIANT: "stored as a variant",
    IndexOutcome.REPEAT: "repeat",
    IndexOutcome.UNWANTED: "no destination is for it",
    IndexOutcome.PARKED: "waits, not tried yet",
    IndexOutcome.DELIVERED: "delivered",
    IndexOutcome.FAILED: "failed",
    IndexOutcome.REJECTED: "rejected",
    IndexOutcome.DEAD: "given up",
}


def outcome_words(outcome: IndexOutcome) -> str:
    """Return what a person reads for an outcome."""
    return _WORDS.get(outcome, outcome.value)


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
