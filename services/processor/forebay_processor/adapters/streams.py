"""What the processor does with streams beyond publishing and pulling.

Uses the JetStream API's documented subjects directly where nats-py has no call that fits.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy, StreamInfo
from nats.js.errors import NotFoundError

from forebay.runtime.store_errors import StoreUnavailable, store_error

__all__ = ["Streams"]

_API_SECONDS: Final = 5.0
_NOT_FOUND: Final = "404"
_MESSAGE_NOT_FOUND: Final = 10043
_ANSWERS_AT_ONCE: Final = 10_000


class Streams:
    """Reads, deletes and purges in the streams of one client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._context = client.jetstream(timeout=_API_SECONDS)

    async def take_over(self, stream: str, consumer: str) -> int:
        """Make a consumer hand out again, at once and in order, what an owner before us left.

        Without this, JetStream hands out newer messages first and the old ones only when their ack
        wait ends. Each message between the ack floor and the last delivered one is answered with
        `-NAK` on the subject that an ack of it would have; the server ignores the answer for what
        was acked and queues the others, lowest first. Returns how many were left.

        Raises:
            StoreUnavailable: where NATS does not answer.
        """
        info = await self.consumer_info(stream, consumer)
        delivered, floor = info.delivered, info.ack_floor
        if not info.num_ack_pending or delivered is None or floor is None:
            return 0
        last = ""
        try:
            for sequence in range(floor.stream_seq + 1, delivered.stream_seq + 1):
                last = f"$JS.ACK.{stream}.{consumer}.1.{sequence}.{delivered.consumer_seq}.0.0"
                await self._client.publish(last, b"-NAK")
                if not sequence % _ANSWERS_AT_ONCE:
                    await self._client.flush()
            # The server works answers off in their order, beside everything else that it gets: only
            # when it confirms the last one may messages be asked for.
            await self._client.request(last, b"-NAK", timeout=_API_SECONDS)
        except NatsError as error:
            message = "NATS did not answer while a consumer was taken over"
            raise StoreUnavailable(message) from error
        return info.num_ack_pending

    async def first_sequence(self, stream: str, subjects: str, start: int) -> int | None:
        """Return the sequence of the first message from `start` on, or None where there is none."""
        body = msgspec.json.encode({"seq": start, "next_by_subj": subjects})
        answer = await self._request(f"$JS.API.DIRECT.GET.{stream}", body)
        found = _found(stream, answer)
        return None if found is None else found[2]

    async def consumer_info(self, stream: str, consumer: str) -> ConsumerInfo:
        """Return a consumer's state; raises StoreUnavailable."""
        try:
            info: ConsumerInfo = await self._context.consumer_info(stream, consumer)
        except NatsError as error:
            message = f"consumer {consumer} of {stream} gave no answer"
            raise StoreUnavailable(message) from error
        return info

    async def stream_info(self, stream: str) -> StreamInfo:
        """Return a stream's state; raises StoreUnavailable."""
        try:
            return await self._context.stream_info(stream)
        except NatsError as error:
            message = f"stream {stream} gave no answer"
            raise StoreUnavailable(message) from error

    async def all_headers(self, stream: str) -> AsyncIterator[tuple[str, int, dict[str, str]]]:
        """Yield subject, sequence and headers of every message of a stream, oldest first."""
        try:
            subscription = await self._context.pull_subscribe(
                ">",
                stream=stream,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.ALL,
                    ack_policy=AckPolicy.NONE,
                    headers_only=True,
                    inactive_threshold=60,
                    mem_storage=True,
                ),
            )
            left = (await subscription.consumer_info()).num_pending or 0
            while left > 0:
                messages = await subscription.fetch(min(left, 1000), timeout=_API_SECONDS)
                for each in messages:
                    left -= 1
                    yield each.subject, each.metadata.sequence.stream, each.headers or {}
            await subscription.unsubscribe()
        except NatsError as error:
            message = f"stream {stream} could not be read"
            raise StoreUnavailable(message) from error

    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Return payload, headers and sequence of a subject's message, or None where it is gone."""
        answer = await self._request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        return _found(stream, answer)

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete one message; it is no error where it is gone already."""
        body = msgspec.json.encode({"seq": sequence, "no_erase": True})
        answer = await self._request(f"$JS.API.STREAM.MSG.DELETE.{stream}", body)
        error = msgspec.json.decode(answer.data).get("error")
        if error is not None and error.get("err_code") != _MESSAGE_NOT_FOUND:
            raise store_error(error)

    async def purge_below(self, stream: str, sequence: int) -> int:
        """Remove all messages below a sequence and return how many they were."""
        body = msgspec.json.encode({"seq": sequence})
        answer = await self._request(f"$JS.API.STREAM.PURGE.{stream}", body)
        decoded: dict[str, Any] = msgspec.json.decode(answer.data)
        if decoded.get("error") is not None:
            raise store_error(decoded["error"])
        return int(decoded.get("purged", 0))

    async def _request(self, subject: str, body: bytes) -> Msg:
        try:
            return await self._client.request(subject, body, timeout=_API_SECONDS)
        except (NatsError, NotFoundError) as error:
            message = f"NATS gave no answer: {type(error).__name__}"
            raise StoreUnavailable(message) from error


def _found(stream: str, answer: Msg) -> tuple[bytes, dict[str, str], int] | None:
    headers = dict(answer.headers or {})
    status = headers.get("Status")
    if status == _NOT_FOUND:
        return None
    if status is not None:
        message = f"{stream} could not be read: status {status}"
        raise StoreUnavailable(message)
    return answer.data, headers, int(headers["Nats-Sequence"])
