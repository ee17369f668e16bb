"""A webhook of RAW once more: split again, or what is in it delivered again. `forebay raw replay`.

**Split again**: it is stored in RAW once more, as it came, for a processor. What EVENTS knows is
not delivered again by that; what it does not know goes to every destination that wants it. If the
process dies: it is stored once more or it is not; the same call again stores it once more, which
brings nothing twice either. One that was set aside is removed from where it was (see
`invalid_body_replay`); any other stays, for the index names it.

**Delivered again**: it is cut here, and each item goes to one destination, as EVENTS holds it, or
as it was cut where EVENTS does not hold it any more (`item_replay` says what if the process dies).
"""

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import msgspec
from typing_extensions import override

from forebay.core import envelope
from forebay.core.body_item import BODY_KIND, lane_of_items
from forebay.core.dead_letters import DeadLetter, DeadLetterFilter
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item, readable_item
from forebay.core.item import Item, variant_of
from forebay.core.stored_items import WantedAgain, wanted_again
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RawSubject,
    StreamKind,
    consumer_name,
    conversation_partition,
    stream_name,
)
from forebay.core.webhook_items import CutWebhook
from forebay.runtime.dead_letter_store import DeadLetterOutcome
from forebay.runtime.invalid_body_replay import InvalidBodies
from forebay.runtime.item_replay import ItemReplay
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.command_requests import store_message
from forebay.runtime.jetstream.consumers import list_consumers
from forebay.runtime.jetstream.stream_reader import StreamPlace, read_last

__all__ = ["SplitPreview", "WebhookItems", "is_split", "preview", "split_again"]

AT_ONCE: Final = 500
"""Items that EVENTS is asked for in one request; the server takes 1,024."""


class SplitPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What EVENTS knows of a webhook."""

    known: int
    """Items that are there already, with the same content: no destination gets them again."""

    new: int
    """Items that are not."""


async def is_split(client: CommandClient, shard: str, webhook: StoredMessage) -> bool:
    """Say whether the processors are done with a webhook; raises StoreError."""
    subject = RawSubject.parse(webhook.subject)
    found = await list_consumers(client, stream_name(StreamKind.RAW, shard))
    own = found.get(consumer_name("split", subject.lane, subject.partition))
    return own is not None and webhook.sequence <= own.ack_floor.stream_seq


async def preview(
    client: CommandClient, shard: str, webhook: StoredMessage, cut: CutWebhook
) -> SplitPreview:
    """Say what would come of splitting a webhook again; raises StoreError."""
    items = WebhookItems(client, shard, webhook, cut, to="-")
    known = [each.claimed_at > 0 async for page in items.cut_again() for each in page]
    return SplitPreview(known=sum(known), new=len(known) - sum(known))


async def split_again(
    client: CommandClient, shard: str, webhook: StoredMessage
) -> DeadLetterOutcome:
    """Store a webhook once more to be split.

    Raises:
        StoreError: where NATS does not answer or does not store.
    """
    if RawSubject.parse(webhook.subject).lane is Lane.INVALID:
        bodies = InvalidBodies(client, (shard,))
        return await bodies.replay(bodies.letter(webhook))
    headers = {
        **webhook.headers,
        # Of this call: the first store had another, and so has a replay before this one.
        envelope.MESSAGE_ID: f"again-{webhook.sequence}-{secrets.token_hex(8)}",
    }
    await store_message(client, webhook.subject, webhook.payload, headers)
    return DeadLetterOutcome.REPLAYED


class WebhookItems(ItemReplay):
    """The items of one webhook, to be delivered again."""

    def __init__(
        self,
        client: CommandClient,
        shard: str,
        webhook: StoredMessage,
        cut: CutWebhook,
        *,
        to: str,
        whole: bool = False,
    ) -> None:
        """Prepare.

        Args:
            client: A connected client.
            shard: Where it is.
            webhook: The message of RAW.
            cut: What it holds.
            to: The destination that gets the items.
            whole: Whether it gets one item, the whole webhook, in their place.
        """
        super().__init__(client, (shard,), to)
        self._shard = shard
        self._webhook = webhook
        self._endpoint: EndpointName = RawSubject.parse(webhook.subject).endpoint
        self._items = [cut.whole] if whole else cut.items
        self._lane = lane_of_items(cut.items)
        """That of the whole."""

    @override
    async def find(
        self, wanted: DeadLetterFilter, after: StreamPlace | None = None
    ) -> AsyncIterator[list[DeadLetter]]:
        """Yield the items that are meant; raises StoreError."""
        del after  # it is no stream
        async for page in self.cut_again():
            yield [each for each in page if wanted.matches(each)]

    async def cut_again(self) -> AsyncIterator[list[WantedAgain]]:
        """Yield all items, as EVENTS holds them where it does; raises StoreError."""
        for start in range(0, len(self._items), AT_ONCE):
            items = self._items[start : start + AT_ONCE]
            stored = await self._stored(items)
            # What has a known key and other content was stored as a variant of it.
            items = [
                variant_of(item) if _is_other(item, stored.get(str(self._claim(item)))) else item
                for item in items
            ]
            stored |= await self._stored([each for each in items if each.variant])
            yield list(self._wanted(items, stored, start))

    def _wanted(
        self, items: Sequence[Item], stored: dict[str, StoredMessage], start: int
    ) -> Iterator[WantedAgain]:
        for number, item in enumerate(items, start + 1):
            claim = self._claim(item)
            own = stored.get(str(claim))
            payload = encode_item(item) if own is None else own.payload
            yield wanted_again(
                claim,
                self.to,
                item=readable_item(payload),
                payload=payload,
                headers=self._headers(item) if own is None else own.headers,
                stored_at=self._webhook.stored_at if own is None else own.stored_at,
                claimed_at=0 if own is None else own.sequence,
                number=number,
            )

    def _claim(self, item: Item) -> EventSubject:
        is_whole = item.kind == BODY_KIND
        return EventSubject(
            self._shard,
            conversation_partition(self._endpoint, item.conversation, self._shard),
            self._lane if is_whole else item.lane,
            self._endpoint,
            item.kind,
            item.token,
        )

    def _headers(self, item: Item) -> dict[str, str]:
        """Return the headers of an item that EVENTS does not hold, as a processor gives them."""
        given = self._webhook.headers
        headers: dict[str, str] = {
            name: given[name]
            for name in (envelope.RECEIVED_AT, envelope.TRACEPARENT)
            if name in given
        }
        return {
            **headers,
            envelope.ENDPOINT: str(self._endpoint),
            envelope.RAW_SEQUENCE: str(self._webhook.sequence),
            envelope.CONVERSATION: item.conversation,
        }

    async def _stored(self, items: Sequence[Item]) -> dict[str, StoredMessage]:
        if not items:
            return {}
        subjects = [str(self._claim(item)) for item in items]
        stream = stream_name(StreamKind.EVENTS, self._shard)
        return {each.subject: each for each in await read_last(self.client, stream, subjects)}


def _is_other(item: Item, stored: StoredMessage | None) -> bool:
    digest = None if stored is None else stored.headers.get(envelope.DIGEST)
    return digest is not None and digest != item.digest
