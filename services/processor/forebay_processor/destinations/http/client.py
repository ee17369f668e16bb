"""Posts to HTTP destinations over kept connections, for what a delivery needs and no more.

aiohttp did this before; `docs/design/0021-http-client.md` says why it does not any more, and what
was measured. A request is one write, its time limit is a place in a line (`deadlines`), and of the
answer its status and `Retry-After` are kept (`http.connection`).

Nothing is sent twice in here. A connection that the destination closed while a request was on its
way is a failed attempt, which is counted as one, and the next attempt is the queue's: POST is not
repeated behind anybody's back, as it was not by aiohttp.

If the process dies, what was under way may have arrived.
"""

import asyncio
import contextlib
from typing import Final, Self

from forebay.core.endpoint_name import EndpointName
from forebay_processor.destinations.http.connection import HttpConnection, HttpResponse
from forebay_processor.destinations.http.deadlines import Deadlines
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.connecting import Connector, Origin
from forebay_processor.destinations.network.name_resolver import Names, looking_for

__all__ = ["KEPT_LIMIT", "KEPT_SECONDS", "HttpClient", "Pool"]

KEPT_SECONDS: Final = 15.0
"""How long a connection is kept that nobody needs."""

KEPT_LIMIT: Final = 1024
"""Connections that are kept beside those in use: of all destinations together, the oldest goes
first. In use there are as many as attempts are under way, which destinations bound."""

TURNS: Final = 2
"""Turns of the loop before a request is written. An attempt takes the place of one that was
answered, whose ack is written within two turns: by the `Acker`, then by nats-py's flusher. So acks
go out first, and a processor that is killed has no more requests without an ack than it has places:
what may arrive again."""

_READ: Final = 64 * 1024
"""Bytes that are read at a time."""

_CLOSE_SECONDS: Final = 2.0
"""How long the end waits for connections to be gone."""


class HttpClient:
    """All connections of this process to HTTP destinations. Belongs to one event loop."""

    def __init__(self, guard: Guard, names: Names, kept: int = KEPT_LIMIT) -> None:
        """Prepare; nothing is opened before it is needed. Needs a running loop.

        Args:
            guard: Says which addresses may be reached.
            names: Finds the addresses of names; closed with the client.
            kept: How many connections are kept that nobody needs.
        """
        self._kept_limit = kept
        self._loop = asyncio.get_running_loop()
        self._names = names
        self._connector = Connector(guard, names)
        self._pools: dict[Origin, Pool] = {}
        self._answers = Deadlines[asyncio.Future[HttpResponse]](self._loop, _time_is_over)
        self._rest = Deadlines[HttpConnection](self._loop, HttpConnection.end_rest)
        self._kept = Deadlines[HttpConnection](self._loop, HttpConnection.close)
        """Free ones; over all pools in the order in which they became free."""

        self._open: set[HttpConnection] = set()
        self._empty = asyncio.Event()
        self._buffer = memoryview(bytearray(_READ))

    @property
    def connections(self) -> int:
        """How many are open, in use or kept."""
        return len(self._open)

    def pool(self, origin: Origin) -> "Pool":
        """Return the connections to an origin; the caller uses them until `Pool.let_go`."""
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(self, origin)
        pool.users += 1
        return pool

    async def post(
        self, pool: "Pool", head: bytes, body: bytes, seconds: float, endpoint: EndpointName
    ) -> HttpResponse:
        """Send a request once and return its answer.

        Args:
            pool: Where to.
            head: Request line and headers, with the empty line at their end.
            body: As long as the head says.
            seconds: For all of it: name, connection, TLS, request and answer; exceeded by
                `deadlines.RESOLUTION` at most.
            endpoint: Whose share of lookups a name counts in.

        Raises:
            TimeoutError: where there was no answer in time.
            NoAnswer: where there was none at all; NoConnection where nothing was sent.
        """
        waiting: asyncio.Future[HttpResponse] = self._loop.create_future()
        until = self._answers.begin(waiting, seconds)
        connection: HttpConnection | None = None
        try:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            connection = pool.take()
            if connection is None:
                # A timer of its own: this is once for a connection, and not for a request.
                async with asyncio.timeout_at(until):
                    with looking_for(endpoint):
                        connection = await self._connect(pool)
            if waiting.done():
                # Its time was over in the turn in which the connection came.
                connection.abort()
            else:
                connection.ask(head, body, waiting)
            return await waiting
        except TimeoutError:
            if connection is not None and (answer := connection.decided(waiting)) is not None:
                # The rest is what took too long.
                return answer
            raise
        finally:
            self._answers.end(waiting, seconds)
            if waiting.done() and not waiting.cancelled():
                # Two limits can be over in one turn: the second one's error is taken here.
                waiting.exception()
            if connection is not None:
                connection.give_up(waiting)

    async def _connect(self, pool: "Pool") -> HttpConnection:
        connection = await self._connector.connect(
            pool.origin, lambda: HttpConnection(self._buffer, self._rest, pool.free, pool.gone)
        )
        if connection.is_usable:
            self._open.add(connection)
        return connection

    # -- its pools' side

    def keep(self, connection: HttpConnection) -> None:
        """Keep a connection that is free, for a while."""
        limit = self._kept_limit
        if len(self._open) > limit and len(self._kept) >= limit:
            oldest = self._kept.oldest(KEPT_SECONDS)
            if oldest is not None:
                self._kept.end(oldest, KEPT_SECONDS)
                oldest.close()
        self._kept.begin(connection, KEPT_SECONDS)

    def keep_no_more(self, connection: HttpConnection) -> None:
        """Leave a kept connection to whoever uses or closes it."""
        self._kept.end(connection, KEPT_SECONDS)

    def gone(self, connection: HttpConnection) -> None:
        """Forget a connection that is closed."""
        self._kept.end(connection, KEPT_SECONDS)
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    def forget(self, pool: "Pool") -> None:
        """Forget a pool that nobody uses."""
        self._pools.pop(pool.origin, None)

    async def close(self) -> None:
        """Close all connections and end lookups; who waits gets an error."""
        self._pools.clear()
        for connection in list(self._open):
            connection.abort()
        if self._open:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._empty.wait()
        for deadlines in (self._answers, self._rest, self._kept):
            deadlines.close()
        await self._names.close()

    async def __aenter__(self) -> Self:
        """Open nothing."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        await self.close()


class Pool:
    """The connections to one origin. The one that was used last is used first: others grow old."""

    def __init__(self, client: HttpClient, origin: Origin) -> None:
        """Begin with none."""
        self.origin = origin
        self.users = 0
        """How many destinations send there."""

        self._client = client
        self._kept: dict[HttpConnection, None] = {}

    def take(self) -> HttpConnection | None:
        """Return a kept connection, or None."""
        while self._kept:
            connection, _ = self._kept.popitem()
            self._client.keep_no_more(connection)
            if connection.is_open:
                return connection
        return None

    def free(self, connection: HttpConnection) -> None:
        """Keep a connection that has answered, as long as somebody may need it."""
        if not self.users:
            connection.close()
            return
        self._kept[connection] = None
        self._client.keep(connection)

    def gone(self, connection: HttpConnection) -> None:
        """Forget a connection that is closed."""
        self._kept.pop(connection, None)
        self._client.gone(connection)

    def let_go(self) -> None:
        """Be used by one destination less; after the last one what is free is closed."""
        self.users -= 1
        if self.users:
            return
        self._client.forget(self)
        for connection in list(self._kept):
            connection.close()


def _time_is_over(waiting: "asyncio.Future[HttpResponse]") -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
