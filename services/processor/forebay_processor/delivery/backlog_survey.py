"""What RETRY holds of a partition that this process takes, beyond what its items lead to.

A takeover asks for RETRY's last sequence and for one row of each partition. Beside the work then,
every endpoint of the tables is searched for in each partition that holds rows, and a slow pass over
all headers counts them, and finds rows of destinations that no table names, and void ones
(docs/design/0020).

If the process dies, or the connection is lost, the pass goes on from where it was counted to, or
the next owner begins one of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import REPLAY, Lane, StreamKind, stream_name
from forebay.runtime.jetstream.errors import StoreRefused
from forebay_processor.adapters.streams import Streams
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.retry_row_reader import epoch_of, payload_size, subject_of
from forebay_processor.delivery.shares import row_bytes
from forebay_processor.shared.partition_view import Partition, StoredRow

__all__ = ["BacklogSurvey"]

_log = structlog.get_logger(__name__)

LANES: Final = (Lane.LIVE, Lane.STATUS, Lane.BULK, REPLAY)

ASKED_AT_ONCE: Final = 32
"""Endpoints that are searched for at a time: 2,000 took the server 0.5 s."""

ROWS_AT_ONCE: Final = 1_000
PAUSE_SECONDS: Final = 0.1
"""After so many rows of the pass, which nobody waits for."""


class BacklogSurvey:
    """Searches one shard's RETRY."""

    def __init__(self, shard: str, queues: DestinationQueues) -> None:
        self._shard = shard
        self._stream = stream_name(StreamKind.RETRY, shard)
        self._queues = queues

    async def begin(
        self, streams: Streams, partitions: Sequence[Partition]
    ) -> tuple[int, set[Partition]]:
        """See whether RETRY holds anything of these partitions.

        Returns RETRY's last sequence, and those of which it holds nothing.

        Raises:
            StoreError: where NATS does not answer, or RETRY would replace rows instead of refusing
                them.
        """
        info = await streams.stream_info(self._stream)
        if not info.config.discard_new_per_subject:
            message = (
                f"{self._stream} replaces rows, as an older Forebay had it: let the operator, or "
                "`forebay run`, bring the streams up to date"
            )
            raise StoreRefused(message)
        firsts = await asyncio.gather(
            *(streams.first_row(self._stream, self._subjects(each), 0) for each in partitions)
        )
        vacant = {each for each, first in zip(partitions, firsts, strict=True) if first is None}
        held = len(partitions) - len(vacant)
        _log.info("retry_asked", shard=self._shard, partitions=len(partitions), with_rows=held)
        return int(info.state.last_seq), vacant

    def _subjects(self, partition: Partition, endpoint: EndpointName | None = None) -> str:
        own = f"forebay.retry.{self._shard}.{partition.number:02d}."
        return f"{own}>" if endpoint is None else f"{own}*.{endpoint.namespace}.{endpoint.name}.>"

    async def find(self, streams: Streams, partition: Partition) -> None:
        """Have the lanes read that have rows, of all endpoints of the tables.

        Raises:
            StoreError: where NATS does not answer; what was found stays.
        """
        places = asyncio.Semaphore(ASKED_AT_ONCE)
        await asyncio.gather(
            *(
                self._find_one(streams, partition, endpoint, places)
                for endpoint in self._queues.endpoints()
            )
        )

    async def _find_one(
        self,
        streams: Streams,
        partition: Partition,
        endpoint: EndpointName,
        places: asyncio.Semaphore,
    ) -> None:
        async with places:
            if partition.is_closing:
                return
            subjects = self._subjects(partition, endpoint)
            if await streams.first_row(self._stream, subjects, 0) is None:
                return
        for queue in self._queues.of_endpoint(endpoint):
            for lane in LANES:
                queue.read_lane(partition, self._shard, lane)

    async def count(self, streams: Streams, partition: Partition) -> AsyncIterator[int]:
        """Count the rows of a partition that were there when it was taken.

        Yields up to which sequence all are counted.

        Raises:
            StoreError: where NATS does not answer; what was counted stays.
        """
        subjects, start = self._subjects(partition), partition.counted_to
        async for page in streams.header_pages(self._stream, subjects, start, ROWS_AT_ONCE):
            for row in page:
                if row.sequence <= partition.floor:
                    await self._count_one(streams, partition, row)
                    yield row.sequence
            if page[-1].sequence >= partition.floor or partition.is_closing:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        if not partition.is_closing:
            yield partition.floor

    async def _count_one(self, streams: Streams, partition: Partition, row: StoredRow) -> None:
        if partition.is_void(epoch_of(row), row.sequence):
            await self._delete_void(streams, row.sequence)
            return
        subject = subject_of(row.subject)
        if subject is None:
            return  # whoever reads its lane says so
        queue = self._queues.of(subject.endpoint, subject.destination)
        queue.backlogs.found(partition, subject, row.sequence, row_bytes(payload_size(row)))
        queue.read_lane(partition, self._shard, subject.lane)

    async def sweep(self, streams: Streams, partitions: Sequence[Partition], floor: int) -> None:
        """Delete what earlier owners of these partitions stored above a sequence.

        Raises:
            StoreError: where NATS does not answer.
        """
        if not partitions or (await streams.stream_info(self._stream)).state.last_seq <= floor:
            return
        for partition in partitions:
            subjects = self._subjects(partition)
            async for page in streams.header_pages(self._stream, subjects, floor, ROWS_AT_ONCE):
                for row in page:
                    if partition.is_void(epoch_of(row), row.sequence):
                        await self._delete_void(streams, row.sequence)

    async def _delete_void(self, streams: Streams, sequence: int) -> None:
        self._queues.incidents.strays.void(self._shard, sequence)
        await streams.delete(self._stream, sequence)
