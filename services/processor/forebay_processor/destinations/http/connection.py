"""One connection to an HTTP destination: a request at a time, and of its answer what counts.

An answer is its status and `Retry-After`. The rest is read, within bounds, so that the connection
can be used again, and thrown away. Whatever is not as it should be costs the connection:

| what comes | what follows |
| --- | --- |
| bytes while nothing is asked, or after an answer | closed: they must not answer the next request |
| 1xx other than 101 | skipped; their bytes count as the head's |
| a head of more than `HEAD_LIMIT` bytes, or no HTTP | failed, closed |
| a longer, slower or broken rest | the status counts all the same; closed |
| `Connection: close`, HTTP/1.0, no length, 101 | the status counts; closed |
| an answer before the request was written to its end | the status counts; closed |
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, cast

import httptools
from typing_extensions import override

from forebay.core.answer_excerpt import EXCERPT_BYTES
from forebay_processor.destinations.http.deadlines import Deadlines
from forebay_processor.destinations.network.no_answer import NoAnswer, NoAnswerReason

__all__ = ["ANSWER_LIMIT", "ANSWER_SECONDS", "HEAD_LIMIT", "HttpConnection", "HttpResponse"]

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of an answer until its head ends, those of informational ones before it included."""

ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of an answer that are read so that the connection can be used again; a longer answer
costs the connection."""

ANSWER_SECONDS: Final = 1.0
"""How long the rest of an answer is waited for."""

_JOINED: Final = 64 * 1024
"""Bytes of a body up to which it is copied behind its head: one buffer costs less than two."""

_LENGTHS: Final = frozenset({len("Retry-After"), len("Content-Length")})

_SWITCHING: Final = 101
_FINAL: Final = 200
_FAILED: Final = 300


class HttpResponse(NamedTuple):
    """What a destination said."""

    status: int
    retry_after: str | None
    begins_with: bytes = b""
    """The first bytes of its body, of those that came with the status; empty for a success."""


class HttpConnection(asyncio.BufferedProtocol):
    """A connection that is kept between requests; it notifies its pool when it is free or gone.

    Every step of it is within one turn of the loop, so there is nothing to cancel: who does not
    want an answer any more gives up the connection.
    """

    def __init__(
        self,
        buffer: memoryview,
        rest: "Deadlines[HttpConnection]",
        on_free: "Callable[[HttpConnection], None]",
        on_gone: "Callable[[HttpConnection], None]",
    ) -> None:
        """Prepare for a transport.

        Args:
            buffer: What it reads into, and other connections of its loop as well: a read is over
                before the next begins. A buffer for each read was a third of the time with TLS.
            rest: Where the rest of an answer gets its time; who is due there is notified by
                `end_rest`.
            on_free: Called when an answer is over and another request can be sent.
            on_gone: Called once, when the transport is closed.
        """
        self._buffer = buffer
        self._rest = rest
        self._on_free = on_free
        self._on_gone = on_gone
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiting: asyncio.Future[HttpResponse] | None = None
        self.is_usable = False
        """Whether it is open and nothing has come that was not asked for."""

        self._forget_answer()

    def _forget_answer(self) -> None:
        self._status = 0
        self._retry_after: bytes | None = None
        self._begins_with = b""
        self._read = 0
        self._is_long = self._is_complete = self._is_surplus = self._is_kept_alive = False

    @property
    def is_open(self) -> bool:
        """Whether a request may be written to it."""
        return self.is_usable and self._transport is not None and not self._transport.is_closing()

    # -- its user's side

    def ask(self, head: bytes, body: bytes, waiting: "asyncio.Future[HttpResponse]") -> None:
        """Write a request; `waiting` gets the answer, or a NoAnswer.

        Raises:
            NoAnswer: where it was closed in the meantime; nothing was sent.
        """
        transport = self._transport
        if transport is None or not self.is_usable:
            raise NoAnswer(NoAnswerReason.DISCONNECTED)
        self._forget_answer()
        self._waiting = waiting
        if len(body) <= _JOINED:
            transport.write(head + body)
        else:
            transport.writelines((head, body))

    def decided(self, waiting: "asyncio.Future[HttpResponse]") -> HttpResponse | None:
        """Return what has come for this one, where its rest is still to come."""
        return self._answer() if self._waiting is waiting and self._status else None

    def give_up(self, waiting: "asyncio.Future[HttpResponse]") -> None:
        """Close it, unless it has answered this one and may be another's by now."""
        if self._waiting is waiting:
            self._waiting = None
            self._rest.end(self, ANSWER_SECONDS)
            self.abort()

    def abort(self) -> None:
        """Close it at once; who waits for an answer gets an error."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close it in order: TLS says goodbye. For one that nobody waits for."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.close()

    def end_rest(self) -> None:
        """Wait no longer for the rest of an answer."""
        self._finish(is_reusable=False)

    # -- the transport's side

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        # As aiohttp set them: there are servers that end lines with a line feed alone.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self.is_usable = True

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        data = self._buffer[:nbytes]
        if self._waiting is None or self._parser is None:
            self.abort()
            return
        had_status = bool(self._status)
        room = HEAD_LIMIT - self._read
        try:
            if had_status or len(data) <= room:
                self._parser.feed_data(data)
            else:
                # The head has to end within its bound, however much comes at once.
                self._parser.feed_data(data[:room])
                if self._status:
                    self._parser.feed_data(data[room:])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._finish(is_reusable=False)
            return
        self._read += len(data)
        if self._is_complete:
            is_plain = self._is_kept_alive and not self._is_surplus
            self._finish(is_reusable=is_plain and self._status != _SWITCHING)
        elif self._status:
            self._go_on(had_status=had_status)
        elif self._read >= HEAD_LIMIT:
            self._finish(is_reusable=False)

    def _go_on(self, *, had_status: bool) -> None:
        """Wait for the rest of an answer, unless it is too long."""
        if not had_status:
            # Counted anew: what came with the head is one read, which is bounded.
            self._read = 0
            self._rest.begin(self, ANSWER_SECONDS)
        if self._is_long or self._read > ANSWER_LIMIT:
            self._finish(is_reusable=False)

    @override
    def eof_received(self) -> None:
        self.is_usable = False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        self._transport = None
        # It knows this connection, and what knows each other is garbage for long.
        self._parser = None
        reason = NoAnswerReason.DISCONNECTED if exc is None else NoAnswerReason.RESET
        self._finish(is_reusable=False, reason=reason)
        self._on_gone(self)

    # -- the parser's side

    def on_message_begin(self) -> None:
        """Notice what comes after an answer."""
        if self._is_complete:
            self._is_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what counts of the head; what is raised here ends the parser."""
        if self._status:
            # A trailer's, or what comes after the answer.
            return
        if b"\0" in value:
            message = "a header's value has a zero byte"
            raise ValueError(message)
        if len(name) not in _LENGTHS:
            return
        lower = name.lower()
        if lower == b"retry-after":
            if self._retry_after is None:
                self._retry_after = value
        elif lower == b"content-length":
            # The parser takes digits only.
            self._is_long = int(value) > ANSWER_LIMIT

    def on_headers_complete(self) -> None:
        """Take the status, which decides from here on."""
        if self._status or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status >= _FINAL or status == _SWITCHING:
            self._status = status
        else:
            self._retry_after = None
            self._is_long = False

    def on_body(self, body: bytes) -> None:
        """Keep what a failure begins with: people read it, nothing is decided by it."""
        if self._status >= _FAILED and not self._is_complete:
            self._begins_with += body[: EXCERPT_BYTES - len(self._begins_with)]

    def on_message_complete(self) -> None:
        """Note the end of an answer."""
        if self._status and not self._is_complete and self._parser is not None:
            self._is_complete = True
            self._is_kept_alive = self._parser.should_keep_alive()

    def _finish(
        self, *, is_reusable: bool, reason: NoAnswerReason = NoAnswerReason.NO_HTTP
    ) -> None:
        """Hand over what came, and the connection to its pool or to its end."""
        waiting, self._waiting = self._waiting, None
        if not (is_reusable and self.is_usable):
            self._part()
        elif self._transport is None or self._transport.get_write_buffer_size():
            # It answered before it had read the request, the rest of which would be in the way.
            self.abort()
        if waiting is None:
            return
        self._rest.end(self, ANSWER_SECONDS)
        if not waiting.done():
            if self._status:
                waiting.set_result(self._answer())
            else:
                waiting.set_exception(NoAnswer(reason))
        if self.is_usable:
            self._on_free(self)

    def _answer(self) -> HttpResponse:
        wish = self._retry_after
        if wish is None:
            return HttpResponse(self._status, None, self._begins_with)
        told = wish.decode("utf-8", "surrogateescape").strip(" \t")
        return HttpResponse(self._status, told, self._begins_with)

    def _part(self) -> None:
        """Close it: in order after a whole answer, at once otherwise."""
        transport = self._transport
        if transport is None:
            return
        if self._is_complete and not self._is_surplus and not transport.get_write_buffer_size():
            self.close()
        else:
            self.abort()
