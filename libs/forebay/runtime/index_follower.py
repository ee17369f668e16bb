"""Follows the index: what happens to items, as it is stored. For `forebay events tail`.

It asks for the next page from time to time, and leaves nothing on the server. Where NATS is away it
asks again until it is back, and goes on where it was; what the stream forgot meanwhile is not
shown. In memory is a page of 12 MiB at most.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final

from forebay.core.index_records import IndexRecord, readable_records
from forebay.core.subjects import index_stream
from forebay.runtime.jetstream.api import call
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.errors import (
    StoreError,
    StoreUnavailable,
    StreamMissing,
    no_such_stream,
)
from forebay.runtime.jetstream.stream_reader import read_page

__all__ = ["IndexFollower"]

PAUSE_SECONDS: Final = 0.5
"""Between two questions. Records are written a second after what they say, so this adds little."""

STILL_ROUNDS: Final = 20
"""Questions without news after which the stream is asked whether it is still the same one."""


class IndexFollower:
    """The indexes of some shards, over one connection."""

    def __init__(
        self,
        client: CommandClient,
        shards: Sequence[str],
        on_trouble: Callable[[str | None], None],
        pause: float = PAUSE_SECONDS,
    ) -> None:
        """Prepare.

        Args:
            client: A connected client.
            shards: Which.
            on_trouble: Called with a sentence when NATS begins not to answer, and with None when it
                does again.
            pause: Seconds between two questions.
        """
        self._client = client
        self._next: dict[str, int | datetime] = dict.fromkeys(shards, 1)
        self._on_trouble = on_trouble
        self._pause = pause
        self._is_troubled = False
        self.unread = 0
        """Records that could not be read so far: a later version's, or nobody's."""

    async def follow(self, since: datetime | None = None) -> AsyncIterator[list[IndexRecord]]:
        """Yield what is stored, page by page, and never end.

        Args:
            since: Also what was stored then or later; None for what comes from now on.

        Raises:
            StoreError: where NATS does not answer at the beginning, or a shard has no index.
        """
        for shard in self._next:
            last = await self._last(shard)
            self._next[shard] = since if since is not None else last + 1
        rounds = 0
        while True:
            is_still = True
            for shard in self._next:
                page = await self._read(shard)
                if page:
                    is_still = False
                    yield page
            rounds = rounds + 1 if is_still else 0
            if is_still:
                await asyncio.sleep(self._pause)
            if rounds >= STILL_ROUNDS:
                rounds = 0
                await self._find_again()

    async def _read(self, shard: str) -> list[IndexRecord]:
        try:
            page = await read_page(self._client, index_stream(shard), ">", self._next[shard])
        except StoreUnavailable as error:
            self._trouble(str(error))
            return []
        if self._is_troubled:
            self._trouble(None)
            await self._find_again()
        found: list[IndexRecord] = []
        for stored in page:
            records, unread = readable_records(stored.payload)
            self.unread += unread
            found += records
            self._next[shard] = stored.sequence + 1
        return found

    async def _find_again(self) -> None:
        """Begin anew with a stream that was made again: its sequences begin at 1."""
        for shard, start in self._next.items():
            try:
                last = await self._last(shard)
            except StoreError:
                return  # the next question finds out
            if isinstance(start, int) and last < start - 1:
                self._next[shard] = 1

    async def _last(self, shard: str) -> int:
        stream = index_stream(shard)
        try:
            answer = await call(self._client, f"STREAM.INFO.{stream}", {})
        except StreamMissing as error:
            raise no_such_stream(stream) from error
        return int(answer["state"]["last_seq"])

    def _trouble(self, text: str | None) -> None:
        if self._is_troubled != (text is not None):
            self._is_troubled = text is not None
            self._on_trouble(text)
