"""What the index gets of an item that was cut out of a webhook; a part of `splitter`."""

from forebay.core import envelope
from forebay_processor.index_writer import IndexWriter
from forebay_processor.splitting.cutting import Part
from forebay_processor.splitting.item_storing import ItemOutcome

__all__ = ["record_stored"]


def record_stored(index: IndexWriter, part: Part, outcome: ItemOutcome) -> None:
    """Record an item that was stored, or is known to be there already."""
    item, subject, headers = part.item, part.webhook.subject, part.headers
    index.stored(
        subject.shard,
        subject.endpoint,
        item.kind,
        item.key,
        part.subject.rpartition(".")[2],
        item.channel,
        outcome,
        (
            item.conversation,
            int(headers[envelope.RECEIVED_AT]),
            part.webhook.message.sequence,
        ),
    )
