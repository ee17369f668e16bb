"""One partition while this process owns it: its state, what of it is under way, and its end.

All that is done for an item carries the `OwnedPartition` that the item came under. The same
partition taken again is another object with another epoch, so nothing of an earlier ownership is
taken for the present one's; and nothing is written for it when its lease is over.

If the process dies, the next owner takes over what is not acked, and finds in RETRY what was
parked.
"""

import asyncio
import enum
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog
from typing_extensions import override

from forebay.core.subjects import StreamKind
from forebay.runtime.fault_place import place_of
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.supervise import end_tasks
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.consumers import PartitionConsumers
from forebay_processor.shared.lease import Lease
from forebay_processor.shared.lease_table import Assignment
from forebay_processor.shared.partition_view import Partition, PartitionStore, StoredRow
from forebay_processor.shared.retention_ages import RetentionAges

__all__ = ["OwnedPartition", "PartitionState"]

_log = structlog.get_logger(__name__)


class PartitionState(enum.Enum):
    """How far this process is with a partition that the table gives to it."""

    LOADING = enum.auto()
    """RETRY was not asked yet whether it holds rows of it."""

    TAKING_OVER = enum.auto()
    """What an owner before us left comes again; rows of RETRY wait for that."""

    RUNNING = enum.auto()
    """All of it is worked. One of RAW begins here: it has no rows."""

    DRAINING = enum.auto()
    """Nothing new begins, what is under way ends: it is given back."""

    LOST = enum.auto()
    """It is somebody else's: nothing is written for it any more."""


class OwnedPartition(Partition):
    """A partition that this process owns, from taking it to giving it back or losing it.

    Its state only goes forward:

        LOADING --found()--> TAKING_OVER --start()--> RUNNING
        any of these --drain()--> DRAINING
        any but LOST --lose()--> LOST

    Beside that it is attached to a session, or waits for the next one: a session that ends changes
    nothing of the state.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        shard: str,
        partition_id: str,
        epoch: int,
        lease: Lease,
        store: PartitionStore,
        ages: RetentionAges,
        queues: DestinationQueues,
        metrics: ProcessorMetrics,
    ) -> None:
        self.consumers = PartitionConsumers(shard, self, queues, metrics)
        self._partition_id = partition_id
        self._epoch = epoch
        self._lease = lease
        self._store = store
        self._ages = ages
        self._queues = queues
        is_raw = self.kind == StreamKind.RAW
        self._state = PartitionState.RUNNING if is_raw else PartitionState.LOADING
        self._before = Assignment()
        self._floor = 0
        self._is_vacant = False
        self._counted_to = 0
        self._closing = asyncio.Event()
        """Set from DRAINING on, for those who pause."""

        self._work: set[asyncio.Task[None]] = set()
        """What `spawn` began."""

    # -- what it is

    @property
    @override
    def partition_id(self) -> str:
        return self._partition_id

    @property
    def kind(self) -> str:
        """Of which stream: `raw` or `event`."""
        return self._partition_id.partition(".")[0]

    @property
    @override
    def number(self) -> int:
        return int(self._partition_id.rpartition(".")[2])

    @property
    @override
    def epoch(self) -> int:
        return self._epoch

    @property
    @override
    def floor(self) -> int:
        return self._floor

    @property
    @override
    def is_vacant(self) -> bool:
        return self._is_vacant

    @property
    @override
    def counted_to(self) -> int:
        return self._counted_to

    def count_to(self, sequence: int) -> None:
        """Note that its rows were counted up to a sequence."""
        self._counted_to = max(self._counted_to, sequence)

    @override
    def is_void(self, epoch: int | None, sequence: int) -> bool:
        if epoch is None:
            return False
        before = self._before
        return (epoch < before.loaded and sequence > before.floor) or (
            epoch < self._epoch and sequence > self._floor
        )

    @property
    @override
    def ages(self) -> RetentionAges:
        return self._ages

    # -- its state

    @property
    def is_loaded(self) -> bool:
        """Whether RETRY was asked what it holds of it."""
        return self._state is not PartitionState.LOADING

    @property
    @override
    def is_started(self) -> bool:
        return self._state is PartitionState.RUNNING

    @property
    @override
    def is_closing(self) -> bool:
        return self._state in {PartitionState.DRAINING, PartitionState.LOST}

    @property
    @override
    def is_lost(self) -> bool:
        return self._state is PartitionState.LOST

    @property
    @override
    def remaining(self) -> float:
        return 0.0 if self.is_lost else self._lease.remaining

    def found(self, before: Assignment, floor: int, *, is_vacant: bool) -> None:
        """Take what RETRY was like when this ownership began.

        Args:
            before: What the table of leases said of the partition's last owner.
            floor: RETRY's last sequence.
            is_vacant: Whether it held no row of the partition.
        """
        self._before, self._floor, self._is_vacant = before, floor, is_vacant
        self._counted_to = floor if is_vacant else 0
        if self._state is PartitionState.LOADING:
            self._state = PartitionState.TAKING_OVER

    def start(self) -> None:
        """Let rows of RETRY be worked from now on."""
        if self._state is PartitionState.TAKING_OVER:
            self._state = PartitionState.RUNNING

    def lose(self) -> None:
        """Note that the partition is somebody else's: what is under way ends without a trace."""
        self._state = PartitionState.LOST
        self._closing.set()
        self._lease.changed()

    # -- what work on items needs

    @override
    async def held(self) -> bool:
        while not self.is_lost:
            if self._lease.is_valid:
                return True
            await self._lease.wait_change()
        return False

    @override
    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        if self.remaining <= 0:
            message = "the partition's lease is over"
            raise StoreUnavailable(message)
        return await self._store.publish(subject, payload, headers)

    @override
    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        return await self._store.claims(stream, subjects)

    @override
    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        return await self._store.digests(stream, sequences)

    @override
    async def first_row(self, stream: str, subjects: str, after: int) -> StoredRow | None:
        return await self._store.first_row(stream, subjects, after)

    @override
    async def next_rows(
        self, stream: str, subjects: str, after: int, limit: int, up_to: int = 0
    ) -> list[StoredRow]:
        return await self._store.next_rows(stream, subjects, after, limit, up_to)

    @override
    async def row_at(self, stream: str, sequence: int) -> StoredRow | None:
        return await self._store.row_at(stream, sequence)

    @override
    async def delete(self, stream: str, sequence: int) -> None:
        await self._store.delete(stream, sequence)

    @override
    async def purge(self, stream: str, subject: str, below: int) -> None:
        await self._store.purge(stream, subject, below)

    @override
    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work_ended)

    @override
    async def pause(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return True
        return False

    async def finish(self, seconds: float) -> None:
        """Wait until what is under way has ended; what takes longer is cut off and comes again."""
        clock = asyncio.get_running_loop().time
        ends = clock() + seconds
        while self._work:
            # What ends may leave something to be done, such as a row to be deleted.
            await asyncio.wait(self._work, timeout=max(0.0, ends - clock()))
            if clock() >= ends:
                await end_tasks(set(self._work))

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours: said loudly, and the item is delivered again after a restart.
            _log.error("work_crashed", error=place_of(error))

    # -- giving it back

    async def drain(self, seconds: float) -> None:
        """End all work on it in order: what was begun ends, and the server knows of it."""
        self._close()
        await self.consumers.detach_for_good()
        self._queues.drop(self)
        await self.finish(seconds)
        # What failed at last was parked.
        self._queues.drop(self)

    async def abandon(self) -> None:
        """End all work on it at once: it is somebody else's."""
        session = self.consumers.session
        self.lose()
        self._queues.drop(self)
        await self.consumers.detach_for_good()
        self._queues.drop(self)
        if session is not None:
            await self.consumers.give_back(session)

    def _close(self) -> None:
        """Let nothing new begin; what is under way goes on."""
        if not self.is_lost:
            self._state = PartitionState.DRAINING
        self._closing.set()
