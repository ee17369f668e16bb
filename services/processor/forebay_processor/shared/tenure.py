"""One partition while this process owns it: what of it is under way, and whether it may go on.

A tenure begins when the table gives the partition to this process and ends when it is given back or
lost; the same partition taken again is another tenure. All that is done for an item carries the
tenure that the item came under, so that nothing of an earlier one is taken for the present one's.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import structlog
from typing_extensions import override

from forebay.runtime.outgoing import PubAck
from forebay.runtime.store_errors import StoreUnavailable
from forebay_processor.errors import place_of
from forebay_processor.shared.lease import Lease
from forebay_processor.shared.partition import Partition
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.tasks import end_tasks

__all__ = ["Store", "Tenure"]

_log = structlog.get_logger(__name__)


class Store(Protocol):
    """RETRY as a table, DEAD, and the claims in EVENTS; shared by all partitions."""

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a message; raises StoreError."""

    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Read a subject's message; raises StoreError."""

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the sequences of the messages that these subjects have; raises StoreError."""

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of these messages, of those that are there; raises StoreError."""

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a message; raises StoreError."""

    async def purge(self, stream: str, subject: str, below: int) -> None:
        """Remove what a subject holds below a sequence; raises StoreError."""


class Tenure(Partition):
    """This process' hold on one partition."""

    def __init__(  # its collaborators, each one thing
        self,
        partition_id: str,
        epoch: int,
        lease: Lease,
        store: Store,
        ages: RetentionAges | None = None,
    ) -> None:
        self.partition_id = partition_id
        """Such as `event.07`."""

        self._epoch = epoch
        self._lease = lease
        self._store = store
        self._ages = ages or RetentionAges()
        self._loop = asyncio.get_running_loop()
        self._work: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._is_lost = False
        self._is_started = False

    @property
    @override
    def epoch(self) -> int:
        return self._epoch

    @property
    @override
    def ages(self) -> RetentionAges:
        return self._ages

    @property
    @override
    def is_started(self) -> bool:
        return self._is_started and not self._closing.is_set()

    @property
    @override
    def is_lost(self) -> bool:
        return self._is_lost

    @property
    def number(self) -> int:
        """The partition's number."""
        return int(self.partition_id.rpartition(".")[2])

    @property
    def is_closing(self) -> bool:
        """Whether nothing new is to begin: it is given back, or lost."""
        return self._closing.is_set()

    @property
    def remaining(self) -> float:
        """Seconds for which it is certainly ours; 0 or less where that is not known."""
        return 0.0 if self._is_lost else self._lease.remaining

    @override
    async def held(self) -> bool:
        while not self._is_lost:
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
    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        return await self._store.read(stream, subject)

    @override
    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        return await self._store.claims(stream, subjects)

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of these messages, of those that are there; raises StoreError."""
        return await self._store.digests(stream, sequences)

    @override
    async def delete(self, stream: str, sequence: int) -> None:
        await self._store.delete(stream, sequence)

    @override
    async def purge(self, stream: str, subject: str, below: int) -> None:
        await self._store.purge(stream, subject, below)

    @override
    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
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

    def start(self) -> None:
        """Let rows of RETRY be worked from now on."""
        self._is_started = True

    def close(self) -> None:
        """Let nothing new begin; what is under way goes on."""
        self._closing.set()

    def lose(self) -> None:
        """Note that the partition is somebody else's: what is under way ends without a trace."""
        self._is_lost = True
        self._closing.set()
        self._lease.changed()

    async def finish(self, seconds: float) -> None:
        """Wait until what is under way has ended; what takes longer is cut off and comes again."""
        if self._work:
            _, cut_off = await asyncio.wait(self._work, timeout=seconds)
            await end_tasks(cut_off)

    def _work_ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours: said loudly, and the item is delivered again after a restart.
            _log.error("work_crashed", error=place_of(error))
