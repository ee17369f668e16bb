"""Splits webhooks: from RAW to EVENTS, one message for each item, each stored once.

One `Splitter` works one lane of one partition of RAW. Storing is claiming: EVENTS takes one message
a subject, so an item that was seen within the window is refused, and that is how a repeat ends.

Order: within a batch, the items of a conversation are stored one after the other, each only when
the one before is stored; different conversations go side by side. A batch is finished before the
next one begins, and what could not be stored is tried again in place: nothing newer overtakes it.

If the process dies: before an item is stored, its webhook is unacked and comes again; after some
items are stored, it comes again too and their claims refuse them; after the ack all are stored.
"""

import asyncio
from typing import Final, NamedTuple

import structlog

from forebay.core import envelope
from forebay.core.envelope import encode_item
from forebay.core.errors import UnreadableBody
from forebay.core.items import Item, split
from forebay.core.naming import EndpointName
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RawSubject,
    conversation_partition,
)
from forebay.runtime.publisher import Publisher
from forebay.runtime.pull import PulledMessage, Puller
from forebay.runtime.store_errors import ClaimedBefore, StoreError
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.endpoints import Endpoints

__all__ = ["Splitter"]

_log = structlog.get_logger(__name__)

UNKNOWN_ENDPOINT_SECONDS: Final = 2.0
"""After this a webhook of an endpoint that the table does not know comes again: the table is older
than the receiver's, and follows within seconds."""

STALL_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before items that could not be stored are tried again."""


class _Part(NamedTuple):
    """One item of a batch, with what it is stored as."""

    webhook: "_Webhook"
    item: Item
    subject: str
    headers: dict[str, str]
    chain: tuple[EndpointName, str]


class _Webhook:
    """One raw message of a batch and how many of its items are not stored yet."""

    __slots__ = ("left", "message", "subject")

    def __init__(self, message: PulledMessage, subject: RawSubject) -> None:
        self.message = message
        self.subject = subject
        self.left = 0


class Splitter:
    """Works one lane of one partition of RAW."""

    def __init__(
        self,
        puller: Puller,
        publisher: Publisher,
        endpoints: Endpoints,
        metrics: ProcessorMetrics,
        store_seconds: float,
    ) -> None:
        self._puller = puller
        self._publisher = publisher
        self._endpoints = endpoints
        self._metrics = metrics
        self._store_seconds = store_seconds

    async def run(self) -> None:
        """Split what comes; until cancelled."""
        while True:
            await self._split_batch(await self._puller.next_batch())

    async def _split_batch(self, messages: list[PulledMessage]) -> None:
        parts: list[_Part] = []
        for message in messages:
            parts += await self._cut(message)
        pause, longest = STALL_SECONDS
        while parts:
            parts = await self._store(parts)
            if parts:
                # EVENTS is full or NATS is away: wait in place, so that nothing overtakes.
                _log.warning("split_stalled", consumer=self._puller.consumer, items=len(parts))
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)

    async def _cut(self, message: PulledMessage) -> list[_Part]:
        """Return a webhook's items; what needs no storing is answered here."""
        subject = RawSubject.parse(message.subject)
        name = subject.endpoint
        endpoint = self._endpoints.find(name)
        if endpoint is None:
            if self._endpoints.is_deleted(name):
                self._metrics.webhook(name, subject.lane, "dropped")
                await message.ack()
            else:
                await message.nak(UNKNOWN_ENDPOINT_SECONDS)
            return []
        received = message.headers.get(envelope.RECEIVED_AT, "0")
        try:
            items = split(endpoint.provider, message.data, int(received) / 1000)
        except UnreadableBody:
            await self._set_aside(message, subject)
            return []
        webhook = _Webhook(message, subject)
        webhook.left = len(items)
        return [self._part(webhook, item, received) for item in items]

    def _part(self, webhook: _Webhook, item: Item, received: str) -> _Part:
        name = webhook.subject.endpoint
        subject = EventSubject(
            webhook.subject.shard,
            conversation_partition(name, item.conversation),
            item.lane,
            name,
            item.kind,
            item.token,
        )
        headers = {
            envelope.RECEIVED_AT: received,
            envelope.ENDPOINT: str(name),
            envelope.RAW_SEQUENCE: str(webhook.message.sequence),
            envelope.CONVERSATION: item.conversation,
        }
        trace = webhook.message.headers.get(envelope.TRACEPARENT)
        if trace is not None:
            headers[envelope.TRACEPARENT] = trace
        return _Part(webhook, item, str(subject), headers, (name, item.conversation))

    async def _set_aside(self, message: PulledMessage, subject: RawSubject) -> None:
        """Keep a body that no parser takes: in the lane `invalid`, for its age in RAW."""
        if subject.lane is not Lane.INVALID:
            headers = dict(message.headers)
            # Another id than the first store of the same body had, or it would count as a repeat.
            headers[envelope.MESSAGE_ID] = f"invalid-{message.sequence}"
            aside = subject._replace(lane=Lane.INVALID)
            try:
                await self._publisher.publish(
                    str(aside), message.data, headers, self._store_seconds
                )
            except StoreError:
                await message.nak(UNKNOWN_ENDPOINT_SECONDS)
                return
        else:
            self._metrics.webhook(subject.endpoint, subject.lane, "invalid")
            _log.warning(
                "body_unreadable", endpoint=str(subject.endpoint), raw_sequence=message.sequence
            )
        await message.ack()

    async def _store(self, parts: list[_Part]) -> list[_Part]:
        """Store what can be stored, in waves; return what could not, in its order."""
        failed: list[_Part] = []
        stuck: set[tuple[EndpointName, str]] = set()
        while parts:
            wave: list[_Part] = []
            later: list[_Part] = []
            in_wave: set[tuple[EndpointName, str]] = set()
            for part in parts:
                if part.chain in stuck:
                    failed.append(part)
                elif part.chain in in_wave:
                    later.append(part)
                else:
                    in_wave.add(part.chain)
                    wave.append(part)
            for part in await self._store_wave(wave):
                failed.append(part)
                stuck.add(part.chain)
            parts = later
        return failed

    async def _store_wave(self, wave: list[_Part]) -> list[_Part]:
        sent = [
            (
                part,
                self._publisher.send(
                    part.subject, encode_item(part.item), part.headers, self._store_seconds
                ),
            )
            for part in wave
        ]
        failed: list[_Part] = []
        for part, answer in sent:
            try:
                await answer
            except ClaimedBefore:
                await self._stored(part, new=False)
            except StoreError as error:
                _log.debug("item_not_stored", reason=str(error))
                failed.append(part)
            else:
                await self._stored(part, new=True)
        return failed

    async def _stored(self, part: _Part, *, new: bool) -> None:
        webhook = part.webhook
        name, lane = webhook.subject.endpoint, webhook.subject.lane
        self._metrics.item(name, part.item.lane, part.item.kind, new=new)
        webhook.left -= 1
        if webhook.left == 0:
            self._metrics.webhook(name, lane, "split")
            await webhook.message.ack()
