"""Reads what waits in RETRY, page by page, for the `forebay waiting` command; changes nothing."""

from collections.abc import AsyncIterator, Sequence

from forebay.core.subjects import StreamKind, stream_name
from forebay.core.waiting_items import WaitingFilter, WaitingItem
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.stream_reader import StreamPlace, read_pages, shards_behind

__all__ = ["find_waiting"]


async def find_waiting(
    client: CommandClient,
    shards: Sequence[str],
    wanted: WaitingFilter,
    after: StreamPlace | None = None,
) -> AsyncIterator[list[WaitingItem]]:
    """Yield the rows that are meant, shard by shard, in the order in which they were stored.

    Never more than a page is in memory. Rows that are delivered meanwhile may be missing.

    Args:
        client: A connected client.
        shards: Where to search.
        wanted: Which rows.
        after: Behind which row; None for all.

    Raises:
        StoreUnavailable: where NATS does not answer or a shard has no such stream.
    """
    for shard in shards_behind(shards, after):
        stream, subjects = stream_name(StreamKind.RETRY, shard), wanted.subjects(shard)
        start = after.sequence + 1 if after is not None and after.shard == shard else 1
        async for messages in read_pages(client, stream, subjects, start):
            rows = [row for each in messages if (row := _row(each)) is not None]
            yield [row for row in rows if wanted.matches(row)]


def _row(stored: StoredMessage) -> WaitingItem | None:
    """Read a row; None of what somebody else put there."""
    try:
        return WaitingItem.read(
            stored.subject, stored.sequence, stored.stored_at, stored.headers, stored.payload
        )
    except ValueError:
        return None
