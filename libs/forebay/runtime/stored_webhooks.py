"""Finds one webhook in RAW, by its sequence or by an item that came in it. For `forebay raw`."""

from collections.abc import AsyncIterator, Sequence

from forebay.core import envelope
from forebay.core.subjects import StreamKind, stream_name, subjects_of_item
from forebay.runtime.jetstream.api import StoredMessage, find_message
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.errors import StreamMissing, no_such_stream
from forebay.runtime.jetstream.stream_reader import read_page

__all__ = ["sequences_of_item", "webhook_at"]


async def webhook_at(client: CommandClient, shard: str, sequence: int) -> StoredMessage | None:
    """Return the webhook with this sequence; None where RAW has none.

    Raises:
        StoreError: where NATS does not answer, or there is no such shard.
    """
    stream = stream_name(StreamKind.RAW, shard)
    try:
        return await find_message(client, stream, {"seq": sequence})
    except StreamMissing as error:
        raise no_such_stream(stream) from error


async def sequences_of_item(
    client: CommandClient, shards: Sequence[str], token: str
) -> AsyncIterator[tuple[str, int]]:
    """Yield shard and sequence of the webhooks in which an item first came, one an endpoint.

    Args:
        client: A connected client.
        shards: Where to search.
        token: The item's `webhook-id`, all of it.

    Raises:
        StoreError: where NATS does not answer, or there is no such shard.
    """
    known = set()
    for shard in shards:
        for kind, subjects in subjects_of_item(shard, token).items():
            for stored in await read_page(client, stream_name(kind, shard), subjects, 1):
                sequence = envelope.header_number(stored.headers, envelope.RAW_SEQUENCE, 2**63)
                if sequence and (shard, sequence) not in known:
                    known.add((shard, sequence))
                    yield shard, sequence
