"""Reads the index: what happened to messages, and where they are now. For `forebay events`.

Nothing of a stream is held but a page, and what was asked for. A record may be there twice, or
missing (`core/index_records.py`): where an item waits, or is dead, is asked of RETRY and DEAD.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from forebay.core.index_records import (
    IndexRecord,
    ItemHandled,
    ItemStored,
    bucket_of,
    message_digest,
    readable_records,
)
from forebay.core.subjects import StreamKind, index_stream, index_subject, stream_name
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.stream_reader import read_page, read_pages

__all__ = ["ItemIndex", "ItemStory"]


_Item = tuple[str, str]
"""An endpoint and a token: two endpoints may get the same message."""


class ItemStory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one item."""

    token: str
    """Its `webhook-id`."""

    shard: str
    stored: tuple[ItemStored, ...]
    """When it was cut out of a webhook: the first time, and each repeat."""

    handled: tuple[ItemHandled, ...]
    """What happened at destinations, by time."""

    waiting: tuple[StoredMessage, ...] = ()
    """Its rows in RETRY, at this moment."""

    dead: tuple[StoredMessage, ...] = ()
    """Its dead letters, at this moment."""


class ItemIndex:
    """The indexes of some shards, over one connection."""

    def __init__(self, client: CommandClient, shards: Sequence[str]) -> None:
        self._client = client
        self._shards = tuple(shards)
        self.unread = 0
        """Records that could not be read so far: a later version's, or nobody's."""

    async def of_message(self, message: str) -> list[ItemStory]:
        """Return all items about a message of a provider, in the order in which they were stored.

        Args:
            message: The provider's id of it.

        Raises:
            StoreError: where NATS does not answer, or a shard has no index.
        """
        digest, bucket = message_digest(message), bucket_of(message)
        found = []
        for shard in self._shards:
            stored: dict[_Item, set[ItemStored]] = {}
            handled: dict[_Item, dict[tuple[object, ...], ItemHandled]] = {}
            async for record in self._records(shard, bucket):
                if isinstance(record, ItemStored) and record.message == digest:
                    stored.setdefault((record.endpoint, record.token), set()).add(record)
            # Read once more rather than held: they are a sixteenth of all attempts.
            if stored:
                unread = self.unread
                async for record in self._records(shard, bucket):
                    item = (record.endpoint, record.token)
                    if isinstance(record, ItemHandled) and item in stored:
                        handled.setdefault(item, {})[msgspec.structs.astuple(record)] = record
                self.unread = unread
            for item, times in stored.items():
                story = ItemStory(
                    token=item[1],
                    shard=shard,
                    stored=tuple(sorted(times, key=_at)),
                    handled=tuple(sorted(handled.get(item, {}).values(), key=_at)),
                )
                found.append(await self._with_present(story))
        return sorted(found, key=lambda story: story.stored[0].at)

    async def begins(self) -> datetime | None:
        """Return since when there is an index; None where it is empty. Raises StoreError."""
        first = []
        for shard in self._shards:
            page = await read_page(self._client, index_stream(shard), index_subject(shard, "*"), 1)
            first += [each.stored_at for each in page[:1]]
        return min(first, default=None)

    async def _with_present(self, story: ItemStory) -> ItemStory:
        shard, token = story.shard, story.token
        name = story.stored[0].endpoint.replace("/", ".")
        rows = f"forebay.retry.{shard}.*.*.{name}.*.*.{token}"
        letters = f"forebay.dead.{shard}.{name}.*.{token}"
        return msgspec.structs.replace(
            story,
            waiting=tuple(
                await read_page(self._client, stream_name(StreamKind.RETRY, shard), rows, 1)
            ),
            dead=tuple(
                await read_page(self._client, stream_name(StreamKind.DEAD, shard), letters, 1)
            ),
        )

    async def _records(self, shard: str, bucket: str) -> AsyncIterator[IndexRecord]:
        subject = index_subject(shard, bucket)
        async for page in read_pages(self._client, index_stream(shard), subject):
            for stored in page:
                records, unread = readable_records(stored.payload)
                self.unread += unread
                for record in records:
                    yield record


def _at(record: IndexRecord) -> int:
    return record.at
