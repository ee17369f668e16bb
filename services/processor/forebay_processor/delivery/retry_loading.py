"""Finding the rows of RETRY that belong to partitions which this process takes."""

from collections.abc import AsyncIterator, Mapping, Sequence

import structlog

from forebay.core import envelope
from forebay.core.letters import letter_of_row
from forebay.core.subjects import PARTITIONS, RetrySubject, StreamKind, stream_name
from forebay.runtime.stream_reader import StoredMessage
from forebay_processor.adapters.streams import Streams
from forebay_processor.delivery.queues import Channels
from forebay_processor.delivery.work import Parked
from forebay_processor.shared.lease_table import Assignment
from forebay_processor.shared.partition import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["RowLoader", "row_of"]

_log = structlog.get_logger(__name__)


class RowLoader:
    """Reads the rows of one shard's RETRY."""

    def __init__(self, shard: str, channels: Channels) -> None:
        self._shard = shard
        self._stream = stream_name(StreamKind.RETRY, shard)
        self._channels = channels

    async def load(
        self,
        streams: Streams,
        partitions: Sequence[Partition],
        assignments: Mapping[str, Assignment],
    ) -> int:
        """Give the rows of these partitions to their channels.

        A row that an owner stored after its partition was taken from it is void, and deleted: the
        owner after it had the item from EVENTS (docs/design/0005).

        Returns RETRY's last sequence before it was read.

        Raises:
            StoreUnavailable: where NATS does not answer; what was loaded stays.
        """
        state = (await streams.stream_info(self._stream)).state
        count = 0
        if state.messages:
            by_number = {_number(each.partition_id): each for each in partitions}
            async for stored in self._rows(streams, list(by_number), 1):
                sequence = stored.sequence
                try:
                    subject = RetrySubject.parse(stored.subject)
                    partition = by_number[subject.partition]
                    row = row_of(partition, subject, stored, self._channels.time)
                except (ValueError, KeyError, OverflowError):
                    _log.error("row_unreadable", shard=self._shard, seq=sequence)
                    continue
                before = assignments[partition.partition_id]
                epoch = _epoch_of(stored.headers)
                if epoch is not None and (
                    (epoch < before.loaded and sequence > before.floor)
                    or (epoch < partition.epoch and sequence > state.last_seq)
                ):
                    await self._delete_void(streams, sequence)
                    continue
                self._channels.of(subject.endpoint, subject.destination).restore(row)
                count += 1
        _log.info("retry_loaded", shard=self._shard, partitions=len(partitions), rows=count)
        return state.last_seq

    async def sweep(self, streams: Streams, partitions: Sequence[Partition], floor: int) -> None:
        """Delete what earlier owners of these partitions stored above a sequence.

        Raises:
            StoreError: where NATS does not answer.
        """
        if not partitions or (await streams.stream_info(self._stream)).state.last_seq <= floor:
            return
        by_number = {_number(each.partition_id): each for each in partitions}
        async for stored in self._rows(streams, list(by_number), floor + 1):
            epoch = _epoch_of(stored.headers)
            partition = by_number.get(RetrySubject.parse(stored.subject).partition)
            if epoch is not None and partition is not None and epoch < partition.epoch:
                await self._delete_void(streams, stored.sequence)

    async def _delete_void(self, streams: Streams, sequence: int) -> None:
        _log.info("void_row_deleted", shard=self._shard, seq=sequence)
        await streams.delete(self._stream, sequence)

    def _rows(
        self, streams: Streams, numbers: Sequence[int], start: int
    ) -> AsyncIterator[StoredMessage]:
        subjects = [f"forebay.retry.{self._shard}.{number:02d}.>" for number in numbers]
        if len(subjects) == PARTITIONS:
            subjects = [">"]
        return streams.headers_from(self._stream, subjects, start)


def _number(partition_id: str) -> int:
    return int(partition_id.rpartition(".")[2])


def _epoch_of(headers: Mapping[str, str]) -> int | None:
    """Return whose row it is; None where it was rewritten since, or is of an older Forebay."""
    text = headers.get(envelope.EPOCH)
    return int(text) if text is not None and text.isdecimal() else None


def row_of(
    partition: Partition, subject: RetrySubject, stored: StoredMessage, time: StreamTime
) -> Parked:
    """Read a row of RETRY; raises ValueError where it is none.

    A row without times of its own, such as a replayed one, is as old as its message, and due. Its
    times are the streams': where they are ahead of that all the same, its age is that of its
    message.
    """
    headers = stored.headers
    stored_at = stored.stored_at.timestamp()
    first_tried = int(headers.get(envelope.FIRST_TRIED_AT, "0")) / 1000 or stored_at
    since = time.to_steady(min(first_tried, stored_at, time.now()))
    row = Parked(partition, subject, int(headers.get(envelope.ORDER, "0")), since)
    row.attempts = int(headers.get(envelope.ATTEMPTS, "0"))
    row.due = time.to_steady(int(headers.get(envelope.DUE_AT, "0")) / 1000)
    row.sequence = stored.sequence
    row.letter = letter_of_row(headers)
    return row
