"""The processor's engine on one NATS client: takes over, loads RETRY, splits and delivers.

One engine owns all partitions of its shards: one processor at a time is what this version runs.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog
from nats.aio.client import Client

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
from forebay.runtime.pull import PullInbox
from forebay.runtime.store_errors import StoreError, StoreUnavailable
from forebay_processor.adapters.streams import Streams
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.services.channels import Channels
from forebay_processor.services.deliverer import Acker, Deliverer
from forebay_processor.services.delivery import Parked
from forebay_processor.services.endpoints import Endpoints
from forebay_processor.services.finished import Finished
from forebay_processor.services.retention import Retention
from forebay_processor.services.splitter import Splitter
from forebay_processor.settings import ProcessorSettings

__all__ = ["Engine"]

_log = structlog.get_logger(__name__)

CATCH_UP_SECONDS: Final = 15.0
"""The longest wait for what an owner before us left; then RETRY is worked all the same."""

BEGIN_PAUSE_SECONDS: Final = 1.0
"""Between two tries to begin, while streams are missing or have no leader."""


class Engine:
    """Runs all that one processor does on the streams."""

    def __init__(
        self,
        settings: ProcessorSettings,
        shards: tuple[str, ...],
        endpoints: Endpoints,
        destinations: Destinations,
        metrics: ProcessorMetrics,
    ) -> None:
        self._settings = settings
        self._shards = shards
        self._endpoints = endpoints
        self._metrics = metrics
        self._publisher = Publisher()
        self._finished = Finished()
        self._acker = Acker(self._finished)
        self._channels = Channels(endpoints, destinations, self, metrics)
        self._deliverers: list[Deliverer] = []
        self._streams: Streams | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._inbox: PullInbox | None = None
        self._has_client = asyncio.Event()
        self._is_stopping = False
        self.is_running = False
        """Whether it has taken over and works."""

    # -- what channels need (delivery.Table)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row or a dead letter; raises StoreError."""
        return await self._publisher.publish(
            subject, payload, headers, self._settings.store_seconds
        )

    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Read a row; raises StoreError."""
        return await self._own_streams().read(stream, subject)

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a row; raises StoreError."""
        await self._own_streams().delete(stream, sequence)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an attempt beside; after `stop` nothing new begins."""
        if self._is_stopping:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours: said loudly, and the item is delivered again after a restart.
            _log.error("attempt_crashed", exc_info=error)

    # -- the link's listener

    async def connected(self, client: Client) -> None:
        """Take a client: the engine begins when `run` sees it."""
        await self._publisher.bind(client)
        inbox = PullInbox(client)
        await inbox.start()
        self._inbox = inbox
        self._streams = Streams(client)
        self._has_client.set()

    def reconnected(self) -> None:
        """Ask again for messages: the server forgot what was asked before."""
        if self._inbox is not None:
            self._inbox.reconnected()

    def disconnected(self) -> None:
        """Fail what is in flight: nobody will answer it."""
        self._publisher.fail_all("the connection to NATS was lost")

    # -- life

    async def run(self) -> None:
        """Take over, then split and deliver; until cancelled."""
        await self._has_client.wait()
        while True:
            try:
                runners = await self._begin()
                break
            except StoreError as error:
                _log.warning("engine_cannot_begin", reason=str(error))
                await asyncio.sleep(BEGIN_PAUSE_SECONDS)
        self.is_running = True
        _log.info("engine_began", shards=list(self._shards))
        async with asyncio.TaskGroup() as group:
            for runner in runners:
                group.create_task(runner)
            group.create_task(self._acker.run())
            group.create_task(self._work_retry())

    async def stop(self, within: float) -> None:
        """After `run` was cancelled: let attempts end, and tell JetStream of them.

        Args:
            within: Seconds; attempts that take longer are cut off and come again.
        """
        self._is_stopping = True
        if self._work:
            _, cut_off = await asyncio.wait(self._work, timeout=within)
            for task in cut_off:
                task.cancel()
            await asyncio.gather(*cut_off, return_exceptions=True)
        await self._acker.flush_now()

    async def _begin(self) -> list[Coroutine[Any, Any, None]]:
        """Load RETRY, take over every consumer, and return what has to run.

        RETRY is loaded before EVENTS is pulled: an item that comes again and is parked already has
        to be found there.
        """
        streams = self._own_streams()
        runners: list[Coroutine[Any, Any, None]] = []
        self._deliverers.clear()
        for shard in self._shards:
            rows = await self._load_rows(streams, shard)
            _log.info("retry_loaded", shard=shard, rows=rows)
        for shard in self._shards:
            for lane in Lane:
                for partition in range(PARTITIONS):
                    runners += await self._begin_partition(streams, shard, lane, partition)
            retention = Retention(
                streams, shard, self._metrics, self._settings.retention_check_seconds
            )
            runners.append(retention.run())
        return runners

    async def _begin_partition(
        self, streams: Streams, shard: str, lane: Lane, partition: int
    ) -> list[Coroutine[Any, Any, None]]:
        raw, name = stream_name(StreamKind.RAW, shard), consumer_name("split", lane, partition)
        await streams.take_over(raw, name)
        splitter = Splitter(
            self._own_inbox().puller(raw, name, self._settings.batch),
            self._publisher,
            self._endpoints,
            self._metrics,
            self._settings.store_seconds,
        )
        if lane is Lane.INVALID:
            return [splitter.run()]
        events = stream_name(StreamKind.EVENTS, shard)
        name = consumer_name("deliver", lane, partition)
        left = await streams.take_over(events, name)
        deliverer = Deliverer(
            self._own_inbox().puller(events, name, self._settings.batch),
            self._endpoints,
            self._channels,
            self._acker,
            self._finished,
            self._metrics,
        )
        deliverer.expect(left)
        self._deliverers.append(deliverer)
        return [splitter.run(), deliverer.run()]

    async def _load_rows(self, streams: Streams, shard: str) -> int:
        count = 0
        async for text, sequence, headers in streams.all_headers(
            stream_name(StreamKind.RETRY, shard)
        ):
            subject = RetrySubject.parse(text)
            row = Parked(
                subject,
                int(headers.get(envelope.ORDER, "0")),
                int(headers.get(envelope.FIRST_TRIED_AT, "0")) / 1000,
            )
            row.attempts = int(headers.get(envelope.ATTEMPTS, "0"))
            row.due = int(headers.get(envelope.DUE_AT, "0")) / 1000
            row.sequence = sequence
            self._channels.of(subject.endpoint, subject.destination).restore(row)
            count += 1
        return count

    async def _work_retry(self) -> None:
        """Begin to work RETRY when all that was left in EVENTS has come again."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                for deliverer in self._deliverers:
                    await deliverer.wait_caught_up()
        except TimeoutError:
            _log.warning("catch_up_ended_early", seconds=CATCH_UP_SECONDS)
        self._channels.start()

    def _own_streams(self) -> Streams:
        if self._streams is None:
            message = "NATS was not reached yet"
            raise StoreUnavailable(message)
        return self._streams

    def _own_inbox(self) -> PullInbox:
        if self._inbox is None:
            message = "NATS was not reached yet"
            raise StoreUnavailable(message)
        return self._inbox
