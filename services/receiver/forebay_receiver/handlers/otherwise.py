"""A connection that brings no webhook POST: uvicorn's own protocol, held within limits.

The GET challenge, probes and strangers are served by uvicorn's protocol and the application. That
protocol bounds neither the size nor the time of a head, so this one stands in front of it and does:

- a head above the limits is 400, one that is not there in time 408;
- the connection carries one answer (the application closes with each) and ends at a time for sure,
  whatever its client sends, reads or leaves;
- what comes after the answer is read and thrown away for a moment, so that it is not lost to a
  reset.

A gateway that wants to send a webhook next opens another connection, and that one is served by
`handlers.wire`.
"""

import asyncio
from typing import Final, cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from forebay_receiver.handlers.limits import HEAD_LIMIT, HEADERS_LIMIT, LINGER_SECONDS
from forebay_receiver.settings import ReceiverSettings

__all__ = ["OneAnswerProtocol"]

_HEAD_END: Final = b"\r\n\r\n"
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class OneAnswerProtocol(asyncio.Protocol):
    """Passes a connection on to uvicorn's protocol for as long as it keeps to the limits."""

    def __init__(self, server: HttpToolsProtocol, settings: ReceiverSettings) -> None:
        self._server = server
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._transport: _PoliteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_in_head = True
        self._tail = b""
        """The last bytes of what came, in which the head's end may have begun."""

        self._lines = 0
        self._taken = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the first bytes are there already."""
        self._transport = polite = _PoliteTransport(cast("asyncio.Transport", transport))
        self._timer = self._loop.call_later(self._settings.reading_seconds, self._head_is_late)
        self._server.connection_made(cast("asyncio.Transport", polite))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.forget()
        self._server.connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._taken += len(data)
        if self._is_in_head and not self._is_head_fine(data):
            transport.write(_BAD_REQUEST)
            transport.close()
            return
        if self._taken > HEAD_LIMIT + self._settings.max_body_bytes:
            # The application has answered 413 or 400 long before: this one does not listen.
            transport.abort()
            return
        self._server.data_received(data)

    @override
    def pause_writing(self) -> None:
        """Pass on that the client does not read."""
        self._server.pause_writing()

    @override
    def resume_writing(self) -> None:
        """Pass on that it reads again."""
        self._server.resume_writing()

    def shutdown(self) -> None:
        """End after the answer that is under way, or at once."""
        self._server.shutdown()

    def _is_head_fine(self, data: bytes) -> bool:
        seen = self._tail + data
        end = seen.find(_HEAD_END)
        self._lines += data.count(b"\n") if end < 0 else seen.count(b"\n", len(self._tail), end)
        size = self._taken if end < 0 else self._taken - len(seen) + end
        if size > HEAD_LIMIT or self._lines > HEADERS_LIMIT:
            return False
        self._tail = seen[-len(_HEAD_END) + 1 :]
        if end >= 0:
            self._is_in_head = False
            self._begin_to_serve()
        return True

    def _begin_to_serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        settings = self._settings
        # The application's own deadlines answer before this one, which bears no delay.
        longest = settings.reading_seconds + settings.budget_seconds + LINGER_SECONDS
        self._timer = self._loop.call_later(longest, self._is_over)

    def _head_is_late(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_TOO_SLOW)
            self._transport.close()

    def _is_over(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _PoliteTransport:
    """A transport that closes its own half first, and takes a write after its end.

    uvicorn closes a connection that sends rubbish behind a request and then writes that request's
    answer; uvloop raises RuntimeError then, and each stranger could write an error into our log.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._lingering: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        if not self.is_closing():
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._lingering is not None or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.resume_reading()
        self._transport.write_eof()
        # Aborted and not closed: a client that does not read would keep it open for ever.
        self._lingering = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.abort)

    def abort(self) -> None:
        self.forget()
        self._transport.abort()

    def forget(self) -> None:
        """Want nothing more: the connection is gone."""
        if self._lingering is not None:
            self._lingering.cancel()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
