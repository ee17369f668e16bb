"""Splits webhooks: from RAW to EVENTS, one message for each item, each stored once.

One `Splitter` works one lane of one partition of RAW. Storing is claiming: EVENTS takes one message
a subject, so an item that was seen within the window is refused, and that is how a repeat ends.

Order: within a batch, the items of a conversation are stored one after the other, each only when
the one before is stored; different conversations go side by side. A batch is finished before the
next one begins, and what could not be stored is tried again in place: nothing newer overtakes it.

If the process dies, or the connection is lost: before an item is stored, its webhook is unacked and
comes again, with all that came after it; after some items are stored, it comes again too and their
claims refuse them; after the ack all are stored.

What cannot be split, for a fault of the body or of the parser, is set aside in the lane `invalid`:
it must neither be lost nor stop those that wait behind it.
"""

import asyncio
import contextlib
from typing import Final, NamedTuple

import structlog

from forebay.core import envelope
from forebay.core.bodies import body_item, lane_of_items
from forebay.core.envelope import encode_item
from forebay.core.errors import ForebayError, UnreadableBody
from forebay.core.items import Item, split
from forebay.core.naming import EndpointName
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RawSubject,
    conversation_partition,
)
from forebay.core.tables import ProcessorEndpoint
from forebay.runtime.outgoing import PubAck
from forebay.runtime.publisher import Publisher
from forebay.runtime.pull import PulledMessage, Puller
from forebay.runtime.store_errors import ClaimedBefore, MessageTooLarge, StoreError
from forebay_processor.errors import place_of
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.deferred import DELAY_SECONDS, Deferred
from forebay_processor.services.endpoints import Endpoints
from forebay_processor.services.finished import Finished
from forebay_processor.services.tenure import Tenure
from forebay_processor.services.wanting import is_body_wanted
from forebay_processor.services.work import Lag

__all__ = ["Splitter"]


class PartitionLost(ForebayError):  # noqa: N818  # a state, not a failure of the program
    """The partition is somebody else's: what is left of the batch is theirs to store."""


_log = structlog.get_logger(__name__)

STALL_SECONDS: Final = (0.2, 5.0)
"""The first and the longest pause before items that could not be stored are tried again."""

BREATH_ITEMS: Final = 500
"""Items that are cut before others get their turn: a batch can hold so many that leases would end
meanwhile."""

WAVE_ITEMS: Final = 1000
"""Items that are sent before the first answer is read: a batch of webhooks can hold 256,000, and
the last of so many would wait for its answer longer than it may."""


class _Part(NamedTuple):
    """One item of a batch, with what it is stored as."""

    webhook: "_Webhook"
    payload: bytes
    kind: str
    lane: Lane
    subject: str
    headers: dict[str, str]
    chain: tuple[EndpointName, str]


class _Webhook:
    """One raw message of a batch and how many of its items are not stored yet."""

    __slots__ = ("is_incomplete", "left", "message", "subject")

    def __init__(self, message: PulledMessage, subject: RawSubject, left: int) -> None:
        self.message = message
        self.subject = subject
        self.left = left
        self.is_incomplete = False
        """Whether an item of it cannot be stored, now or ever."""


class Splitter:
    """Works one lane of one partition of RAW."""

    def __init__(  # its collaborators, each one thing
        self,
        partition: Tenure,
        publisher: Publisher,
        endpoints: Endpoints,
        finished: Finished,
        metrics: ProcessorMetrics,
        store_seconds: float,
    ) -> None:
        self._partition = partition
        self._publisher = publisher
        self._endpoints = endpoints
        self._finished = finished
        self._metrics = metrics
        self._store_seconds = store_seconds
        self._deferred = Deferred()
        self._cutting: list[PulledMessage] = []
        self._storing: list[PulledMessage] = []
        self._pending = 0

    async def run(self, puller: Puller) -> None:
        """Split what comes; until cancelled, or until the partition is somebody else's.

        While one batch is being stored the next one is cut. Nothing of it is sent before all of the
        last one is stored, so that nothing overtakes.
        """
        with contextlib.suppress(PartitionLost):
            try:
                async with asyncio.TaskGroup() as group:
                    storing = group.create_task(asyncio.sleep(0))
                    while True:
                        messages = await puller.next_batch()
                        self._cutting = messages
                        self._pending = puller.pending
                        parts = await self._cut_batch(messages)
                        await storing
                        self._storing, self._cutting = messages, []
                        storing = group.create_task(self._store_batch(parts, puller.consumer))
            except BaseExceptionGroup as errors:
                # Of two tasks that end with each other: the one that failed says why.
                raise errors.exceptions[0] from None
            finally:
                self._storing, self._cutting = [], []

    def lag(self) -> Lag:
        """Return what waits to be split."""
        batches = [*self._storing, *self._cutting]
        oldest = batches[0].stored_at / 1e9 if batches else None
        return Lag(self._pending + len(batches), oldest)

    async def _cut_batch(self, messages: list[PulledMessage]) -> list[_Part]:
        """Return all items of a batch; what needs no storing is answered here."""
        parts: list[_Part] = []
        breath = BREATH_ITEMS
        for message in messages:
            parts += await self._cut(message)
            if len(parts) >= breath:
                breath = len(parts) + BREATH_ITEMS
                await asyncio.sleep(0)
        return parts

    async def _store_batch(self, parts: list[_Part], consumer: str) -> None:
        """Store all items, and ack webhooks that have none left; waits in place where it cannot."""
        shortest, longest = STALL_SECONDS
        pause, is_stalled = shortest, False
        while left := await self._store(parts):
            # EVENTS is full or NATS is away: wait in place, so that nothing overtakes.
            if not is_stalled:
                is_stalled = True
                _log.warning("split_stalled", consumer=consumer, items=len(left))
            pause = shortest if len(left) < len(parts) else min(pause * 2, longest)
            parts = left
            await asyncio.sleep(pause)
        if is_stalled:
            _log.info("split_goes_on", consumer=consumer)
        self._storing = []

    async def _cut(self, message: PulledMessage) -> list[_Part]:
        """Return a webhook's items; what needs no storing is answered here."""
        if message in self._finished:
            self._metrics.redelivered()
            await message.ack()
            return []
        try:
            subject = RawSubject.parse(message.subject)
        except ValueError:
            # No part of Forebay writes such a thing, and it must not stop those who wait behind it.
            _log.error("subject_unreadable", stream="raw", sequence=message.sequence)
            await message.ack()
            return []
        endpoint = await self._endpoint_of(message, subject)
        if endpoint is None:
            return []
        parts: list[_Part] = []
        try:
            parts = self._parts(message, subject, endpoint)
        except UnreadableBody:
            pass
        except Exception as error:  # noqa: BLE001  # a parser's fault must never cost a webhook
            _log.error(
                "split_crashed",
                endpoint=str(subject.endpoint),
                raw_sequence=message.sequence,
                error=place_of(error),
            )
        if not parts:
            await self._set_aside(message, subject)
        return parts

    async def _endpoint_of(
        self, message: PulledMessage, subject: RawSubject
    ) -> ProcessorEndpoint | None:
        """Return the endpoint, or answer the message where there is none to split it for."""
        name, sequence = subject.endpoint, message.sequence
        endpoint = self._endpoints.find(name)
        now = asyncio.get_running_loop().time()
        if endpoint is None and self._endpoints.is_deleted(name):
            self._deferred.back(name, sequence)
            self._metrics.webhook(name, subject.lane, "dropped")
            await self._ack(message)
            return None
        if endpoint is None or self._deferred.is_behind(name, sequence, now):
            self._deferred.send_back(name, sequence, now)
            await message.nak(DELAY_SECONDS)
            return None
        self._deferred.back(name, sequence)
        return endpoint

    async def _check(self) -> None:
        """Go on where the partition is ours, wait while that is not known; else PartitionLost."""
        if not await self._partition.held():
            raise PartitionLost

    async def _ack(self, message: PulledMessage) -> None:
        self._finished.add(message)
        await message.ack()

    def _parts(
        self, message: PulledMessage, subject: RawSubject, endpoint: ProcessorEndpoint
    ) -> list[_Part]:
        """Cut a webhook; raises UnreadableBody."""
        received = message.headers.get(envelope.RECEIVED_AT, "0")
        items = split(endpoint.provider, message.data, int(received) / 1000)
        if not is_body_wanted(endpoint, ((item.kind, item.channel) for item in items)):
            webhook = _Webhook(message, subject, len(items))
            return [self._part(webhook, item, item.lane, received) for item in items]
        whole = body_item(message.data, message.headers, items, int(received) / 1000)
        webhook = _Webhook(message, subject, len(items) + 1)
        return [
            *(self._part(webhook, item, item.lane, received, whole.token) for item in items),
            self._part(webhook, whole, lane_of_items(items), received),
        ]

    def _part(
        self, webhook: _Webhook, item: Item, lane: Lane, received: str, body: str | None = None
    ) -> _Part:
        name = webhook.subject.endpoint
        subject = EventSubject(
            webhook.subject.shard,
            conversation_partition(name, item.conversation),
            lane,
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
        if body is not None:
            headers[envelope.BODY] = body
        chain = (name, item.conversation)
        return _Part(webhook, encode_item(item), item.kind, lane, str(subject), headers, chain)

    async def _set_aside(self, message: PulledMessage, subject: RawSubject) -> None:
        """Keep a body that no parser takes: in the lane `invalid`, for its age in RAW."""
        if subject.lane is not Lane.INVALID:
            headers = dict(message.headers)
            # Another id than the first store of the same body had, or it would count as a repeat.
            headers[envelope.MESSAGE_ID] = f"invalid-{message.sequence}"
            aside = subject._replace(lane=Lane.INVALID)
            await self._check()
            try:
                await self._publisher.publish(
                    str(aside), message.data, headers, self._store_seconds
                )
            except StoreError:
                await message.nak(DELAY_SECONDS)
                return
        else:
            self._metrics.webhook(subject.endpoint, subject.lane, "invalid")
            _log.warning(
                "body_unreadable", endpoint=str(subject.endpoint), raw_sequence=message.sequence
            )
        await self._ack(message)

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
                elif part.chain in in_wave or len(wave) == WAVE_ITEMS:
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
        await self._check()
        answers = await self._publisher.publish_all(
            [(part.subject, part.payload, part.headers) for part in wave], self._store_seconds
        )
        failed: list[_Part] = []
        for part, answer in zip(wave, answers, strict=True):
            match answer:
                case PubAck():
                    await self._stored(part, new=True)
                case ClaimedBefore():
                    await self._stored(part, new=False)
                case MessageTooLarge():
                    await self._too_large(part)
                case StoreError():
                    failed.append(part)
        return failed

    async def _stored(self, part: _Part, *, new: bool) -> None:
        self._metrics.item(part.webhook.subject.endpoint, part.lane, part.kind, new=new)
        await self._one_less(part.webhook)

    async def _too_large(self, part: _Part) -> None:
        """Give up an item that NATS will never take, and keep its whole webhook."""
        _log.error(
            "item_too_large",
            endpoint=str(part.webhook.subject.endpoint),
            raw_sequence=part.webhook.message.sequence,
            bytes=len(part.payload),
        )
        part.webhook.is_incomplete = True
        await self._one_less(part.webhook)

    async def _one_less(self, webhook: _Webhook) -> None:
        webhook.left -= 1
        if webhook.left:
            return
        if webhook.is_incomplete:
            await self._set_aside(webhook.message, webhook.subject)
            return
        self._metrics.webhook(webhook.subject.endpoint, webhook.subject.lane, "split")
        await self._ack(webhook.message)
