"""What all shards and partitions of a process work with, and how a partition is set up from it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from forebay.core.subjects import Lane, StreamKind, consumer_name, stream_name
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.supervise import end_tasks
from forebay_processor.delivery.dispatcher import Acker, Dispatcher
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.consumers import ConsumerRunner
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.settings import ProcessorSettings
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.lease import Lease
from forebay_processor.shared.partition_view import PartitionStore
from forebay_processor.shared.recently_acked import RecentlyAcked
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.splitting.body_limits import BodyLimits
from forebay_processor.splitting.cutting import Cutter
from forebay_processor.splitting.large_body_scheduler import Room
from forebay_processor.splitting.splitter import Splitter, SplitterTools

__all__ = ["PartitionFactory"]

BULK_SHARE: Final = 16
"""Bodies of the lanes `bulk` and `invalid` can be of 3 MB: by so much fewer are asked for."""


class PartitionFactory:
    """Sets up partitions."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        settings: ProcessorSettings,
        publisher: Publisher,
        endpoints: Endpoints,
        queues: DestinationQueues,
        store: PartitionStore,
        metrics: ProcessorMetrics,
        on_answer: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.queues = queues
        self.metrics = metrics
        self.acker = Acker()
        self.on_answer = on_answer
        """To be called whenever NATS answered."""

        self._endpoints = endpoints
        self._tools = SplitterTools(
            publisher,
            endpoints,
            metrics,
            Cutter(
                BodyLimits(
                    settings.max_body_items,
                    settings.max_body_expansion,
                    settings.max_body_values,
                    settings.max_decoded_bytes,
                )
            ),
            Room(settings.large_bodies_bytes),
            settings.store_seconds,
            queues.is_held,
        )
        self._store = store
        self._recently_acked: defaultdict[str, RecentlyAcked] = defaultdict(RecentlyAcked)
        """By stream; it outlives partitions, which can come back."""

        self._members: dict[str, int] = {}
        self._tidying: set[asyncio.Task[None]] = set()

    def partition(
        self, shard: str, partition_id: str, epoch: int, lease: Lease, ages: RetentionAges
    ) -> OwnedPartition:
        """Set up a partition that the table gives to this process."""
        partition = OwnedPartition(
            shard, partition_id, epoch, lease, self._store, ages, self.queues, self.metrics
        )
        make = self._splitting if partition.kind == StreamKind.RAW else self._delivering
        partition.consumers.runners += make(shard, partition)
        return partition

    def shared_by(self, shard: str, members: int) -> None:
        """Note how many processors work a shard: they share what a destination takes at a time."""
        self._members[shard] = members
        self.queues.share(max(1, *self._members.values()))

    def tidy(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside that nobody waits for, before `close`."""
        task = asyncio.create_task(work)
        self._tidying.add(task)
        task.add_done_callback(self._tidying.discard)

    def settle_log(self, *, everything: bool = False) -> None:
        """Log what is due though nothing happens any more; at the process's end, everything."""
        self._tools.log.settle(everything=everything)
        self.queues.incidents.settle(everything=everything)
        self.queues.filters.settle(everything=everything)

    async def close(self) -> None:
        """End what is left beside."""
        await end_tasks(self._tidying)

    def _splitting(self, shard: str, partition: OwnedPartition) -> list[ConsumerRunner]:
        stream = stream_name(StreamKind.RAW, shard)
        batch = self.settings.batch
        small = max(1, batch // BULK_SHARE)
        return [
            ConsumerRunner(
                stream,
                consumer_name("split", lane, partition.number),
                batch if lane in {Lane.LIVE, Lane.STATUS} else small,
                lane,
                Splitter(partition, self._tools, self._recently_acked[stream]),
                self._recently_acked[stream],
            )
            for lane in Lane
        ]

    def _delivering(self, shard: str, partition: OwnedPartition) -> list[ConsumerRunner]:
        stream = stream_name(StreamKind.EVENTS, shard)
        return [
            ConsumerRunner(
                stream,
                consumer_name("deliver", lane, partition.number),
                self.settings.batch,
                lane,
                Dispatcher(
                    partition,
                    self._endpoints,
                    self.queues,
                    self.acker,
                    self._recently_acked[stream],
                    self.metrics,
                ),
                self._recently_acked[stream],
            )
            for lane in Lane
            # Items are never in the invalid lane, only bodies.
            if lane is not Lane.INVALID
        ]
