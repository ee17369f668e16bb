"""The processor's side of its connection to NATS: what is made anew each time it is there again.

A `Session` lasts as long as one connection. What JetStream handed out over a connection that is
gone may never have arrived, and it comes again only after its ack wait, long after newer messages;
so each session begins by asking for all of it again (`Streams.take_over`), with requests and
inboxes of its own.
"""

import asyncio
import contextlib

from nats.aio.client import Client
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.jetstream.pull_inbox import LargeMessages, PullInbox
from forebay.runtime.jetstream.pull_status import OnRefused
from forebay_processor.adapters.lease_store import LeaseStore
from forebay_processor.adapters.retry_page_reader import RetryPages
from forebay_processor.adapters.streams import Streams

__all__ = ["Connection", "Session"]

_FLUSH_SECONDS = 2


class Session:
    """What works over one connection, until it is lost."""

    def __init__(self, client: Client, large: LargeMessages) -> None:
        self._large = large
        self.streams = Streams(client)
        self.lost = asyncio.Event()
        self._client = client
        self._inboxes: set[PullInbox] = set()

    def leases(self, shard: str) -> LeaseStore:
        """Return the lease table of a shard over this connection."""
        return LeaseStore(self._client, shard)

    async def open_inbox(self, on_refused: OnRefused) -> PullInbox:
        """Return an inbox to pull with; raises StoreUnavailable.

        `on_refused` is called for each request for messages that failed.
        """
        inbox = PullInbox(self._client, on_refused, self._large)
        try:
            await inbox.start()
        except NatsError as error:
            message = "the connection to NATS was lost"
            raise StoreUnavailable(message) from error
        self._inboxes.add(inbox)
        return inbox

    async def close_inbox(self, inbox: PullInbox) -> None:
        """Take no more messages: what was asked for and has not come is taken back."""
        self._inboxes.discard(inbox)
        with contextlib.suppress(NatsError):
            await inbox.close()

    async def close(self) -> None:
        """Close all inboxes that are left."""
        for inbox in list(self._inboxes):
            await self.close_inbox(inbox)


class Connection:
    """Follows the link: a `LinkListener` of `forebay.runtime.jetstream.link`."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        """Publishes over a connection of its own, and fails what is in flight when that is lost."""

        self._large = LargeMessages()
        self._client: Client | None = None
        self._pages: RetryPages | None = None
        self._session: Session | None = None
        self._is_up = asyncio.Event()

    async def connected(self, client: Client) -> None:
        """Take a client: the first one, or a new one after the last ended for good."""
        self._end_session()
        self._client = client
        self._pages = RetryPages(client)
        self._is_up.set()

    def reconnected(self) -> None:
        """Note that the same client has a connection again."""
        self._end_session()
        self._is_up.set()

    def disconnected(self) -> None:
        """End the session: what it asked for will not come any more."""
        self._is_up.clear()
        self._end_session()

    @property
    def streams(self) -> Streams:
        """The streams over the connection of now; raises StoreUnavailable."""
        if self._client is None or not self._client.is_connected:
            message = "NATS is not connected"
            raise StoreUnavailable(message)
        return Streams(self._client)

    @property
    def pages(self) -> RetryPages:
        """What reads RETRY over the connection of now; raises StoreUnavailable."""
        if self._pages is None or self._client is None or not self._client.is_connected:
            message = "NATS is not connected"
            raise StoreUnavailable(message)
        return self._pages

    async def begin(self) -> Session:
        """Wait for a connection and begin a session on it; raises StoreUnavailable."""
        await self._is_up.wait()
        await self.publisher.wait_reached()
        client = self._client
        if client is None:
            message = "NATS is not connected"
            raise StoreUnavailable(message)
        last, self._session = self._session, Session(client, self._large)
        if last is not None:
            # Before anything else: a request of the last session that was still in the client's
            # buffer must not take messages that nobody reads.
            await last.close()
        return self._session

    async def flush(self, stream: str) -> None:
        """Wait until the server has all that was sent, as far as that can be had.

        By a question about some stream: a server reads one connection in order. `flush` of nats-py
        is of no use here: its client goes deaf when the answer comes after the flush was given up.
        """
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.streams.stream_info(stream)

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.lost.set()
