"""The processor's engine: joins its shards, works the partitions that it gets, and leaves in order.

It works in sessions, one for each connection to NATS. A session begins by taking over every
consumer of the partitions that are ours: all that was handed out and not acked comes again, in
order, before anything newer. What the process knows outlives a session: what is in flight, what is
finished, what waits in RETRY. Who owns which partition is agreed on by all processors of a shard
(docs/design/0005).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import structlog

from forebay.core.subjects import Lane
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.log_once import AGAIN_SECONDS, LATE_SECONDS, LogOnce
from forebay.runtime.periodic import periodically
from forebay.runtime.supervise import end_tasks, run_until, to_the_end
from forebay_processor.adapters.connection import Connection, Session
from forebay_processor.delivery.failing_destinations import troubles_of
from forebay_processor.delivery.parked_report import parked_by_endpoint
from forebay_processor.delivery.queue_figures import figures_of
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.scaling_backlog import parked_deliverable
from forebay_processor.delivery.stream_sizes import StreamSizes
from forebay_processor.destination_metrics import DestinationFigures
from forebay_processor.destinations.registry import Destinations
from forebay_processor.maintenance.nats_watchdog import Watchdog
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition_factory import PartitionFactory
from forebay_processor.ownership.shard import ShardRunner
from forebay_processor.settings import ProcessorSettings
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.partition_view import StoredRow
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Engine"]

_log = structlog.get_logger(__name__)

BEGIN_PAUSE_SECONDS: Final = 1.0
"""Between two tries to begin a session."""

LEAVE_SECONDS: Final = 3.0
"""After the time for attempts: for acks, and for the update of the table of leases."""

STORES_AT_ONCE: Final = 512
"""Rows and dead letters on their way to NATS: more would only wait there, and time out."""

DELETES_AT_ONCE: Final = 64
"""Rows that are being deleted: more are no quicker, and NATS needs memory for each."""


class Engine:
    """Runs all that one processor does on the streams."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        settings: ProcessorSettings,
        shards: tuple[str, ...],
        publisher: Publisher,
        endpoints: Endpoints,
        destinations: Destinations,
        metrics: ProcessorMetrics,
        time: StreamTime,
        me: str,
        listener_id: str,
    ) -> None:
        """Prepare; nothing happens before `run`.

        Args:
            settings: How to work.
            shards: What to work.
            publisher: Publishes over a connection of its own.
            endpoints: What the tables say.
            destinations: Makes ports.
            metrics: Where all is counted.
            time: What time it is for items.
            me: An id that no other process has, or had.
            listener_id: Where this process listens, such that no two live ones can have the same.
        """
        self.connection = Connection(publisher)
        self.watchdog = Watchdog(settings.watchdog_seconds)
        self._settings = settings
        self._time = time
        self._factory = PartitionFactory(
            settings,
            publisher,
            endpoints,
            DestinationQueues(endpoints, destinations, metrics, time),
            self,
            metrics,
            self.watchdog.answered,
        )
        self.shards = [ShardRunner(name, me, listener_id, self._factory) for name in shards]
        self._stores = asyncio.Semaphore(STORES_AT_ONCE)
        self._deletes = asyncio.Semaphore(DELETES_AT_ONCE)
        self._stopping = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether it has joined its shards and works what it got."""
        return all(shard.is_ready for shard in self.shards)

    @property
    def troubles(self) -> list[str]:
        """What is missing, or does not answer, though it did before; in words."""
        return [text for shard in self.shards for text in shard.troubles]

    # -- what others ask

    @property
    def queues(self) -> DestinationQueues:
        """The queues of all destinations."""
        return self._factory.queues

    def members(self) -> set[str]:
        """Return the ids of all processors that the tables of its shards name."""
        return {member for shard in self.shards for member in shard.table.members}

    def owned(self, kind: str) -> int:
        """Return how many partitions of a kind (`raw`, `event`) are owned."""
        return sum(
            partition.kind == kind for shard in self.shards for partition in shard.partitions
        )

    def lag(self, lane: Lane) -> tuple[int, float]:
        """Return how many items of a lane wait, and the age of the oldest in seconds."""
        lags = [
            runner.handler.lag()
            for shard in self.shards
            for partition in shard.partitions
            for runner in partition.consumers.runners
            if runner.lane is lane
        ]
        oldest = min((each.oldest for each in lags if each.oldest is not None), default=None)
        age = 0.0 if oldest is None else max(0.0, self._time.now() - oldest)
        return sum(each.items for each in lags), age

    def load(self) -> dict[str, object]:
        """Return what is owned and what waits, for the admin port."""
        return {
            "shards": {
                shard.name: {
                    "members": len(shard.table.members),
                    "partitions": sorted(each.partition_id for each in shard.partitions),
                }
                for shard in self.shards
            },
            "lanes": {
                str(lane): dict(zip(("items", "oldest_seconds"), self.lag(lane), strict=True))
                for lane in Lane
            },
            "deliverable": self._deliverable(),
        }

    def _deliverable(self) -> dict[str, object]:
        """Return what more processors would deliver sooner."""
        items, oldest = parked_deliverable(self._factory.queues)
        for lane in Lane:
            lag, age = self.lag(lane)
            items, oldest = items + lag, max(oldest, age)
        return {"items": items, "oldest_seconds": oldest}

    def destinations(self) -> Iterator[DestinationFigures | None]:
        """Return how each destination is, for the metrics; at each None others have their turn."""
        return figures_of(self._factory.queues)

    # -- RETRY as a table, and DEAD (`PartitionStore`)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row or a dead letter; raises StoreError."""
        async with self._stores:
            return await self.connection.publisher.publish(
                subject, payload, headers, self._settings.store_seconds
            )

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Find claims in EVENTS; raises StoreError."""
        return await self.connection.streams.claims(stream, subjects)

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of items in EVENTS, of those that are there; raises StoreError."""
        return await self.connection.streams.digests(stream, sequences)

    async def first_row(self, stream: str, subjects: str, after: int) -> StoredRow | None:
        """Return the first row above a sequence, as the leader has it; raises StoreError."""
        return await self.connection.streams.first_row(stream, subjects, after)

    async def next_rows(
        self, stream: str, subjects: str, after: int, limit: int, up_to: int = 0
    ) -> list[StoredRow]:
        """Return the next rows in order, as any replica has them; raises StoreError."""
        return await self.connection.pages.rows(stream, subjects, after, limit, up_to)

    async def row_at(self, stream: str, sequence: int) -> StoredRow | None:
        """Return a row as the leader has it; raises StoreError."""
        return await self.connection.streams.row_at(stream, sequence)

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a row; raises StoreError."""
        async with self._deletes:
            await self.connection.streams.delete(stream, sequence)

    async def purge(self, stream: str, subject: str, below: int) -> None:
        """Remove what a subject holds below a sequence; raises StoreError."""
        await self.connection.streams.purge_below(stream, below, subject)

    def open_breakers(self) -> list[dict[str, str | float | None]]:
        """Return what there is to know of each destination that nothing is sent to."""
        return self._factory.queues.open_breakers()

    def troubles_of_destinations(self) -> dict[str, object]:
        """Return what there is to know of destinations that fail, and who is paused."""
        return troubles_of(self._factory.queues)

    def parked(self) -> dict[str, object]:
        """Return what waits in RETRY by endpoint, for the operator."""
        return {"parked": parked_by_endpoint(self._factory.queues)}

    # -- life

    async def run(self) -> None:
        """Work whenever there is a connection; until `stop`, or until NATS is gone for too long."""
        acking = asyncio.create_task(self._factory.acker.run(), name="acks")
        working = asyncio.create_task(self._work_sessions(), name="sessions")
        watching = asyncio.create_task(self.watchdog.watch(), name="watchdog")
        tidying = asyncio.create_task(
            self._factory.queues.run(self._settings.keep_gone_seconds), name="queues"
        )
        logging = asyncio.create_task(
            periodically(self._factory.settle_log, LATE_SECONDS), name="log"
        )
        tasks: tuple[asyncio.Task[Any], ...] = (acking, working, watching, tidying, logging)
        try:
            await run_until(self._stopping, tasks)
            for task in (acking, working, tidying, logging):
                if task.done():
                    task.result()
            if not watching.done():
                await self._leave(working)
        finally:
            await to_the_end(end_tasks(set(tasks)))
            await to_the_end(self._factory.close())
            self._factory.settle_log(everything=True)

    def stop(self) -> None:
        """Make `run` end: attempts under way end first, and JetStream gets their acks."""
        self._stopping.set()

    async def _leave(self, working: asyncio.Task[None]) -> None:
        """Hand over everything; steps are taken by `working` meanwhile."""
        leaving = asyncio.create_task(self._leave_shards(), name="leave")
        await asyncio.wait(
            {working, leaving},
            timeout=self._settings.stop_seconds + LEAVE_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not leaving.done() or not leaving.result():
            # What is ours in the table is taken by others in some seconds.
            _log.warning("shutdown_incomplete")
        await end_tasks({leaving})
        if working.done():
            working.result()

    async def _leave_shards(self) -> bool:
        return all(await asyncio.gather(*(shard.leave() for shard in self.shards)))

    async def _work_sessions(self) -> None:
        missing = LogOnce(AGAIN_SECONDS)
        while True:
            try:
                session = await self.connection.begin()
            except StoreError as error:
                if missing.is_due():
                    _log.warning("engine_cannot_begin", reason=str(error))
                await asyncio.sleep(BEGIN_PAUSE_SECONDS)
                continue
            missing.reset()
            await self._work_session(session)

    async def _work_session(self, session: Session) -> None:
        lost: asyncio.Task[Any] = asyncio.create_task(session.lost.wait(), name="lost")
        tasks = {lost}
        for shard in self.shards:
            tasks.add(asyncio.create_task(shard.work(session), name=f"shard-{shard.name}"))
            sizes = StreamSizes(session.streams, shard.name, self.queues.shares.of(shard.name))
            tasks.add(asyncio.create_task(sizes.run(), name=f"sizes-{shard.name}"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await to_the_end(end_tasks(tasks))
