"""What all verbs of `forebay events` say of a record of the index to people."""

from typing import Final

from forebay.core.index_records import IndexOutcome

__all__ = ["outcome_words"]

_WORDS: Final = {
    IndexOutcome.NEW: "stored",
    IndexOutcome.VARIANT: "stored as a variant",
    IndexOutcome.REPEAT: "repeat",
    IndexOutcome.UNWANTED: "no destination is for it",
    IndexOutcome.FILTERED: "filtered",
    IndexOutcome.PARKED: "waits, not tried yet",
    IndexOutcome.DELIVERED: "delivered",
    IndexOutcome.FAILED: "failed",
    IndexOutcome.REJECTED: "rejected",
    IndexOutcome.DEAD: "given up",
}


def outcome_words(outcome: IndexOutcome) -> str:
    """Return what a person reads for an outcome."""
    return _WORDS.get(outcome, outcome.value)
