"""Delivers items again to a destination, whatever became of them. For `forebay events replay`.

An item is found in EVENTS, which keeps it as its claim for the shard's window, and handed to the
processors by a row of RETRY, as a dead letter is (docs/design/0006, 0038). For each item, one line
after the other; what if the process dies there:

1. Is it on its way to this destination anyway: not settled in EVENTS, waiting in RETRY, or a dead
   letter? Then it is left alone. Dies: nothing happened.
2. Store the row, only where none of an earlier replay is there, under an id made of the item and of
   this run. Dies: it is delivered, and nobody says so. The same call again, within the time in
   which the row waits, finds it; later it is delivered once more, under the same `webhook-id`.

Nothing is deleted: the claim stays, and so does what is known of it.
"""

import functools
import secrets
from collections.abc import AsyncIterator, Sequence

from typing_extensions import override

from forebay.core import envelope
from forebay.core.dead_letters import DeadLetter, DeadLetterFilter
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import readable_item
from forebay.core.errors import ForebayError
from forebay.core.index_listing import IndexFilter, ItemRow
from forebay.core.item_kinds import KIND_LANES
from forebay.core.stored_items import WantedAgain, row_of, wanted_again
from forebay.core.subjects import (
    EventSubject,
    Lane,
    StreamKind,
    consumer_name,
    conversation_partition,
    stream_name,
)
from forebay.runtime.dead_letter_store import DeadLetterOutcome, DeadLetterStore
from forebay.runtime.item_index import ItemIndex
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.command_requests import patiently
from forebay.runtime.jetstream.consumers import list_consumers
from forebay.runtime.jetstream.errors import SequenceMismatch, StreamMissing
from forebay.runtime.jetstream.stream_reader import StreamPlace, read_last

__all__ = ["ItemReplay", "StoredItems"]


class ItemReplay(DeadLetterStore):
    """Items that are to be delivered again; a subclass finds them."""

    kind = StreamKind.EVENTS

    def __init__(self, client: CommandClient, shards: Sequence[str], to: str) -> None:
        """Prepare.

        Args:
            client: A connected client.
            shards: Where to search.
            to: The destination of the items' endpoints that gets them.
        """
        super().__init__(client, shards)
        self.to = to
        """The destination that gets them."""

        self._run = secrets.token_hex(8)
        self._settled: dict[str, dict[str, int]] = {}
        """Up to which sequence all is worked off, by shard and consumer, as it was last seen."""

    @override
    def subjects(self, shard: str, wanted: DeadLetterFilter) -> str:
        return wanted.subjects(shard)

    @override
    def letter(self, stored: StoredMessage) -> WantedAgain:
        return wanted_again(
            EventSubject.parse(stored.subject),
            self.to,
            item=readable_item(stored.payload),
            payload=stored.payload,
            headers=stored.headers,
            stored_at=stored.stored_at,
            claimed_at=stored.sequence,
            number=stored.sequence,
        )

    @override
    async def replay(self, letter: DeadLetter, destination: str | None = None) -> DeadLetterOutcome:
        """Hand an item to the processors, where it is not on its way by itself.

        Raises:
            StoreError: where NATS does not answer or does not store.
        """
        del destination  # it stands in the item
        if not isinstance(letter, WantedAgain):
            raise TypeError(letter)
        if (outcome := await self._on_its_way(letter)) is not None:
            return outcome
        await self.check_room(letter.claim.shard)
        return await self._park(letter)

    async def _on_its_way(self, wanted: WantedAgain) -> DeadLetterOutcome | None:
        shard = wanted.claim.shard
        if wanted.claimed_at and not await self._is_settled(wanted):
            return DeadLetterOutcome.UNDELIVERED
        own = str(row_of(wanted, replayed=False))
        if await self.read(StreamKind.RETRY, shard, own) is not None:
            return DeadLetterOutcome.UNDELIVERED
        if await self.read(StreamKind.DEAD, shard, str(wanted.subject)) is not None:
            return DeadLetterOutcome.DEAD
        return None

    async def _is_settled(self, wanted: WantedAgain) -> bool:
        """Say whether every destination has it, or has it waiting."""
        shard, claim = wanted.claim.shard, wanted.claim
        name = consumer_name("deliver", claim.lane, claim.partition)
        if wanted.claimed_at > self._settled.get(shard, {}).get(name, 0):
            found = await list_consumers(self.client, stream_name(StreamKind.EVENTS, shard))
            self._settled[shard] = {
                each: state.ack_floor.stream_seq for each, state in found.items()
            }
        return wanted.claimed_at <= self._settled[shard].get(name, 0)

    async def _park(self, wanted: WantedAgain) -> DeadLetterOutcome:
        row = row_of(wanted)
        carried = {
            name: wanted.headers[name] for name in envelope.CARRIED if name in wanted.headers
        }
        headers = {
            **carried,
            envelope.CONVERSATION: row.conversation,
            envelope.ORDER: "0",
            envelope.ATTEMPTS: "0",
            envelope.EXPECTED_SEQUENCE: "0",
            # Of this run: an answer that was lost is asked for again, and the next run is another.
            envelope.MESSAGE_ID: f"again.{self._run}.{row}",
        }
        try:
            await self.store(str(row), wanted.payload, headers)
        except SequenceMismatch:
            return DeadLetterOutcome.WAITING
        return DeadLetterOutcome.REPLAYED


class StoredItems(ItemReplay):
    """The items in EVENTS."""

    @override
    async def find(
        self, wanted: DeadLetterFilter, after: StreamPlace | None = None
    ) -> AsyncIterator[list[DeadLetter]]:
        """Yield the items that are meant; those of one message by the index, where there is one.

        Raises:
            StoreError: where NATS does not answer or a shard has no such stream.
            ForebayError: where the index knows a message of which EVENTS has nothing any more.
        """
        if wanted.wamid is not None:
            try:
                rows = await self._rows_of(wanted.wamid)
            except StreamMissing:
                pass  # no index: what is stored is read
            else:
                yield await self._of_rows(rows, wanted)
                return
        async for page in super().find(wanted, after):
            yield page

    async def _rows_of(self, message: str) -> list[ItemRow]:
        index = ItemIndex(self.client, self.shards)
        return [row async for rows in index.listed(IndexFilter(), message=message) for row in rows]

    async def _of_rows(self, rows: Sequence[ItemRow], wanted: DeadLetterFilter) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        gone: list[ItemRow] = []
        for row in rows:
            stored = await patiently(functools.partial(self._stored, row))
            found += map(self.letter, stored)
            if not stored and wanted.endpoint in {None, EndpointName.parse(row.any.endpoint)}:
                gone.append(row)
        if gone and not found:
            raise ForebayError(_gone(gone[0]))
        return sorted(filter(wanted.matches, found), key=_place)

    async def _stored(self, row: ItemRow) -> list[StoredMessage]:
        """Return an item as EVENTS holds it; no wildcard, which would be compared with them all."""
        any_ = row.any
        endpoint = EndpointName.parse(any_.endpoint)
        partition = conversation_partition(endpoint, any_.conversation, row.shard)
        known = KIND_LANES.get(any_.kind)
        subjects = [
            str(EventSubject(row.shard, partition, lane, endpoint, any_.kind, any_.token))
            for lane in ((Lane.LIVE, Lane.STATUS, Lane.BULK) if known is None else (known,))
        ]
        return await read_last(self.client, stream_name(StreamKind.EVENTS, row.shard), subjects)


def _place(letter: DeadLetter) -> tuple[str, int]:
    return letter.subject.shard, letter.sequence


def _gone(row: ItemRow) -> str:
    begin = (
        "its items are not stored any more: EVENTS keeps them for 8 days, or until it needs room"
    )
    raw = None if row.stored is None else row.stored.raw
    if raw is None:
        return begin
    return f"{begin}; where RAW still has its webhook, `forebay raw replay {raw} --to NAME` does it"
