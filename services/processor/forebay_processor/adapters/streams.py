"""What the processor does with streams beyond publishing and pulling.

Requests and their answers are of `forebay.runtime.jetstream`.
"""

import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, ConsumerInfo, SequenceInfo, StreamInfo

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.envelope import DIGEST
from forebay.core.subjects import Lane, StreamKind, replay_subjects, stream_name
from forebay.runtime.jetstream.api import (
    API_SECONDS,
    StoredMessage,
    call,
    consumer_info,
    delete_message,
    find_message,
    moment,
    stream_info,
)
from forebay.runtime.jetstream.consumers import (
    ConsumerState,
    StreamView,
    difference,
    ensure_consumer,
    list_consumers,
    view_stream,
)
from forebay.runtime.jetstream.errors import ConsumerMissing, StoreUnavailable
from forebay.runtime.jetstream.pulled_message import ack_subject
from forebay.runtime.jetstream.puller import TakenOver
from forebay.runtime.jetstream.stream_reader import (
    read_last,
    read_page,
    read_sequences,
)
from forebay.runtime.jetstream.streams import consumer_config
from forebay_processor.adapters.retry_page_reader import RetryPages, first_row, row_at
from forebay_processor.shared.partition_view import StoredRow

__all__ = ["Streams"]

_FEW_SEQUENCES: Final = 4_000
_PAGE: Final = 1_000


class Streams:
    """Reads, deletes and purges in the streams of one client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context = client.jetstream(timeout=API_SECONDS)

    async def take_over(self, stream: str, consumer: str) -> TakenOver:
        """Make a consumer hand out again, at once and in order, what an owner before us left.

        Without this, JetStream hands out newer messages first and the old ones only when their ack
        wait ends. Each message between the ack floor and the last delivered one is answered with
        `-NAK` on the subject that an ack of it would have; the server ignores the answer for what
        was acked and queues the others, lowest first.

        Raises:
            ConsumerMissing: where the stream has no such consumer.
            StoreUnavailable: where NATS does not answer.
        """
        info = await self.consumer_info(stream, consumer)
        delivered, floor = info.delivered, info.ack_floor
        if delivered is None or floor is None:
            return TakenOver(0, 0)
        if not info.num_ack_pending:
            return TakenOver(0, delivered.consumer_seq)
        last = ""
        try:
            async for sequence in self._sequences(stream, info, floor.stream_seq + 1, delivered):
                last = ack_subject(stream, consumer, sequence, delivered.consumer_seq)
                await self._client.publish(last, b"-NAK")
            if last:
                # The server works answers off in their order, beside everything else that it gets:
                # only when it confirms the last one may messages be asked for.
                await self._client.request(last, b"-NAK", timeout=API_SECONDS)
        except NatsError as error:
            message = "NATS did not answer while a consumer was taken over"
            raise StoreUnavailable(message) from error
        # Acks of the owner before us that were on their way are in now. What was handed out since
        # the first check went to a request that somebody else still has open: it counts as missed.
        left = (await self.consumer_info(stream, consumer)).num_ack_pending or 0
        return TakenOver(left, delivered.consumer_seq)

    async def _sequences(
        self, stream: str, info: ConsumerInfo, start: int, delivered: SequenceInfo
    ) -> AsyncIterator[int]:
        """Yield the sequences that a consumer may have pending, lowest first.

        A stream's sequences are shared by all its consumers. Where there are many, this one's own
        are looked up: an answer for nothing costs the server as much as a message.
        """
        if delivered.stream_seq - start < _FEW_SEQUENCES:
            for sequence in range(start, delivered.stream_seq + 1):
                yield sequence
            return
        subjects = info.config.filter_subject or ">"
        async with contextlib.aclosing(
            self.header_pages(stream, subjects, start - 1, _PAGE)
        ) as pages:
            async for page in pages:
                for row in page:
                    if row.sequence > delivered.stream_seq:
                        return
                    yield row.sequence

    async def first_sequence(self, stream: str, subjects: str, start: int) -> int | None:
        """Return the sequence of the first message from `start` on, or None where there is none.

        The stream's leader is asked: another replica could be behind, and not have it yet.
        """
        wanted = {"seq": start, "next_by_subj": subjects}
        found = await find_message(self._client, stream, wanted)
        return None if found is None else found.sequence

    async def first_row(self, stream: str, subjects: str, after: int) -> StoredRow | None:
        """Return the leader's first message above a sequence; raises StoreError."""
        return await first_row(self._client, stream, subjects, after)

    async def header_pages(
        self, stream: str, subjects: str, after: int, limit: int
    ) -> AsyncGenerator[list[StoredRow], None]:
        """Yield all rows above a sequence in pages, oldest first, without what they carry.

        Raises:
            StoreError: where NATS does not answer.
        """
        pages = RetryPages(self._client, headers_only=True)
        try:
            while page := await pages.rows(stream, subjects, after, limit):
                yield page
                after = page[-1].sequence
        finally:
            await pages.close()

    async def row_at(self, stream: str, sequence: int) -> StoredRow | None:
        """Return the leader's message of a sequence; raises StoreError."""
        return await row_at(self._client, stream, sequence)

    async def stored_at(self, stream: str, sequence: int) -> float | None:
        """Return when a message was stored, seconds since the epoch; None where it is gone.

        Raises:
            StoreError: where NATS does not answer.
        """
        found = await find_message(self._client, stream, {"seq": sequence})
        return None if found is None else found.stored_at.timestamp()

    async def consumers(self, stream: str) -> dict[str, ConsumerState]:
        """Return a stream's durable consumers by name; raises StoreError."""
        return await list_consumers(self._client, stream)

    async def restore(self, shard: str, stream: str, consumer: str, floor: AckFloor | None) -> str:
        """Make a consumer again that is missing, or give it its settings back.

        Returns what was done, in words; an empty text where there was nothing to be done.

        Raises:
            StreamMissing: where its stream is gone: that is not ours to make.
            StoreError: where NATS refuses, or does not answer.
        """
        found = (await self.consumers(stream)).get(consumer)
        return await ensure_consumer(self._client, stream, _wanted(shard, consumer), found, floor)

    async def is_there(self, stream: str, consumer: str) -> bool:
        """Say whether a stream has a consumer; raises StoreError."""
        try:
            await self.consumer_info(stream, consumer)
        except ConsumerMissing:
            return False
        return True

    def changed_setting(self, shard: str, found: ConsumerState) -> str | None:
        """Return which setting of a consumer is not as ours are; None where all are."""
        return difference(_wanted(shard, found.name), found)

    async def view(self, stream: str) -> StreamView:
        """Return what distinguishes a stream from others of its name; raises StoreError."""
        return await view_stream(self._client, stream)

    async def server_time(self, stream: str) -> float:
        """Return the time of the server that leads a stream, seconds since the epoch.

        Raises:
            StoreError: where NATS does not answer.
        """
        answer = await call(self._client, f"STREAM.INFO.{stream}", {})
        return moment(answer["ts"]).timestamp()

    async def consumer_info(self, stream: str, consumer: str) -> ConsumerInfo:
        """Return a consumer's state.

        Raises:
            ConsumerMissing: where the stream has no such consumer.
            StreamMissing: where there is no such stream.
            StoreUnavailable: where NATS does not answer.
        """
        return await consumer_info(self._context, stream, consumer)

    async def stream_info(self, stream: str) -> StreamInfo:
        """Return a stream's state.

        Raises:
            StreamMissing: where there is no such stream.
            StoreUnavailable: where NATS does not answer.
        """
        return await stream_info(self._context, stream)

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the sequences of these subjects' messages, as far as there are any.

        Raises:
            StoreUnavailable: where NATS does not answer.
        """
        found = await read_last(self._client, stream, subjects)
        return {each.subject: each.sequence for each in found}

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of these messages: no key for what is gone, empty for none.

        Raises:
            StoreUnavailable: where NATS does not answer.
        """
        found = await read_sequences(self._client, stream, sequences)
        for sequence in set(sequences) - found.keys():
            # A replica that is behind does not have it: only the leader knows that there is none.
            row = await self.row_at(stream, sequence)
            if row is not None:
                found[sequence] = row.headers
        return {sequence: headers.get(DIGEST, "") for sequence, headers in found.items()}

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete one message; it is no error where it is gone already."""
        await delete_message(self._client, stream, sequence)

    async def replayed(self, shard: str, partition: int, start: int) -> list[StoredMessage]:
        """Return the next replayed rows of a partition of RETRY, from a sequence on.

        Raises:
            StoreUnavailable: where NATS does not answer.
        """
        stream = stream_name(StreamKind.RETRY, shard)
        return await read_page(self._client, stream, replay_subjects(shard, partition), start)

    async def purge_below(self, stream: str, sequence: int, subject: str | None = None) -> int:
        """Remove messages below a sequence, all or of one subject; return how many they were."""
        wanted: dict[str, Any] = {"seq": sequence}
        if subject is not None:
            wanted["filter"] = subject
        answer = await call(self._client, f"STREAM.PURGE.{stream}", wanted)
        return int(answer.get("purged", 0))


@functools.cache
def _wanted(shard: str, consumer: str) -> ConsumerConfig:
    """Return a consumer of ours by its name, as provisioning makes it."""
    step, lane, number = consumer.split("-")
    return consumer_config(step, shard, Lane(lane), int(number))
