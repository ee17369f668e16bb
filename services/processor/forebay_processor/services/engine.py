"""The processor's engine: takes over, loads RETRY, splits and delivers.

One engine owns all partitions of its shards: one processor at a time is what this version runs.

It works in sessions, one for each connection to NATS. A session begins by taking over every
consumer: all that was handed out and not acked comes again, in order, before anything newer. What
the process knows outlives a session: what is in flight, what is finished, what waits in RETRY.

If the process dies: RETRY is loaded before EVENTS is pulled, so that an item that comes again and
is parked already is found there; and RETRY is worked only when all that was left in EVENTS has come
again and is acked as far as it was parked, so that nothing overtakes an older item and nothing is
delivered from both.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, Final, NamedTuple

import structlog

from forebay.core import envelope
from forebay.core.subjects import (
    PARTITIONS,
    Lane,
    RetrySubject,
    StreamKind,
    consumer_name,
    stream_name,
)
from forebay.runtime.publisher import PubAck, Publisher
from forebay.runtime.pull import Puller
from forebay.runtime.store_errors import StoreError
from forebay_processor.adapters.connection import Connection, Session
from forebay_processor.adapters.streams import Streams
from forebay_processor.destinations.registry import Destinations
from forebay_processor.errors import place_of
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.channels import Channels
from forebay_processor.services.deliverer import Acker, Deliverer
from forebay_processor.services.endpoints import Endpoints
from forebay_processor.services.finished import Finished
from forebay_processor.services.retention import Retention
from forebay_processor.services.splitter import Splitter
from forebay_processor.services.tasks import end_tasks
from forebay_processor.services.work import Parked
from forebay_processor.settings import ProcessorSettings

__all__ = ["Engine"]

_log = structlog.get_logger(__name__)

CATCH_UP_SECONDS: Final = 15.0
"""The longest wait for what an owner before us left; then RETRY is worked all the same."""

BEGIN_PAUSE_SECONDS: Final = 1.0
"""Between two tries to begin, while streams are missing or have no leader."""

STORES_AT_ONCE: Final = 512
"""Rows and dead letters on their way to NATS: more would only wait there, and time out."""

BULK_SHARE: Final = 16
"""Bodies of the lanes `bulk` and `invalid` can be of 3 MB: by so much fewer are asked for."""


class _Worker(NamedTuple):
    """What works one consumer; it outlives sessions."""

    stream: str
    consumer: str
    batch: int
    task: Splitter | Deliverer


class Engine:
    """Runs all that one processor does on the streams."""

    def __init__(
        self,
        settings: ProcessorSettings,
        shards: tuple[str, ...],
        publisher: Publisher,
        endpoints: Endpoints,
        destinations: Destinations,
        metrics: ProcessorMetrics,
    ) -> None:
        self.connection = Connection(publisher)
        self.is_running = False
        """Whether it has taken over and works."""

        self._settings = settings
        self._shards = shards
        self._endpoints = endpoints
        self._metrics = metrics
        self._acker = Acker()
        self._channels = Channels(endpoints, destinations, self, metrics)
        self._workers = [worker for shard in shards for worker in self._make_workers(shard)]
        self._loaded: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._stores = asyncio.Semaphore(STORES_AT_ONCE)
        self._stopping = asyncio.Event()

    # -- what channels need (work.Table)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row or a dead letter; raises StoreError."""
        async with self._stores:
            return await self.connection.publisher.publish(
                subject, payload, headers, self._settings.store_seconds
            )

    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Read a row; raises StoreError."""
        return await self.connection.streams.read(stream, subject)

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a row; raises StoreError."""
        await self.connection.streams.delete(stream, sequence)

    def open_breakers(self) -> list[dict[str, str | int]]:
        """Return what there is to know of each destination that nothing is sent to."""
        return self._channels.open_breakers()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an attempt beside; after `stop` nothing new begins."""
        if self._stopping.is_set():
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)

    async def pause(self, seconds: float) -> bool:
        """Wait; returns False, at once, where the process stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours: said loudly, and the item is delivered again after a restart.
            _log.error("work_crashed", error=place_of(error))

    # -- life

    async def run(self) -> None:
        """Work whenever there is a connection; until `stop`."""
        acking = asyncio.create_task(self._acker.run(), name="acks")
        pulling = asyncio.create_task(self._work_sessions(), name="sessions")
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        tasks: tuple[asyncio.Task[Any], ...] = (acking, pulling, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in (acking, pulling):
                if task.done():
                    task.result()
            # What a splitter has begun is begun again by the next processor: claims know the rest.
            await end_tasks({pulling})
            await self._finish()
        finally:
            await end_tasks(set(tasks))

    def stop(self) -> None:
        """Make `run` end: attempts under way end first, and JetStream is told of them."""
        self._stopping.set()

    async def _finish(self) -> None:
        if self._work:
            # Attempts that take longer are cut off and come again.
            _, cut_off = await asyncio.wait(self._work, timeout=self._settings.stop_seconds)
            await end_tasks(cut_off)
        await self._acker.join()
        await self.connection.flush(stream_name(StreamKind.EVENTS, self._shards[0]))

    async def _work_sessions(self) -> None:
        while True:
            try:
                session = await self.connection.begin()
                await self._take_over(session)
            except StoreError as error:
                _log.warning("engine_cannot_begin", reason=str(error))
                await asyncio.sleep(BEGIN_PAUSE_SECONDS)
                continue
            self.is_running = True
            _log.info("engine_began", shards=list(self._shards))
            await self._work_session(session)

    async def _work_session(self, session: Session) -> None:
        lost: asyncio.Task[Any] = asyncio.create_task(session.lost.wait(), name="lost")
        tasks = {lost, asyncio.create_task(self._start_retry(), name="start-retry")}
        for worker in self._workers:
            running = worker.task.run(self._puller(session, worker))
            tasks.add(asyncio.create_task(running, name=worker.consumer))
        for shard in self._shards:
            retention = Retention(
                session.streams, shard, self._metrics, self._settings.retention_check_seconds
            )
            tasks.add(asyncio.create_task(retention.run(), name="retention"))
        try:
            while not lost.done():
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            await end_tasks(tasks)

    @staticmethod
    def _puller(session: Session, worker: _Worker) -> Puller:
        return session.inbox.puller(worker.stream, worker.consumer, worker.batch)

    async def _take_over(self, session: Session) -> None:
        """Load RETRY once, then make every consumer hand out again what is not acked."""
        for shard in self._shards:
            if shard not in self._loaded:
                rows = await self._load_rows(session.streams, shard)
                self._loaded.add(shard)
                _log.info("retry_loaded", shard=shard, rows=rows)
        left = await asyncio.gather(
            *(session.streams.take_over(each.stream, each.consumer) for each in self._workers)
        )
        for worker, count in zip(self._workers, left, strict=True):
            if isinstance(worker.task, Deliverer):
                worker.task.expect(count)

    def _make_workers(self, shard: str) -> Iterator[_Worker]:
        batch = self._settings.batch
        small = max(1, batch // BULK_SHARE)
        raw, events = stream_name(StreamKind.RAW, shard), stream_name(StreamKind.EVENTS, shard)
        split, delivered = Finished(), Finished()
        for lane in Lane:
            for partition in range(PARTITIONS):
                splitter = Splitter(
                    self.connection.publisher,
                    self._endpoints,
                    split,
                    self._metrics,
                    self._settings.store_seconds,
                )
                yield _Worker(
                    raw,
                    consumer_name("split", lane, partition),
                    batch if lane in {Lane.LIVE, Lane.STATUS} else small,
                    splitter,
                )
                if lane is Lane.INVALID:
                    continue
                deliverer = Deliverer(
                    self._endpoints, self._channels, self._acker, delivered, self._metrics
                )
                yield _Worker(events, consumer_name("deliver", lane, partition), batch, deliverer)

    async def _load_rows(self, streams: Streams, shard: str) -> int:
        count = 0
        stream = stream_name(StreamKind.RETRY, shard)
        async for text, sequence, headers in streams.all_headers(stream):
            try:
                row = _row_of(text, sequence, headers)
            except ValueError:
                _log.error("row_unreadable", shard=shard, seq=sequence)
                continue
            self._channels.of(row.subject.endpoint, row.subject.destination).restore(row)
            count += 1
        return count

    async def _start_retry(self) -> None:
        """Begin to work RETRY when all that was left in EVENTS has come again."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                for worker in self._workers:
                    if isinstance(worker.task, Deliverer):
                        await worker.task.wait_caught_up()
        except TimeoutError:
            _log.warning("catch_up_ended_early", seconds=CATCH_UP_SECONDS)
        await self._acker.join()
        await self.connection.flush(stream_name(StreamKind.EVENTS, self._shards[0]))
        self._channels.start()


def _row_of(text: str, sequence: int, headers: dict[str, str]) -> Parked:
    """Read a row of RETRY; raises ValueError where it is none."""
    row = Parked(
        RetrySubject.parse(text),
        int(headers.get(envelope.ORDER, "0")),
        int(headers.get(envelope.FIRST_TRIED_AT, "0")) / 1000,
    )
    row.attempts = int(headers.get(envelope.ATTEMPTS, "0"))
    row.due = int(headers.get(envelope.DUE_AT, "0")) / 1000
    row.sequence = sequence
    return row
