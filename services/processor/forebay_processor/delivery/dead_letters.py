"""Dead letters: what is written of an item that is given up.

The letter is stored before anything else forgets the item: if the process dies in between, the item
is given up again, and the same letter takes the place of the first.
"""

from typing import Final

from forebay.core import envelope
from forebay.core.dead_letters import DeadReason
from forebay.core.index_records import IndexOutcome
from forebay.core.subjects import RetrySubject, StreamKind, dead_subject
from forebay_processor.delivery.delivery_traces import record_publish
from forebay_processor.delivery.untried_records import record_untried
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition

__all__ = ["EVERY", "dead_letter", "kept"]

EVERY: Final = "-"
"""Stands for the destination in letters of an endpoint that no table knew: it has none yet."""

_KEPT: Final = (*envelope.CARRIED, envelope.REPLAY_OF, envelope.DEATHS)


def kept(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that stay with an item wherever it goes."""
    return {name: headers[name] for name in _KEPT if name in headers}


async def dead_letter(  # noqa: PLR0913, PLR0917  # all that a dead letter is made of
    partition: Partition,
    subject: RetrySubject,
    payload: bytes,
    headers: dict[str, str],
    attempts: int,
    failure: tuple[DeadReason, str],
    metrics: ProcessorMetrics,
) -> None:
    """Write a dead letter; raises StoreError."""
    reason, error = failure
    letter_headers = {
        **kept(headers),
        envelope.CONVERSATION: subject.conversation,
        envelope.ATTEMPTS: str(attempts),
        envelope.REASON: reason,
        envelope.ERROR: error,
    }
    endpoint, destination = subject.endpoint, subject.destination
    letter = dead_subject(subject.shard, endpoint, destination, subject.key)
    tracer = metrics.tracer
    began = 0.0 if tracer is None else tracer.now()
    await partition.publish(letter, payload, letter_headers)
    if tracer is not None:
        record_publish(
            tracer,
            StreamKind.DEAD,
            subject,
            headers,
            began,
            has_failed=True,
            reason=reason,
        )
    metrics.dead(endpoint, destination, reason)
    record_untried(metrics.index, subject, payload, IndexOutcome.DEAD, reason)
