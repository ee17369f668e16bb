"""Reads a stream page by page, without a consumer: nothing is left on the server or held here.

Asks by JetStream's direct get in batches (nats-server 2.11, ADR-31): any replica answers, and a
page ends by its number of messages or its bytes, whichever comes first.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.api import (
    API_SECONDS,
    SEQUENCE,
    StoredMessage,
    direct_get_subject,
    direct_message,
    headers_of,
    status_of,
)
from forebay.runtime.jetstream.errors import (
    StoreUnavailable,
    StreamMissing,
    failure_words,
    no_such_stream,
)
from forebay.runtime.jetstream.fast_subscriptions import subscribe

__all__ = [
    "PAGE_BYTES",
    "PAGE_MESSAGES",
    "StreamPlace",
    "read_last",
    "read_page",
    "read_pages",
    "read_sequences",
    "shards_behind",
]

PAGE_MESSAGES: Final = 2_000
"""The server counts what is left once a page, which with a wildcard costs it as much as there are
subjects: small pages of a large stream take long."""

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Of one page; a message that crosses it still comes, so a page is at most this and 8 MiB."""


class StreamPlace(NamedTuple):
    """A message of one of the streams of a kind: a list goes on behind it."""

    shard: str
    sequence: int


def shards_behind(shards: Sequence[str], place: StreamPlace | None) -> Sequence[str]:
    """Return the shards that a list still has to read: none where it has never been in one."""
    if place is None:
        return shards
    return shards[shards.index(place.shard) :] if place.shard in shards else ()


async def read_page(
    client: Client, stream: str, subjects: str, start: int | datetime
) -> list[StoredMessage]:
    """Return the next messages of some subjects, oldest first; empty where there are no more.

    Args:
        client: A connected client.
        stream: The stream's name.
        subjects: A wildcard.
        start: The sequence, or the time of storing, from which on.

    Raises:
        StoreUnavailable: where NATS does not answer, or there is no such stream.
    """
    return await _ask(
        client,
        stream,
        {
            "next_by_subj": subjects,
            "batch": PAGE_MESSAGES,
            "max_bytes": PAGE_BYTES,
            **_from(start),
        },
    )


_Ask = Callable[[], Awaitable[list[StoredMessage]]]


async def _once(ask: _Ask) -> list[StoredMessage]:
    return await ask()


async def read_pages(
    client: Client,
    stream: str,
    subjects: str,
    start: int | datetime = 1,
    asked: Callable[[_Ask], Awaitable[list[StoredMessage]]] = _once,
) -> AsyncIterator[list[StoredMessage]]:
    """Yield all messages of some subjects, oldest first, page by page: for commands of people.

    Args:
        client: A connected client.
        stream: The stream's name.
        subjects: A wildcard.
        start: The sequence, or the time of storing, from which on.
        asked: Asks for a page; it may do that again.

    Raises:
        StreamMissing: where there is no such stream; it says what that can be.
        StoreUnavailable: where NATS does not answer.
    """
    while True:
        try:
            page = await asked(functools.partial(read_page, client, stream, subjects, start))
        except StreamMissing as error:
            raise no_such_stream(stream) from error
        if not page:
            return
        yield page
        start = page[-1].sequence + 1


async def read_last(client: Client, stream: str, subjects: Sequence[str]) -> list[StoredMessage]:
    """Return the last message of each of these subjects that has one.

    One request for all: 600 subjects of which none has a message take the server 1 ms, asked for
    one by one 120 ms (design 0008). What a replica that is behind does not have yet is missing.

    Args:
        client: A connected client.
        stream: The stream's name.
        subjects: No wildcards, for each would cost as much as all subjects that it fits; at most
            1,024.

    Raises:
        StoreUnavailable: where NATS does not answer, or there is no such stream.
    """
    return await _ask(client, stream, {"multi_last": list(subjects)})


async def read_sequences(
    client: Client, stream: str, sequences: Sequence[int]
) -> dict[int, dict[str, str]]:
    """Return the headers of these messages, of those that the replica that answers has.

    Args:
        client: A connected client.
        stream: The stream's name.
        sequences: Which ones; all are asked for at once.

    Raises:
        StoreUnavailable: where NATS does not answer, or there is no such stream.
    """
    wanted = sorted(set(sequences))
    inbox, subject = client.new_inbox(), direct_get_subject(stream)
    found: dict[int, dict[str, str]] = {}
    async with _answers(client, stream, f"{inbox}.*") as subscription:
        for sequence in wanted:
            request = b'{"seq":%d}' % sequence
            await client.publish(subject, request, f"{inbox}.{sequence}")
        for _ in wanted:
            message = await subscription.next_msg(timeout=API_SECONDS)
            _take_headers(stream, message, found)
    return found


def _take_headers(stream: str, message: Msg, found: dict[int, dict[str, str]]) -> None:
    status = status_of(message)
    if status is None:
        headers = headers_of(message)
        found[int(headers[SEQUENCE])] = headers
    elif status != "404":
        text = f"{stream} could not be read: status {status}"
        raise StoreUnavailable(text)


async def _ask(client: Client, stream: str, request: dict[str, Any]) -> list[StoredMessage]:
    body = msgspec.json.encode(request)
    inbox = client.new_inbox()
    answer = _Page(stream)
    try:
        subscription = await subscribe(client, inbox, answer.take)
        try:
            await client.publish(direct_get_subject(stream), body, inbox)
            return await answer.whole()
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
    except (NatsError, TimeoutError) as error:
        raise _silent(stream, error) from error


class _Page:
    """Collects the messages of an answer."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._messages: list[StoredMessage] = []
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, message: Msg) -> None:
        """Take the next message, or the end of the page."""
        if self._end.done():
            return
        try:
            if self._is_end(message):
                self._end.set_result(None)
        except Exception as error:  # noqa: BLE001  # whoever waits has to hear of it
            self._end.set_exception(error)

    def _is_end(self, message: Msg) -> bool:
        match status_of(message):
            case None:
                self._messages.append(direct_message(headers_of(message), message.data))
                return False
            case "204" | "404":  # the end of the page, and nothing to show
                return True
            case "503":
                text = f"there is no stream {self._stream}, or it has no leader at the moment"
                raise StreamMissing(text)
            case status:
                text = f"{self._stream} could not be read: status {status}"
                raise StoreUnavailable(text)

    async def whole(self) -> list[StoredMessage]:
        """Return all of it; raises TimeoutError where nothing more comes for `API_SECONDS`."""
        known = -1
        while not self._end.done() and len(self._messages) > known:
            known = len(self._messages)
            await asyncio.wait([self._end], timeout=API_SECONDS)
        if not self._end.done():
            raise TimeoutError
        self._end.result()
        return self._messages


@contextlib.asynccontextmanager
async def _answers(client: Client, stream: str, inbox: str) -> AsyncIterator[Subscription]:
    """Listen for a stream's answers; raises StoreUnavailable where NATS gives none."""
    try:
        subscription = await client.subscribe(inbox)
        try:
            yield subscription
        finally:
            if client.is_connected:
                await subscription.unsubscribe()
    except (NatsError, TimeoutError) as error:
        raise _silent(stream, error) from error


def _silent(stream: str, error: Exception) -> StoreUnavailable:
    message = f"NATS did not answer while {stream} was read: {failure_words(error)}"
    return StoreUnavailable(message)


def _from(start: int | datetime) -> dict[str, Any]:
    if isinstance(start, int):
        return {"seq": start}
    return {"start_time": start.astimezone().isoformat()}
