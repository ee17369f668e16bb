"""What the index gets of an item where nothing was tried: it waits, is given up, or unwanted."""

from forebay.core.envelope import readable_item
from forebay.core.index_records import IndexOutcome
from forebay.core.subjects import RetrySubject
from forebay_processor.index_writer import IndexWriter

__all__ = ["record_untried"]


def record_untried(
    index: IndexWriter | None,
    subject: RetrySubject,
    payload: bytes,
    outcome: IndexOutcome,
    why: str = "",
) -> None:
    """Record what became of an item without an attempt.

    Args:
        index: Where to; None where no index is kept.
        subject: Its row in RETRY, if it has one; without a destination where nobody wants it.
        payload: The item.
        outcome: What became of it.
        why: In a word, where there is a reason.
    """
    if index is None:
        return
    item = readable_item(payload)
    # For one that cannot be read nobody can ask by a message's id; its dead letter says what it is.
    if item is not None:
        index.handled(subject, item.kind, item.key, item.channel, outcome, why=why)
