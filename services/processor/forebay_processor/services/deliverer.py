"""Delivers items: from EVENTS to every destination that wants them.

One `Deliverer` works one lane of one partition of EVENTS. It hands each item to the channels of its
endpoint in the order of the stream, and acks it when every one of them has it delivered, dead or
parked. It never waits for a destination.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from forebay.core import envelope
from forebay.core.envelope import decode_item
from forebay.core.subjects import EventSubject, RetrySubject
from forebay.core.tables import Destination, ProcessorEndpoint
from forebay.runtime.pull import PulledMessage, Puller
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.channels import Channels
from forebay_processor.services.delivery import Work
from forebay_processor.services.endpoints import Endpoints
from forebay_processor.services.finished import Finished

__all__ = ["Acker", "Deliverer"]

UNKNOWN_ENDPOINT_SECONDS: Final = 2.0
"""After this an item of an endpoint that the table does not know comes again."""


class Acker:
    """Acks what is finished, in the order in which it was finished; one for the process."""

    def __init__(self, finished: Finished) -> None:
        self._finished = finished
        self._queue: asyncio.Queue[tuple[PulledMessage, list[Work]]] = asyncio.Queue()

    def put(self, message: PulledMessage, works: list[Work]) -> None:
        """Ack a message whose works are done."""
        self._finished.add(message.sequence)
        self._queue.put_nowait((message, works))

    async def run(self) -> None:
        """Send acks; until cancelled."""
        while True:
            await self._ack(*await self._queue.get())

    async def flush_now(self) -> None:
        """Send what `run`, which was cancelled, has left."""
        while not self._queue.empty():
            await self._ack(*self._queue.get_nowait())

    @staticmethod
    async def _ack(message: PulledMessage, works: list[Work]) -> None:
        await message.ack()
        for work in works:
            if work.after_ack is not None:
                work.after_ack()


class Deliverer:
    """Works one lane of one partition of EVENTS."""

    def __init__(  # its collaborators, each one thing
        self,
        puller: Puller,
        endpoints: Endpoints,
        channels: Channels,
        acker: Acker,
        finished: Finished,
        metrics: ProcessorMetrics,
    ) -> None:
        self._puller = puller
        self._endpoints = endpoints
        self._channels = channels
        self._acker = acker
        self._finished = finished
        self._metrics = metrics
        self._in_flight: set[int] = set()
        self._left = 0
        self._caught_up = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """How many messages are handed out and not acked."""
        return len(self._in_flight)

    def expect(self, left: int) -> None:
        """Tell how many messages an owner before us left, which come again first."""
        self._left = left
        if left <= 0:
            self._caught_up.set()

    async def wait_caught_up(self) -> None:
        """Wait until all that was left has come again: before that, RETRY must not be worked, or
        what waits there could overtake an older item of its conversation.
        """
        await self._caught_up.wait()

    async def run(self) -> None:
        """Deliver what comes; until cancelled."""
        while True:
            for message in await self._puller.next_batch():
                await self._take(message)
                if self._left and message.delivered > 1:
                    self.expect(self._left - 1)
            # The channels' tasks have to get their turn, however fast messages come.
            await asyncio.sleep(0)

    async def _take(self, message: PulledMessage) -> None:
        sequence = message.sequence
        if sequence in self._in_flight:
            return
        if sequence in self._finished:
            self._metrics.redelivered()
            await message.ack()
            return
        subject = EventSubject.parse(message.subject)
        endpoint = self._endpoints.find(subject.endpoint)
        if endpoint is None:
            if self._endpoints.is_deleted(subject.endpoint):
                await message.ack()
            else:
                await message.nak(UNKNOWN_ENDPOINT_SECONDS)
            return
        works = [
            (destination, self._work(message, subject, destination))
            for destination in _wanting(endpoint, subject, message.data)
        ]
        self._in_flight.add(sequence)
        left = len(works)

        def one_done(_: object) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                self._in_flight.discard(sequence)
                self._acker.put(message, [work for _, work in works])

        if not works:
            one_done(None)
        for destination, work in works:
            work.done.add_done_callback(one_done)
            self._channels.of(subject.endpoint, destination.name).offer(work)

    @staticmethod
    def _work(message: PulledMessage, subject: EventSubject, destination: Destination) -> Work:
        row = RetrySubject(
            subject.shard,
            subject.partition,
            subject.lane,
            subject.endpoint,
            destination.name,
            message.headers.get(envelope.CONVERSATION, subject.key[:16]),
            subject.key,
        )
        return Work(row, message.sequence, message.data, message.headers)


def _wanting(
    endpoint: ProcessorEndpoint, subject: EventSubject, payload: bytes
) -> Iterator[Destination]:
    """Return the destinations that want an item."""
    for destination in endpoint.destinations:
        if destination.events and subject.kind not in destination.events:
            continue
        if destination.channels and decode_item(payload).channel not in destination.channels:
            continue
        yield destination
