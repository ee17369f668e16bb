"""Splits webhooks: from RAW to EVENTS, one message for each item, each stored once.

One `Splitter` works one lane of one partition of RAW. Storing is claiming: EVENTS takes one message
for each item, so one that was seen within the window is refused, and that is how a repeat ends
(`repeat_check`).

Order: webhooks are cut in the order of RAW, into waves of some hundred items; a wave is stored
(`item_storing`) before anything of the next one is sent; that one is cut meanwhile. What could
not be stored is tried again in place: nothing newer overtakes it.

What is held in memory: the bodies of one pull; of large ones, those that `Room` lets be taken apart
at a time; two waves. Not what a body expands to. A body of 12,000 items is cut in turns of some
milliseconds, in which leases are renewed and others deliver.

If the process dies, or the connection is lost: before an item is stored, its webhook is unacked and
comes again, with all that came after it; after some items are stored, it comes again too and their
claims refuse them; after the ack all are stored. A webhook that comes again while it is still being
cut (it took longer than the ack wait) is passed over.

What cannot be split, for a fault of the body or of the parser, or because it is beyond what a body
may hold, and what there is no room for behind a destination that is down (`delivery/shares`), is
set aside in the lane `invalid` with its reason: it must neither be lost nor stop those that wait
behind it. It is acked when its copy is stored, and comes again where there is no room for
one. Dies between the two: there are two copies, and a replay of both delivers each item once.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.invalid_reasons import InvalidReason
from forebay.core.subjects import Lane, RawSubject, StreamKind, stream_name
from forebay.core.tables import ProcessorEndpoint
from forebay.core.trace_context import trace_id_of
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay.runtime.jetstream.puller import BATCH_BYTES
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.partition_view import Lag, Partition
from forebay_processor.shared.recently_acked import RecentlyAcked
from forebay_processor.shared.redelivery_order import DELAY_SECONDS, RedeliveryOrder
from forebay_processor.splitting.body_limits import CutFailed
from forebay_processor.splitting.body_log import BodyLog
from forebay_processor.splitting.claims_elsewhere import ClaimsElsewhere
from forebay_processor.splitting.cutting import Cutter, Part, Webhook, is_quick
from forebay_processor.splitting.item_records import record_stored
from forebay_processor.splitting.item_storing import ItemOutcome, PartitionLost, Storage, WaveStore
from forebay_processor.splitting.large_body_scheduler import TURN_SECONDS, Room, Turns
from forebay_processor.splitting.repeat_check import ClaimJudge, KnownItems
from forebay_processor.splitting.split_traces import begin_split, failed_split

__all__ = ["Splitter", "SplitterTools"]

WAVE_ITEMS: Final = 500
"""Items of a wave. They wait for their answers together, so more would only take more memory."""

WAVE_BYTES: Final = 512 * 1024
"""Of payloads in a wave; one item can be larger. There are 64 splitters, each with two waves."""


class Batches(Protocol):
    """Where webhooks come from: a part of `Puller`."""

    consumer: str
    pending: int

    async def next_batch(self) -> list[PulledMessage]:
        """Return what has arrived, at least one message; waits for it."""


class Publishing(Storage, Protocol):
    """Where items and copies of webhooks are stored: a part of `Publisher`."""

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> PubAck:
        """Store a message; raises StoreError."""


class SplitterTools:
    """What the splitters of a process share."""

    def __init__(  # noqa: PLR0913, PLR0917  # its parts, each one thing
        self,
        publisher: Publishing,
        endpoints: Endpoints,
        metrics: ProcessorMetrics,
        cutter: Cutter,
        room: Room,
        store_seconds: float,
        is_held: Callable[[EndpointName], bool],
    ) -> None:
        self.publisher = publisher
        self.endpoints = endpoints
        self.metrics = metrics
        self.cutter = cutter
        self.room = room
        self.store_seconds = store_seconds
        self.is_held = is_held
        """Whether what comes for an endpoint is set aside: RETRY and DEAD take no more of it."""

        self.turn_seconds = TURN_SECONDS
        """How long a body is cut before others get their turn."""

        self.known = KnownItems()
        self.log = BodyLog(time.monotonic)


class Splitter:
    """Works one lane of one partition of RAW."""

    def __init__(
        self, partition: Partition, tools: SplitterTools, recently_acked: RecentlyAcked
    ) -> None:
        self._partition = partition
        self._tools = tools
        self._metrics = tools.metrics
        self._recently_acked = recently_acked
        self._waves = WaveStore(
            partition,
            tools.publisher,
            ClaimJudge(partition, tools.known),
            ClaimsElsewhere(partition, tools.endpoints.other_shards),
            tools.store_seconds,
        )
        self._redelivery_order = RedeliveryOrder()
        self._open: dict[int, Webhook] = {}
        """Webhooks that came and are not answered, by sequence, in the order in which they came."""

        self._pending = 0

    async def run(self, puller: Batches) -> None:
        """Split what comes; until cancelled, or until the partition is somebody else's."""
        with contextlib.suppress(PartitionLost):
            try:
                async with asyncio.TaskGroup() as group:
                    wave = _Wave(group, functools.partial(self._store, puller.consumer))
                    while True:
                        messages = await puller.next_batch()
                        self._pending = puller.pending
                        await self._split_batch(messages, wave)
            except BaseExceptionGroup as errors:
                # Of two tasks that end with each other: the one that failed says why.
                raise errors.exceptions[0] from None
            finally:
                self._open.clear()

    def lag(self) -> Lag:
        """Return what waits to be split."""
        oldest = next(iter(self._open.values()), None)
        return Lag(
            self._pending + len(self._open),
            None if oldest is None else oldest.message.stored_at / 1e9,
        )

    # -- cutting

    async def _split_batch(self, messages: Sequence[PulledMessage], wave: "_Wave") -> None:
        turns = Turns(self._tools.turn_seconds)
        for webhook in [taken for each in messages if (taken := await self._take(each))]:
            if webhook.subject.lane is Lane.INVALID and envelope.REASON in webhook.message.headers:
                await self._keep(webhook, webhook.message.headers[envelope.REASON])
                continue
            endpoint = await self._endpoint_of(webhook)
            if endpoint is not None and self._tools.is_held(endpoint.endpoint):
                webhook.failure, webhook.is_cut = InvalidReason.NO_ROOM, True
                await self._finish(webhook)
            elif endpoint is not None:
                await self._split(webhook, endpoint, wave, turns)
                await turns.breathe()
        await wave.send()

    async def _take(self, message: PulledMessage) -> Webhook | None:
        """Take a message in hand, unless it is or was here before."""
        if message in self._recently_acked:
            self._metrics.redelivered()
            await message.ack()
            return None
        if message.sequence in self._open:
            return None
        try:
            subject = RawSubject.parse(message.subject)
        except ValueError:
            # No part of Forebay writes such a thing, and it must not stop those who wait behind it.
            self._tools.log.strays.subject("raw", message.sequence)
            await message.ack()
            return None
        webhook = self._open[message.sequence] = Webhook(message, subject)
        if self._metrics.tracer is not None:
            webhook.split = begin_split(self._metrics.tracer, message.headers)
        return webhook

    async def _split(
        self, webhook: Webhook, endpoint: ProcessorEndpoint, wave: "_Wave", turns: Turns
    ) -> None:
        """Cut a webhook and hand its items on."""
        cutter = self._tools.cutter
        try:
            body = cutter.small_content(webhook.message)
            if body is not None and is_quick(body):
                for part in cutter.quick_parts(webhook, body, endpoint):
                    await wave.add(part)
            else:
                # What a compressed body comes to is not known before: room for all it may.
                most = cutter.most_bytes(webhook.message) if body is None else len(body)
                async with self._tools.room.of(most):
                    if body is None:
                        body = await cutter.content(webhook)
                    for step in cutter.parts(webhook, body, endpoint):
                        if step is not None:
                            await wave.add(step)
                        await turns.breathe()
                    if len(body) > BATCH_BYTES:
                        # It is in hand until its items are stored: while EVENTS is full, others
                        # would come and be in hand as well.
                        await wave.send()
                        await wave.stored()
        except CutFailed as failed:
            webhook.failure = failed.reason
            if failed.reason is InvalidReason.CRASHED:
                endpoint_name, sequence = webhook.subject.endpoint, webhook.message.sequence
                self._tools.log.crashed(endpoint_name, sequence, failed.place)
        webhook.is_cut = True
        await self._finish(webhook)

    async def _endpoint_of(self, webhook: Webhook) -> ProcessorEndpoint | None:
        """Return the endpoint, or answer the message where there is none to split it for."""
        message, subject = webhook.message, webhook.subject
        name, sequence = subject.endpoint, message.sequence
        endpoint = self._tools.endpoints.find(name)
        now = asyncio.get_running_loop().time()
        if endpoint is None and self._tools.endpoints.is_deleted(name):
            self._redelivery_order.back(name, sequence)
            self._metrics.webhook(name, subject.lane, "dropped")
            await self._ack(webhook)
            return None
        if endpoint is None or self._redelivery_order.is_behind(name, sequence, now):
            is_known = endpoint is not None
            delay = self._redelivery_order.send_back(name, sequence, now, is_known=is_known)
            await self._send_back(webhook, delay)
            return None
        self._redelivery_order.back(name, sequence)
        return endpoint

    # -- storing

    async def _store(self, consumer: str, parts: list[Part]) -> None:
        """Store a wave, and answer the webhooks that have nothing left to store."""
        tracer = self._metrics.tracer
        began = 0.0 if tracer is None else tracer.now()
        for part, outcome in await self._waves.store(parts, consumer):
            webhook = part.webhook
            if outcome is ItemOutcome.TOO_LARGE:
                self._tools.log.too_large(
                    webhook.subject.endpoint, webhook.message.sequence, len(part.payload)
                )
                webhook.failure = InvalidReason.ITEM_TOO_LARGE
            else:
                self._metrics.item(webhook.subject.endpoint, part.lane, part.item.kind, outcome)
                if self._metrics.index is not None:
                    record_stored(self._metrics.index, part, outcome)
            if webhook.split is not None:
                webhook.split.stored(webhook.subject, part.headers, began, part.item.kind, outcome)
            webhook.left -= 1
            await self._finish(webhook)

    # -- answering

    async def _finish(self, webhook: Webhook) -> None:
        """Answer a webhook of which nothing is left to do."""
        if not webhook.is_cut or webhook.left:
            return
        if webhook.failure is not None:
            await self._set_aside(webhook, webhook.failure)
            return
        self._metrics.webhook(webhook.subject.endpoint, webhook.subject.lane, "split")
        await self._ack(webhook)
        self._trace(webhook, None)

    async def _ack(self, webhook: Webhook) -> None:
        self._open.pop(webhook.message.sequence, None)
        self._recently_acked.add(webhook.message)
        await webhook.message.ack()

    def _trace(self, webhook: Webhook, reason: str | None) -> None:
        """Record a webhook that was answered; `reason` where it is kept instead of split."""
        tracer, headers = self._metrics.tracer, webhook.message.headers
        if tracer is None:
            return
        if reason is not None and webhook.split is None:
            webhook.split = failed_split(tracer, headers)
        if webhook.split is not None:
            webhook.split.ended(webhook.subject, webhook.message, reason)

    async def _send_back(self, webhook: Webhook, seconds: float = DELAY_SECONDS) -> None:
        self._open.pop(webhook.message.sequence, None)
        await webhook.message.nak(seconds)

    async def _keep(self, webhook: Webhook, reason: str) -> None:
        """Leave a body where it is, in the lane `invalid`: a splitter, or a receiver, put it there.

        A replay takes the reason off, and then it is cut again.
        """
        subject, message = webhook.subject, webhook.message
        self._metrics.webhook(subject.endpoint, subject.lane, "invalid")
        self._metrics.unreadable(subject.endpoint, reason)
        trace_id = trace_id_of(message.headers)
        self._tools.log.unreadable(subject.endpoint, reason, message.sequence, trace_id)
        await self._ack(webhook)
        self._trace(webhook, reason)

    async def _set_aside(self, webhook: Webhook, reason: InvalidReason) -> None:
        """Keep a body in the lane `invalid`, for its age in RAW."""
        message, subject = webhook.message, webhook.subject
        is_aside = subject.lane is Lane.INVALID
        if is_aside and reason in _SEEN_BY_RECEIVERS:
            await self._keep(webhook, reason)
            return
        headers = dict(message.headers)
        headers[envelope.REASON] = reason
        # Another id than the first store of the same body had, or it would count as a repeat.
        headers[envelope.MESSAGE_ID] = f"invalid-{message.sequence}"
        aside = str(subject._replace(lane=Lane.INVALID))
        await self._waves.check()
        try:
            await self._tools.publisher.publish(
                aside, message.data, headers, self._tools.store_seconds
            )
        except StoreError:
            await self._send_back(webhook)
            return
        await self._ack(webhook)
        self._trace(webhook, reason)
        if is_aside:
            # The copy says why; if this fails, or the process dies, both are listed.
            with contextlib.suppress(StoreError):
                await self._partition.delete(
                    stream_name(StreamKind.RAW, subject.shard), message.sequence
                )


_SEEN_BY_RECEIVERS: Final = frozenset({InvalidReason.NOT_JSON, InvalidReason.NO_ENVELOPE})
"""What a receiver stores in the lane `invalid` at once, without a reason."""


class _Wave:
    """What is cut for the next wave, beside the one that is being stored."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        store: Callable[[list[Part]], Coroutine[Any, Any, None]],
    ) -> None:
        self._group = group
        self._store = store
        self._storing: asyncio.Task[None] | None = None
        self._parts: list[Part] = []
        self._bytes = 0

    async def add(self, part: Part) -> None:
        """Take a part; waits for the wave before where this one is full."""
        part.webhook.left += 1
        self._parts.append(part)
        self._bytes += len(part.payload)
        if len(self._parts) >= WAVE_ITEMS or self._bytes >= WAVE_BYTES:
            await self.send()

    async def send(self) -> None:
        """Have what was cut stored, once the wave before it is."""
        parts, self._parts, self._bytes = self._parts, [], 0
        if not parts:
            return
        await self.stored()
        self._storing = self._group.create_task(self._store(parts))

    async def stored(self) -> None:
        """Wait until all that was sent is stored."""
        if self._storing is not None:
            await self._storing
