"""Reads the index: what happened to messages, and where they are now. For `forebay events`.

Nothing of a stream is held but a page of 12 MiB at most, and what was asked for. A record may be
there twice, or missing (`core/index_records.py`): where an item waits, or is dead, is asked of
RETRY and DEAD.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from forebay.core.index_listing import IndexFilter, ItemRow, ItemRows
from forebay.core.index_records import (
    IndexRecord,
    ItemHandled,
    ItemStored,
    bucket_of,
    message_digest,
    readable_records,
)
from forebay.core.subjects import (
    StreamKind,
    index_stream,
    index_subject,
    stream_name,
    subjects_of_item,
)
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.stream_reader import read_page, read_pages

__all__ = ["ItemIndex", "ItemStory"]

LATEST_SECONDS: Final = 600.0
"""After it happened, a thing is stored: its attempt took a while, or NATS was away. What is stored
later than that is not found by a time that ends before."""

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

    async def of_message(
        self,
        message: str,
        namespaces: frozenset[str] | None = None,
        most: int | None = None,
    ) -> list[ItemStory]:
        """Return all items about a message of a provider, in the order in which they were stored.

        Args:
            message: The provider's id of it.
            namespaces: Of endpoints of these only; None for all.
            most: So many, those stored first; None for all.

        Raises:
            StoreError: where NATS does not answer, or a shard has no index.
        """
        found = [
            story
            for shard in self._shards
            for story in await self._stories(shard, message)
            if namespaces is None or story.stored[0].endpoint.partition("/")[0] in namespaces
        ]
        found.sort(key=lambda story: story.stored[0].at)
        return [await self._with_present(story) for story in found[:most]]

    async def listed(
        self,
        wanted: IndexFilter,
        *,
        message: str | None = None,
        most: int | None = None,
        is_by_time: bool = True,
    ) -> AsyncIterator[list[ItemRow]]:
        """Yield the items that something happened to, oldest first, shard by shard.

        At most `HELD_ROWS` are in memory. What happened to an item is known as far as the records
        of the time that is meant say so.

        Args:
            wanted: Which items, and of which time.
            message: The provider's id of the message that they are about; None for all.
            most: How many will be shown; None for all.
            is_by_time: Whether those that are given out together are by time; else in the order of
                their first records, to which a later call adds nothing but at the end.

        Raises:
            StoreError: where NATS does not answer, or a shard has no index.
        """
        for shard in self._shards:
            rows = ItemRows(shard, wanted, most, is_by_time=is_by_time)
            if message is not None:
                for story in await self._stories(shard, message):
                    records: tuple[IndexRecord, ...] = (*story.stored, *story.handled)
                    for record in records:
                        rows.add(record)
            else:
                async for page in self._pages(shard, "*", wanted.since, wanted.until):
                    for record in page:
                        rows.add(record)
                    if rows.is_full:
                        yield rows.take_oldest()
            yield rows.take_all()

    async def _stories(self, shard: str, message: str) -> list[ItemStory]:
        """Return the items about a message, without where they are now."""
        digest, bucket = message_digest(message), bucket_of(message)
        stored: dict[_Item, set[ItemStored]] = {}
        handled: dict[_Item, dict[tuple[object, ...], ItemHandled]] = {}
        before: list[IndexRecord] = []
        async for page in self._pages(shard, bucket):
            known = len(stored)
            for record in page:
                if isinstance(record, ItemStored) and record.message == digest:
                    stored.setdefault((record.endpoint, record.token), set()).add(record)
            # What another processor wrote of an item can stand before its store, by seconds: in
            # the same page or the one before.
            searched = [*before, *page] if len(stored) > known else page
            for record in searched if stored else ():
                item = (record.endpoint, record.token)
                if isinstance(record, ItemHandled) and item in stored:
                    handled.setdefault(item, {})[msgspec.structs.astuple(record)] = record
            before = page
        return [
            ItemStory(
                token=item[1],
                shard=shard,
                stored=tuple(sorted(times, key=_at)),
                handled=tuple(sorted(handled.get(item, {}).values(), key=_at)),
            )
            for item, times in stored.items()
        ]

    async def begins(self) -> datetime | None:
        """Return since when there is an index; None where it is empty. Raises StoreError."""
        first = []
        for shard in self._shards:
            page = await read_page(self._client, index_stream(shard), index_subject(shard, "*"), 1)
            first += [each.stored_at for each in page[:1]]
        return min(first, default=None)

    async def _with_present(self, story: ItemStory) -> ItemStory:
        subjects = subjects_of_item(story.shard, story.token, story.stored[0].endpoint)

        async def found_in(kind: StreamKind) -> tuple[StoredMessage, ...]:
            stream = stream_name(kind, story.shard)
            return tuple(await read_page(self._client, stream, subjects[kind], 1))

        return msgspec.structs.replace(
            story,
            waiting=await found_in(StreamKind.RETRY),
            dead=await found_in(StreamKind.DEAD),
        )

    async def _pages(
        self, shard: str, bucket: str, since: int = 0, until: int | None = None
    ) -> AsyncIterator[list[IndexRecord]]:
        """Yield records, page by page; of a time: all of it, and some of before and after."""
        # All of a stream is not the same for the server: it need not compare each subject.
        subject = ">" if bucket == "*" else index_subject(shard, bucket)
        start = datetime.fromtimestamp(since / 1000, UTC) if since > 0 else 1
        async for page in read_pages(self._client, index_stream(shard), subject, start):
            found: list[IndexRecord] = []
            for stored in page:
                records, unread = readable_records(stored.payload)
                self.unread += unread
                found += records
            yield found
            stored_at = page[-1].stored_at.timestamp() * 1000
            if until is not None and stored_at >= until + LATEST_SECONDS * 1000:
                return


def _at(record: IndexRecord) -> int:
    return record.at
