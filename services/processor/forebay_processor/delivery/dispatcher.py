"""Delivers items: from EVENTS to every destination that wants them.

One `Dispatcher` works one lane of one partition of EVENTS. It hands each item to the queues of its
endpoint in the order of the stream, and acks it when every one of them has it delivered, dead or
parked. It waits for a destination only while that one is quick and has very much in memory already.

If the process dies, all that is not acked comes again, in order. If the connection is lost, the
same; what is in flight here is known by its sequence and goes on as if nothing had been.
"""

import asyncio

from forebay.core import envelope
from forebay.core.dead_letters import DeadReason
from forebay.core.index_records import IndexOutcome
from forebay.core.subjects import EventSubject, RetrySubject
from forebay.core.tables import Destination, ProcessorEndpoint
from forebay.core.trace_context import trace_id_of
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay.runtime.jetstream.puller import Puller
from forebay_processor.delivery.attempt import attempt_of
from forebay_processor.delivery.dead_letters import EVERY, dead_letter
from forebay_processor.delivery.entry import PendingDelivery
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.status_order import status_query, superseded
from forebay_processor.delivery.untried_records import record_untried
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.partition_view import Lag, Partition
from forebay_processor.shared.recently_acked import RecentlyAcked
from forebay_processor.shared.redelivery_order import RedeliveryOrder
from forebay_processor.shared.routing import destinations_wanting

__all__ = ["Acker", "Dispatcher"]


class Acker:
    """Acks what is finished, in the order in which it was finished; one for the process."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[PulledMessage, list[PendingDelivery]]] = asyncio.Queue()

    def put(self, message: PulledMessage, works: list[PendingDelivery]) -> None:
        """Ack a message whose works are done."""
        self._queue.put_nowait((message, works))

    async def run(self) -> None:
        """Send acks; until cancelled."""
        while True:
            message, works = await self._queue.get()
            await message.ack()
            for work in works:
                if work.after_ack is not None:
                    work.after_ack()
            self._queue.task_done()

    async def join(self) -> None:
        """Wait until all that was put is sent."""
        await self._queue.join()


class Dispatcher:
    """Works one lane of one partition of EVENTS."""

    def __init__(  # its collaborators, each one thing
        self,
        partition: Partition,
        endpoints: Endpoints,
        queues: DestinationQueues,
        acker: Acker,
        finished: RecentlyAcked,
        metrics: ProcessorMetrics,
    ) -> None:
        self._partition = partition
        self._endpoints = endpoints
        self._queues = queues
        self._acker = acker
        self._finished = finished
        self._metrics = metrics
        self._in_flight: dict[int, PulledMessage] = {}
        self._deferred = RedeliveryOrder()
        self._pending = 0
        self._last_finished: PulledMessage | None = None
        self._left = 0
        """How many messages an owner before us left; 0 when all have come."""

        self._came: set[int] = set()
        """Which of them have come again."""

        self._caught_up = asyncio.Event()

    def expect(self, left: int) -> None:
        """Take how many messages an owner before us left, which come again first."""
        self._left = left
        self._came.clear()
        if left <= 0:
            self._caught_up.set()
        else:
            self._caught_up.clear()

    def _came_again(self, sequence: int) -> None:
        # One may come several times: whoever lost the partition has all handed out again, too.
        if sequence in self._came:
            return
        self._came.add(sequence)
        if len(self._came) >= self._left:
            self.expect(0)

    async def wait_caught_up(self) -> None:
        """Wait until all that was left has come again.

        Before that, RETRY must not be worked, or what waits there could overtake an older item of
        its conversation.
        """
        await self._caught_up.wait()

    async def run(self, puller: Puller) -> None:
        """Deliver what comes; until cancelled, which leaves nothing half handed out."""
        while True:
            batch = await puller.next_batch()
            self._pending = puller.pending
            late = await self._late(batch)
            for message in batch:
                await self._take(message, is_late=message.sequence in late)
                if self._left and message.delivered > 1:
                    self._came_again(message.sequence)
            # The queues' tasks have to get their turn, however fast messages come.
            await asyncio.sleep(0)

    def lag(self) -> Lag:
        """Return what waits to be delivered or parked."""
        first = next(iter(self._in_flight.values()), None)
        oldest = first.stored_at / 1e9 if first is not None else None
        return Lag(self._pending + len(self._in_flight), oldest)

    async def confirm_acks(self, within: float) -> None:
        """Wait until the server has all acks that were sent."""
        if self._last_finished is not None:
            await self._last_finished.confirm(within)

    async def _late(self, batch: list[PulledMessage]) -> set[int]:
        """Return the sequences of the statuses that come after a higher one of their message."""
        queries = [
            asked
            for message in batch
            if (asked := status_query(message, self._endpoints)) is not None
            and message.sequence not in self._in_flight
            and message not in self._finished
        ]
        return await superseded(self._partition, queries)

    async def _take(self, message: PulledMessage, *, is_late: bool) -> None:
        sequence = message.sequence
        if sequence in self._in_flight:
            # It will be acked as what it is now: the newest copy, of the newest connection.
            self._in_flight[sequence] = message
            return
        if message in self._finished:
            self._metrics.redelivered()
            await message.ack()
            return
        try:
            subject = EventSubject.parse(message.subject)
        except ValueError:
            # No part of Forebay writes such a thing, and it must not stop those who wait behind it.
            self._queues.incidents.strays.subject("events", sequence)
            await message.ack()
            return
        endpoint = await self._endpoint_of(message, subject)
        if endpoint is None:
            return
        headers = message.headers
        if is_late and endpoint.status_order == "Monotonic":
            headers = {**headers, envelope.SUPERSEDED: "true"}
        wanting = list(
            destinations_wanting(
                endpoint,
                subject.kind,
                message.data,
                has_body=envelope.BODY in headers,
            )
        )
        routing = [
            (self._queues.of(subject.endpoint, destination.name), destination.name)
            for destination in wanting
            if not destination.filter
            or self._lets_through(endpoint, destination, message, subject, headers)
        ]
        for queue, _ in routing:
            if not queue.knows(self._partition, subject.shard, subject.lane):
                await queue.learn(self._partition, subject.shard, subject.lane)
            if queue.is_crowded:
                await queue.room()
        if not wanting:
            row = self._row(subject, message, "")
            record_untried(self._metrics.index, row, message.data, IndexOutcome.UNWANTED)
        self._hand_out(message, subject, routing, headers)

    def _lets_through(
        self,
        endpoint: ProcessorEndpoint,
        destination: Destination,
        message: PulledMessage,
        subject: EventSubject,
        headers: dict[str, str],
    ) -> bool:
        """Ask a destination's filter; what cannot be read becomes a dead letter at its attempt."""
        item = envelope.readable_item(message.data)
        if item is None:
            return True
        row = self._row(subject, message, destination.name)
        attempt = attempt_of(row, item, headers, endpoint.channel, 1)
        if self._queues.filters.lets_through(destination.filter, attempt):
            return True
        record_untried(self._metrics.index, row, message.data, IndexOutcome.FILTERED)
        return False

    async def _endpoint_of(
        self, message: PulledMessage, subject: EventSubject
    ) -> ProcessorEndpoint | None:
        """Return the endpoint, or answer the message where there is none to deliver it for."""
        name, sequence = subject.endpoint, message.sequence
        endpoint = self._endpoints.find(name)
        if endpoint is not None and not self._deferred.is_any_out:
            return endpoint
        now = asyncio.get_running_loop().time()
        if endpoint is None and self._endpoints.is_deleted(name):
            self._deferred.back(name, sequence)
            await message.ack()
            return None
        if endpoint is None and await self._has_expired(message, subject):
            self._deferred.back(name, sequence)
            await message.ack()
            return None
        if endpoint is None or self._deferred.is_behind(name, sequence, now):
            is_known = endpoint is not None
            await message.nak(self._deferred.send_back(name, sequence, now, is_known=is_known))
            return None
        self._deferred.back(name, sequence)
        return endpoint

    async def _has_expired(self, message: PulledMessage, subject: EventSubject) -> bool:
        """Bury an item that EVENTS is about to forget, and say whether that was done."""
        if self._queues.time.now() < self._partition.ages.item_ends(message.stored_at / 1e9):
            return False
        row = self._row(subject, message, EVERY)
        failure = (DeadReason.EXPIRED, "no table names the endpoint")
        incidents = self._queues.incidents.of(subject.endpoint, EVERY)
        try:
            await dead_letter(
                self._partition, row, message.data, message.headers, 0, failure, self._metrics
            )
        except StoreError as error:
            incidents.store_failed("dead_letter", error)
            return False
        incidents.dead(*failure, subject.key, trace_id_of(message.headers))
        return True

    @staticmethod
    def _row(subject: EventSubject, message: PulledMessage, destination: str) -> RetrySubject:
        return RetrySubject(
            subject.shard,
            subject.partition,
            subject.lane,
            subject.endpoint,
            destination,
            envelope.conversation_of(message.headers, subject.key),
            subject.key,
        )

    def _hand_out(
        self,
        message: PulledMessage,
        subject: EventSubject,
        routing: list[tuple[DestinationQueue, str]],
        headers: dict[str, str],
    ) -> None:
        sequence = message.sequence
        left = len(routing) + 1
        works: list[PendingDelivery] = []

        def one_done() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                newest = self._in_flight.pop(sequence)
                self._finished.add(newest)
                self._last_finished = newest
                self._acker.put(newest, works)

        self._in_flight[sequence] = message
        for queue, destination in routing:
            row = self._row(subject, message, destination)
            stored_at = message.stored_at / 1e9
            work = PendingDelivery(
                self._partition, row, sequence, message.data, headers, one_done, stored_at
            )
            works.append(work)
            queue.offer(work)
        # The one that was counted too many: so that it is not over before all have it.
        one_done()
