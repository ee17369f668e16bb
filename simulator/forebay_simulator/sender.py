"""HTTP/1.1 towards the receiver, with as little work per webhook as will do.

The load generator shares the machine with what it measures, so what it costs shows in the figures.
At 1,000 webhooks/s this client took 0.18 of a core, aiohttp 0.35 (with making and signing them,
uvloop, one machine, 10 s). It does what a provider's client does: POST over kept connections, read
the answer, time out.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Protocol, Self
from urllib.parse import quote, urlsplit

import httptools

__all__ = ["ACCEPTED", "Answer", "HttpSender", "Sender"]

ACCEPTED: Final = 200
"""The one status that providers take for delivered: 202, 204 and redirects are failures."""

Answer = int | Literal["timeout", "connection"]
"""A status, or why there is none."""

KEEP_ALIVE_SECONDS: Final = 3.0
"""Idle connections are dropped before the server does it (uvicorn: 5 s): a webhook sent into a
connection that is just being closed would look refused."""

FIRST_FINAL_STATUS: Final = 200
"""Answers below (100 Continue, 103 Early Hints) only announce another."""

_URL_CHARACTERS: Final = "%/?:@!$&'()*+,;=~-._"
"""What stays as the user wrote it; the rest is percent-encoded."""


class Sender(Protocol):
    """Sends one webhook and says what came of it."""

    async def post(self, body: bytes, headers: bytes) -> Answer:
        """Send a body; never raises for what the network or the server does.

        Args:
            body: Sent as it is.
            headers: Whole lines, each with its line end.
        """


class HttpSender:
    """A Sender over sockets of its own."""

    def __init__(self, url: str, *, timeout: float) -> None:
        """Prepare; connections open as they are needed.

        Args:
            url: Where all webhooks go.
            timeout: Seconds from sending to the end of the answer.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._tls = ssl.create_default_context() if secure else None
        target = quote(parts.path or "/", safe=_URL_CHARACTERS)
        if parts.query:
            target = f"{target}?{quote(parts.query, safe=_URL_CHARACTERS)}"
        netloc = parts.netloc.rpartition("@")[2]
        self._head = f"POST {target} HTTP/1.1\r\nHost: {netloc}\r\n".encode()
        self._timeout = timeout
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections and wait until they are closed."""
        closing = list(self._open)
        for connection in closing:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in closing))

    async def post(self, body: bytes, headers: bytes) -> Answer:
        """Send a body and return the status, or why there is none."""
        connection = self._kept()
        spent = 0.0
        if connection is None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                async with asyncio.timeout(self._timeout):
                    connection = await self._connect(loop)
            except TimeoutError:
                return "timeout"
            except OSError:
                return "connection"
            spent = loop.time() - began
        request = b"%bContent-Length: %d\r\n%b\r\n%b" % (self._head, len(body), headers, body)
        answer = await connection.exchange(request, max(0.0, self._timeout - spent))
        if connection.usable:
            self._idle.append(connection)
        return answer

    def _kept(self) -> "_Connection | None":
        """Take the connection that was used last, so that those in excess grow old; or None."""
        oldest = asyncio.get_running_loop().time() - KEEP_ALIVE_SECONDS
        while self._idle and (self._idle[0].idle_since < oldest or not self._idle[0].usable):
            self._idle.popleft().abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> "_Connection":
        _, connection = await loop.create_connection(
            lambda: _Connection(loop, self._open.discard), self._host, self._port, ssl=self._tls
        )
        self._open.add(connection)
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with at most one request at a time.

    `typing.override` is new in Python 3.12: until then the callbacks of asyncio carry an ignore.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, forget: "Callable[[_Connection], None]"
    ) -> None:
        self._loop = loop
        self._forget = forget
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._status: int | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.usable = True
        self.idle_since = 0.0

    async def exchange(self, request: bytes, timeout: float) -> Answer:  # noqa: ASYNC109  # a timer is cheaper than a scope
        """Send a request and wait for its answer."""
        if self._transport is None or not self.usable:
            return "connection"
        self._waiting = self._loop.create_future()
        self._status = None
        timer = self._loop.call_later(timeout, self._end, "timeout")
        try:
            self._transport.write(request)
            return await self._waiting
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()

    def abort(self) -> None:
        """Close at once; a request in flight is answered `connection`."""
        self._end("connection")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # type: ignore[explicit-override]  # see the class
        """Take the socket."""
        self._transport = transport  # type: ignore[assignment]  # TCP and TLS give a Transport

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override]  # see the class
        """Read what came."""
        if self._waiting is None:  # an answer to nothing: not to be mistaken for the next one
            self._end("connection")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end("connection")

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override]  # see the class
        """Note that the socket is gone: for an answer without a length, that is its end."""
        self._end("connection" if exc is not None or self._status is None else self._status)
        self._forget(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def on_headers_complete(self) -> None:
        """Note the status; httptools calls this, and the next, while it is fed."""
        status = self._parser.get_status_code()
        self._status = status if status >= FIRST_FINAL_STATUS else None

    def on_message_complete(self) -> None:
        """Hand over the status."""
        if self._status is None:
            return
        self.idle_since = self._loop.time()
        if self._parser.should_keep_alive():
            self._answer(self._status)
        else:
            self._end(self._status)

    def _end(self, answer: Answer) -> None:
        """Close the connection; who waits gets this answer."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
