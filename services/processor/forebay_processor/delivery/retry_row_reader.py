"""Reads rows of RETRY: what an entry is that another process, or this one, stored."""

from typing import Final

from forebay.core import envelope
from forebay.core.dead_letters import dead_letter_of_row
from forebay.core.subjects import RetrySubject
from forebay.core.tables import Retry
from forebay_processor.delivery.backoff import attempts_by_age
from forebay_processor.delivery.entry import EntryState, RetryEntry
from forebay_processor.destinations.retry_after import RETRY_AFTER_LIMIT
from forebay_processor.shared.partition_view import Partition, StoredRow
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["entry_of", "epoch_of", "payload_size", "subject_of"]


_EPOCH_DIGITS: Final = 20
"""Of the largest sequence that there is: a longer number is nobody's, and `int` may refuse it."""


_SIZE: Final = "Nats-Msg-Size"
"""Added by a server that hands out headers only."""


def subject_of(text: str) -> RetrySubject | None:
    """Read a row's subject; None where it is of no row of ours."""
    try:
        return RetrySubject.parse(text)
    except ValueError:
        return None


def epoch_of(row: StoredRow) -> int | None:
    """Return whose row it is; None where no processor stored it."""
    text = row.headers.get(envelope.EPOCH)
    if text is None or len(text) > _EPOCH_DIGITS or not text.isdecimal():
        return None
    return int(text)


def payload_size(row: StoredRow) -> int:
    """Return how many bytes a row carries, also where it was read without them."""
    text = row.headers.get(_SIZE, "")
    is_number = len(text) <= _EPOCH_DIGITS and text.isdecimal()
    return int(text) if is_number and not row.payload else len(row.payload)


def entry_of(
    partition: Partition, subject: RetrySubject, row: StoredRow, retry: Retry, time: StreamTime
) -> RetryEntry | None:
    """Read a row; None where its headers are none of ours.

    A row without times of its own, such as a replayed one, is as old as its message, and due. Its
    times are the streams': where they are ahead of that all the same, its age is that of its
    message, and its pause no longer than pauses are.
    """
    headers = row.headers
    try:
        recorded = int(headers.get(envelope.FIRST_TRIED_AT, "0")) / 1000 or row.stored_at
        since = time.to_steady(min(recorded, row.stored_at, time.now()))
        entry = RetryEntry(partition, subject, int(headers.get(envelope.ORDER, "0")), since)
        attempts = int(headers.get(envelope.ATTEMPTS, "0"))
        due = time.to_steady(int(headers.get(envelope.DUE_AT, "0")) / 1000)
    except (ValueError, OverflowError):
        return None
    now = time.steady()
    entry.attempts = attempts_by_age(retry, now - since, attempts)
    # Written down by a clock that may have been set since.
    entry.due = min(due, now + max(retry.max_delay_seconds, RETRY_AFTER_LIMIT))
    entry.sequence = row.sequence
    entry.letter = dead_letter_of_row(headers)
    entry.state = EntryState.READY
    return entry
