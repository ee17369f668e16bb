"""Reads RETRY in pages: rows in the order of their sequences, from one on.

A page is one direct get of the last message of each subject (`multi_last`, nats-server 2.11): each
subject of RETRY has one, so that is all rows, in order. Where more than 1,024 subjects fit the
server refuses, and an ephemeral pull consumer reads on: without acks, in memory, with one filter.
What was measured, and why nothing else is used, is in docs/design/0020; why a request never says
`up_to_seq`, in docs/design/0028: the server would go through every older block for it.

Nothing is left behind: a consumer that nobody asks ends by itself within a minute, also where this
process dies. One that is gone, or whose numbers show that a message was lost on its way, is made
again from where the last page ended.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.api import (
    StoredMessage,
    call,
    direct_get_subject,
    direct_message,
    find_message,
    next_subject,
    status_of,
)
from forebay.runtime.jetstream.errors import (
    ConsumerMissing,
    StoreError,
    StoreUnavailable,
    failure_words,
)
from forebay.runtime.jetstream.fast_subscriptions import subscribe
from forebay.runtime.jetstream.pulled_message import reply_tokens
from forebay_processor.shared.partition_view import StoredRow

__all__ = ["RetryPages", "first_row", "row_at"]

CONSUMERS: Final = 48
"""That read at a time: a server allows 1,000 a stream, and sixteen processors share them."""

IDLE_SECONDS: Final = 60
"""After which the server ends a consumer that nobody asks."""

PAGE_BYTES: Final = 1024 * 1024
"""Of one page; a row that is larger comes alone."""

PAGE_SECONDS: Final = 5.0
"""For a page to come."""

_NANOSECONDS: Final = 1_000_000_000


class _TooManyError(Exception):
    """More rows match than one request may read."""


class _Page:
    """What comes for one request."""

    def __init__(self, wanted: int) -> None:
        self.rows: list[StoredRow] = []
        self.wanted = wanted
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The status that ended it; empty where all came that was asked for."""

    def add(self, row: StoredRow) -> None:
        """Take a row."""
        self.rows.append(row)
        if len(self.rows) == self.wanted:
            self.end("")

    def end(self, status: str) -> None:
        """Take it that nothing more comes."""
        if not self.ended.done():
            self.ended.set_result(status)


class _Consumer:
    """One ephemeral consumer."""

    def __init__(self, name: str, position: int) -> None:
        self.name = name
        self.position = position
        """The sequence of the last row that it handed out."""

        self.delivered = 0
        """The number of that row among all that it handed out."""

        self.has_missed = False
        self.page: _Page | None = None


class RetryPages:
    """Reads over one client."""

    def __init__(
        self,
        client: Client,
        *,
        headers_only: bool = False,
        consumers: int = CONSUMERS,
        seconds: float = PAGE_SECONDS,
    ) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            client: A connected client.
            headers_only: Whether rows come without what they carry, and by consumers alone.
            consumers: How many may be there at a time.
            seconds: For a page to come.
        """
        self._max_consumers = consumers
        self._seconds = seconds
        self._client = client
        self._is_headers_only = headers_only
        self._subscription: Subscription | None = None
        self._prefix = client.new_inbox()
        self._numbers = itertools.count()
        self._pages: dict[str, _Page] = {}
        self._consumers: OrderedDict[tuple[str, str], _Consumer] = OrderedDict()
        self._by_name: dict[str, _Consumer] = {}
        self._places = asyncio.Semaphore(consumers)
        self._subscribing = asyncio.Lock()

    async def rows(
        self, stream: str, subjects: str, after: int, limit: int, up_to: int = 0
    ) -> list[StoredRow]:
        """Return the next rows in order; fewer than `limit` say nothing of what is behind them.

        Raises:
            StoreError: where NATS does not answer, or refuses.
        """
        try:
            await self._subscribe()
            rows = await self._next_rows(stream, subjects, after, limit)
        except (NatsError, TimeoutError) as error:
            message = f"NATS did not answer while {stream} was read: {failure_words(error)}"
            raise StoreUnavailable(message) from error
        return [row for row in rows if not up_to or row.sequence <= up_to]

    async def _next_rows(
        self, stream: str, subjects: str, after: int, limit: int
    ) -> list[StoredRow]:
        there = self._consumers.get((stream, subjects))
        if not self._is_headers_only and (there is None or there.position > after):
            with contextlib.suppress(_TooManyError):
                return await self._at_once(stream, subjects, after, limit)
        async with self._places:
            rows = await self._of_consumer(stream, subjects, after, limit)
        return [row for row in rows if row.sequence > after]

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if self._subscription is None:
                self._subscription = await subscribe(
                    self._client, f"{self._prefix}.*", self._on_message
                )

    async def close(self) -> None:
        """Leave nothing behind; what is not heard ends by itself."""
        for stream, subjects in list(self._consumers):
            await self._forget(stream, subjects)
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._client.is_connected:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def _at_once(self, stream: str, subjects: str, after: int, limit: int) -> list[StoredRow]:
        wanted = {
            "multi_last": [subjects],
            "seq": after + 1,
            "batch": limit,
            "max_bytes": PAGE_BYTES,
        }
        page = _Page(0)
        status = await self._ask(page, direct_get_subject(stream), msgspec.json.encode(wanted))
        match status:
            case "204" | "404":
                return page.rows
            case "413":
                raise _TooManyError
            case _:
                message = f"{stream} could not be read: status {status}"
                raise StoreUnavailable(message)

    async def _ask(self, page: _Page, subject: str, body: bytes) -> str:
        number = str(next(self._numbers))
        self._pages[number] = page
        try:
            async with asyncio.timeout(self._seconds):
                await self._client.publish(subject, body, f"{self._prefix}.{number}")
                return await page.ended
        finally:
            del self._pages[number]

    # -- by a consumer

    async def _of_consumer(
        self, stream: str, subjects: str, after: int, limit: int
    ) -> list[StoredRow]:
        consumer = self._consumers.get((stream, subjects))
        # What it has behind it and the caller has not, it cannot hand out again. What it has before
        # it and the caller knows is left out: it is gone, or little.
        if (
            consumer is not None
            and consumer.page is None
            and consumer.position <= after
            and not consumer.has_missed
        ):
            self._consumers.move_to_end((stream, subjects))
            try:
                return await self._pull(stream, consumer, limit)
            except ConsumerMissing:
                consumer.has_missed = True
        if consumer is not None:
            await self._forget(stream, subjects)
        consumer = await self._make(stream, subjects, after)
        return await self._pull(stream, consumer, limit)

    async def _pull(self, stream: str, consumer: _Consumer, limit: int) -> list[StoredRow]:
        subject = next_subject(stream, consumer.name)
        request = b'{"batch":%d,"no_wait":true,"max_bytes":%d}' % (limit, PAGE_BYTES)
        rows, status = await self._pull_page(consumer, subject, request, limit)
        if not rows and status == "409":
            # The next one is larger than a page.
            rows, status = await self._pull_page(
                consumer, subject, b'{"batch":1,"no_wait":true}', 1
            )
        if not rows and status not in {"", "404", "408"}:
            message = f"the consumer that reads {stream} is gone"
            raise ConsumerMissing(message)
        return rows

    async def _pull_page(
        self, consumer: _Consumer, subject: str, request: bytes, limit: int
    ) -> tuple[list[StoredRow], str]:
        page = consumer.page = _Page(limit)
        try:
            status = await self._ask(page, subject, request)
        except BaseException:
            # What comes of it later would be taken for the next page's.
            consumer.has_missed = True
            raise
        finally:
            consumer.page = None
        if page.rows:
            consumer.position = page.rows[-1].sequence
        return page.rows, status

    async def _make(self, stream: str, subjects: str, after: int) -> _Consumer:
        while len(self._consumers) >= self._max_consumers:
            idle = next((key for key, each in self._consumers.items() if each.page is None), None)
            if idle is None:
                break
            await self._forget(*idle)
        name = f"read-{self._prefix.rpartition('.')[2]}-{next(self._numbers)}"
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": after + 1,
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": subjects,
            "mem_storage": True,
            "num_replicas": 1,
            "headers_only": self._is_headers_only,
            "inactive_threshold": IDLE_SECONDS * _NANOSECONDS,
        }
        await call(
            self._client,
            f"CONSUMER.CREATE.{stream}.{name}.{subjects}",
            {"stream_name": stream, "config": config},
        )
        consumer = _Consumer(name, after)
        self._consumers[stream, subjects] = self._by_name[name] = consumer
        return consumer

    async def _forget(self, stream: str, subjects: str) -> None:
        consumer = self._consumers.pop((stream, subjects), None)
        if consumer is None:
            return
        self._by_name.pop(consumer.name, None)
        # It ends by itself where this is not heard.
        with contextlib.suppress(StoreError):
            await call(self._client, f"CONSUMER.DELETE.{stream}.{consumer.name}", {})

    # -- what comes

    def _on_message(self, message: Msg) -> None:
        tokens = reply_tokens(message.reply)
        if tokens is not None:
            self._on_pulled(message, tokens)
            return
        page = self._pages.get(message.subject[len(self._prefix) + 1 :])
        if page is None:
            return
        status = status_of(message)
        if status is not None:
            page.end(status)
            return
        page.add(_row(direct_message(message.headers or {}, message.data)))

    def _on_pulled(self, message: Msg, tokens: list[str]) -> None:
        consumer = self._by_name.get(tokens[1])
        if consumer is None:
            return
        number = int(tokens[4])
        if number != consumer.delivered + 1:
            consumer.has_missed = True
        consumer.delivered = number
        if consumer.page is None:
            consumer.has_missed = True  # of a reader that has gone
        if consumer.page is None or consumer.has_missed:
            return
        stored_at = int(tokens[5]) / _NANOSECONDS
        headers: dict[str, str] = message.headers or {}
        consumer.page.add(
            StoredRow(message.subject, int(tokens[3]), stored_at, headers, message.data)
        )


async def first_row(client: Client, stream: str, subjects: str, after: int) -> StoredRow | None:
    """Return the first row above a sequence as the stream's leader has it; raises StoreError."""
    found = await find_message(client, stream, {"seq": after + 1, "next_by_subj": subjects})
    return None if found is None else _row(found)


async def row_at(client: Client, stream: str, sequence: int) -> StoredRow | None:
    """Return a row as the stream's leader has it; None where it is gone; raises StoreError."""
    found = await find_message(client, stream, {"seq": sequence})
    return None if found is None else _row(found)


def _row(found: StoredMessage) -> StoredRow:
    return StoredRow(
        found.subject, found.sequence, found.stored_at.timestamp(), found.headers, found.payload
    )
