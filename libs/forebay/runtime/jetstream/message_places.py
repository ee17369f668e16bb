"""Where messages stand in a stream: subject, sequence and time, without what they carry.

For whoever counts. A page is asked of an ephemeral pull consumer without a filter and without
acks, headers only: 3 us of nats-server a message, where one with a filter goes through all that do
not fit it. Nothing is left behind: the consumer is deleted, or ends by itself within half a minute
where this process dies.
"""

import asyncio
import contextlib
from typing import Final, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.api import API_SECONDS, call, next_subject
from forebay.runtime.jetstream.errors import StoreError, StoreUnavailable, failure_words
from forebay.runtime.jetstream.fast_subscriptions import subscribe
from forebay.runtime.jetstream.pulled_message import reply_tokens

__all__ = ["MessagePlace", "read_places"]

PAGE_MESSAGES: Final = 1_000
PAGE_BYTES: Final = 4 * 1024 * 1024
"""Of one page: what comes in one go waits in memory until the loop has read it."""

IDLE_SECONDS: Final = 30

_NANOSECONDS: Final = 1_000_000_000


class MessagePlace(NamedTuple):
    """One message."""

    sequence: int
    subject: str
    stored_at: float
    """Seconds since 1970, by the server's clock."""


async def read_places(client: Client, stream: str, start: int, limit: int) -> list[MessagePlace]:
    """Return the first messages from a sequence on, in their order; fewer where there are no more.

    Args:
        client: A connected client.
        stream: The stream's name.
        start: The lowest sequence.
        limit: How many at most.

    Raises:
        StreamMissing: where there is no such stream.
        StoreError: where NATS refuses, does not answer, or a message was lost on its way.
    """
    config = {
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": max(start, 1),
        "ack_policy": "none",
        "replay_policy": "instant",
        "headers_only": True,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": IDLE_SECONDS * _NANOSECONDS,
    }
    made = await call(
        client, f"CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config}
    )
    name = str(made["name"])
    try:
        return await _read(client, stream, name, limit)
    except (NatsError, TimeoutError) as error:
        message = f"NATS did not answer while {stream} was counted: {failure_words(error)}"
        raise StoreUnavailable(message) from error
    finally:
        if client.is_connected:
            with contextlib.suppress(StoreError):
                await call(client, f"CONSUMER.DELETE.{stream}.{name}", {})


async def _read(client: Client, stream: str, consumer: str, limit: int) -> list[MessagePlace]:
    pages = _Pages()
    inbox = client.new_inbox()
    subscription = await subscribe(client, inbox, pages.take)
    try:
        while len(pages.found) < limit and not pages.is_over:
            wanted = min(limit - len(pages.found), PAGE_MESSAGES)
            body: dict[str, object] = {"batch": wanted, "no_wait": True}
            if not pages.is_too_large:
                body["max_bytes"] = PAGE_BYTES
            else:
                body["batch"] = wanted = 1
            pages.begin(wanted)
            await client.publish(next_subject(stream, consumer), msgspec.json.encode(body), inbox)
            async with asyncio.timeout(API_SECONDS):
                await pages.ended.wait()
            if pages.has_missed:
                text = f"a message of {stream} was lost while it was counted"
                raise StoreUnavailable(text)
    finally:
        if client.is_connected:
            await subscription.unsubscribe()
    return pages.found


class _Pages:
    """What came, page after page."""

    def __init__(self) -> None:
        self.found: list[MessagePlace] = []
        self.ended = asyncio.Event()
        self.is_over = False
        """Whether the consumer has nothing more."""

        self.has_missed = False
        """Whether one was lost on its way: what comes after it would be counted wrong."""

        self.is_too_large = False
        """Whether the next message is larger than a page."""

        self._left = 0
        self._came = 0

    def begin(self, wanted: int) -> None:
        """Wait for so many."""
        self.ended.clear()
        self._left, self._came = wanted, len(self.found)

    def take(self, message: Msg) -> None:
        """Take a message, or the status that ends a page."""
        tokens = reply_tokens(message.reply)
        if tokens is None:
            self._end((message.headers or {}).get("Status", ""))
            return
        if int(tokens[4]) != len(self.found) + 1:
            self.has_missed = True
            self.ended.set()
            return
        self.found.append(
            MessagePlace(int(tokens[3]), message.subject, int(tokens[5]) / _NANOSECONDS)
        )
        self._left -= 1
        self.is_over = int(tokens[6]) == 0
        if self.is_over or not self._left:
            self.is_too_large = False
            self.ended.set()

    def _end(self, status: str) -> None:
        has_come = len(self.found) > self._came
        if status == "409" and not self.is_too_large:
            self.is_too_large = not has_come
        elif not has_come:
            self.is_over = True
        self.ended.set()
