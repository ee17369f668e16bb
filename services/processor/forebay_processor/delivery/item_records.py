"""What the index gets of an item where nothing was tried: it waits, is given up, or unwanted."""

from forebay.core.envelope import decode_item
from forebay.core.errors import ForebayError
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
    try:
        item = decode_item(payload)
    except ForebayError:
        # Nobody can ask for it by a message's id, and its dead letter says what it is.
        return
    index.handled(subject, item.kind, item.key, item.channel, outcome, why=why)
