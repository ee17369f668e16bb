"""The webhook POST on the wire: an HTTP/1.1 protocol of our own, for this one request.

The ASGI server was measured to be the largest cost of a webhook (docs/design/0002): a scope, a
task, two events and two messages for each. So uvicorn is given this protocol class. It reads
webhook POSTs itself, with httptools (llhttp) as the parser, and hands a connection over to
uvicorn's own protocol when it brings anything else: the GET challenge, probes, strangers.

Strict on purpose; who breaks a rule gets one answer and a closed connection:

| what comes | answer |
| --- | --- |
| bytes that are no HTTP, two lengths, both framings, a header above the limits | 400 |
| a body above the limit, said or sent | 413 |
| a head or a body that takes too long | 408 |
| something else than a webhook POST, pipelined behind one | the webhook's answer, then closed |

Requests of one connection are served one after the other, in order. What is sent after an answer
that closes is read and thrown away for a moment, so that the answer is not lost to a reset.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from forebay_receiver.errors import Reason
from forebay_receiver.handlers.limits import (
    FIRST_BYTE_SECONDS,
    HEAD_LIMIT,
    HEADERS_LIMIT,
    LINGER_SECONDS,
    PIPELINE_LIMIT,
)
from forebay_receiver.handlers.otherwise import OneAnswerProtocol
from forebay_receiver.services.intake import STORED, Answer, Intake
from forebay_receiver.services.routes import PATH_PREFIX, ServedEndpoint
from forebay_receiver.settings import ReceiverSettings

__all__ = ["ConnectionRules", "WebhookProtocol", "protocol_factory"]

_PATH_START: Final = PATH_PREFIX.encode()
_START: Final = b"POST " + _PATH_START
"""What every request begins with that is served here."""

TURNED_AWAY_AT_ONCE: Final = 256
"""Connections above the limit that are told so at one time; more are cut off without a word."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BAD_REQUEST: Final = Answer(400, ((b"content-length", b"0"),), b"", close=True)
_FOREVER: Final = float("inf")

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class ConnectionRules:
    """What all connections of a process go by, and can be told to end by."""

    def __init__(self, intake: Intake, settings: ReceiverSettings, max_connections: int) -> None:
        self.intake = intake
        self.settings = settings
        self.idle_seconds = settings.idle_seconds
        self.max_connections = max_connections
        self.connections = 0
        """How many are open."""

        self.is_draining = False
        """Whether every answer closes its connection, so that load balancers move on."""


def protocol_factory(rules: ConnectionRules) -> type[asyncio.Protocol]:
    """Return what `uvicorn.Config(http=...)` takes: it is called for every connection."""

    class Bound(WebhookProtocol):
        __slots__ = ()

        def __init__(self, **uvicorn_gives: Any) -> None:  # noqa: ANN401  # passed on as they are
            super().__init__(
                rules,
                lambda: OneAnswerProtocol(HttpToolsProtocol(**uvicorn_gives), rules.settings),
                uvicorn_gives,
            )

    return Bound


class _Request:
    """One request while it is read, until it is answered."""

    __slots__ = (
        "body",
        "endpoint",
        "headers",
        "held",
        "keep_alive",
        "parts",
        "refusal",
        "size",
        "started",
    )

    def __init__(self, started: float, headers: dict[bytes, bytes]) -> None:
        self.started = started
        self.headers = headers
        self.body = b""
        """What came of it, where that was in one read; else `parts` hold it."""

        self.parts: list[bytes] | None = None
        self.size = 0
        self.held = 0
        """Bytes of it that the intake was told of, since it waits for its end or its turn."""

        self.endpoint: ServedEndpoint | None = None
        self.refusal: Answer | None = None
        self.keep_alive = False


class WebhookProtocol(asyncio.Protocol):
    """One connection."""

    # For speed: each webhook looks at nearly all of them.
    __slots__ = (
        "_clock",
        "_connections",
        "_deadline",
        "_ends",
        "_fallback",
        "_fed",
        "_head",
        "_head_began",
        "_headers",
        "_idle_seconds",
        "_intake",
        "_is_ending",
        "_is_in_head",
        "_is_lingering",
        "_loop",
        "_make_fallback",
        "_max_body_bytes",
        "_parser",
        "_reading",
        "_repeats",
        "_rules",
        "_serving",
        "_timer",
        "_timer_at",
        "_transport",
        "_url",
        "_waiting",
    )

    def __init__(
        self,
        rules: ConnectionRules,
        fallback: Callable[[], OneAnswerProtocol],
        uvicorn_gives: dict[str, Any],
    ) -> None:
        state: ServerState = uvicorn_gives["server_state"]
        config: Config = uvicorn_gives["config"]
        if not config.loaded:
            config.load()
        self._rules = rules
        self._intake = rules.intake
        self._max_body_bytes = rules.settings.max_body_bytes
        self._idle_seconds = rules.idle_seconds
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._make_fallback = fallback
        self._fallback: OneAnswerProtocol | None = None
        self._connections = cast("set[object]", state.connections)
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._ends = _FOREVER
        """When an answer closes the connection, so that new replicas get their share."""

        self._head = b""
        """The first bytes of a request, too few to tell what they begin."""

        self._head_began: float | None = None
        """When the first of them came."""

        self._reading: _Request | None = None
        self._headers: dict[bytes, bytes] = {}
        self._is_in_head = False
        self._repeats = 0
        """Headers whose name was there before."""

        self._fed = 0
        """Bytes given to the parser since the last request was complete."""

        self._url = b""
        self._waiting: deque[_Request] = deque()
        self._serving: _Request | None = None
        self._is_ending = False
        """Whether no further request is read."""

        self._is_lingering = False
        self._deadline = _FOREVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _FOREVER

    # -- asyncio's and uvicorn's side

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        rules, now = self._rules, self._clock()
        self._ends = now + rules.settings.max_connection_seconds
        rules.connections += 1
        if rules.connections > rules.max_connections:
            self._turn_away(now)
        else:
            self._set_deadline(now + min(FIRST_BYTE_SECONDS, self._idle_seconds))

    def _turn_away(self, now: float) -> None:
        """Answer a connection that is one too many, without reading it."""
        rules, transport = self._rules, self._transport
        if transport is None:
            return
        answer = self._intake.refuse(None, Reason.TOO_MANY_CONNECTIONS)
        if rules.connections > rules.max_connections + TURNED_AWAY_AT_ONCE:
            # Even an answer holds a place until it is read.
            transport.abort()
            return
        transport.write(_encode(answer, close=True))
        self._linger(now)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End; a webhook that is being stored goes on, its answer has nowhere to go."""
        self._connections.discard(self)
        self._rules.connections -= 1
        if self._timer is not None:
            self._timer.cancel()
        self._let_go(self._reading, *self._waiting)
        if self._fallback is not None:
            self._fallback.connection_lost(exc)
        self._transport = None
        self._waiting.clear()

    @override
    def eof_received(self) -> bool:
        """Keep the connection while an answer is due; the client may have closed its half."""
        if self._fallback is not None:
            # uvicorn would close at once and fail to write the answer that is under way: told to
            # shut down instead, it closes after it.
            self._fallback.shutdown()
            return True
        self._is_ending = True
        return self._serving is not None

    @override
    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        if self._fallback is not None:
            self._fallback.pause_writing()
        elif self._transport is not None:
            self._transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        """Read on."""
        if self._fallback is not None:
            self._fallback.resume_writing()
        elif self._transport is not None:
            self._transport.resume_reading()

    def shutdown(self) -> None:
        """End politely: uvicorn calls this for every connection when it stops."""
        if self._fallback is not None:
            self._fallback.shutdown()
            return
        self._is_ending = True
        if self._serving is None and self._transport is not None:
            self._transport.close()

    @override
    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._fallback is not None:
            self._fallback.data_received(data)
            return
        if self._is_ending:
            return
        if self._reading is None and self._serving is None:
            if self._head:
                data, self._head = self._head + data, b""
            if not data.startswith(_START):
                self._begin_otherwise(data)
                return
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError):
            if not self._is_ending:
                self._fail(_BAD_REQUEST)
            return
        reading = self._reading
        if reading is None:
            self._fed = 0
        else:
            self._wait_for_rest(reading)

    def _wait_for_rest(self, reading: _Request) -> None:
        """See what is still missing of the request that is being read."""
        if self._is_in_head and self._fed > HEAD_LIMIT:
            self._fail(_BAD_REQUEST)
        elif self._serving is None and not self._is_ending:
            # Not complete yet: from now on it is late at some time.
            self._set_deadline(reading.started + self._rules.settings.reading_seconds)
        if reading.size > reading.held:
            self._hold(reading)

    def _hold(self, request: _Request) -> None:
        """Say how much of a body waits for its end or its turn; there is a limit to that."""
        endpoint = request.endpoint
        if endpoint is None or request.refusal is not None:
            return
        refusal = self._intake.hold(endpoint, request.size - request.held)
        if refusal is None:
            request.held = request.size
        elif request is self._reading:
            self._fail(refusal)
        else:
            request.refusal, request.body, request.parts = refusal, b"", None

    def _let_go(self, *requests: _Request | None) -> None:
        """Say that bodies do not wait any more."""
        for request in requests:
            if request is not None and request.held and request.endpoint is not None:
                self._intake.let_go(request.endpoint, request.held)
                request.held = 0

    def _begin_otherwise(self, data: bytes) -> None:
        """Take a beginning that is no webhook's: too short to tell, or somebody else's."""
        if _START.startswith(data):
            self._head = data
            if self._head_began is None:
                self._head_began = self._clock()
            self._set_deadline(self._head_began + self._rules.settings.reading_seconds)
        else:
            self._hand_over(data)

    # -- httptools' side

    def on_message_begin(self) -> None:
        """Begin a request."""
        began = self._head_began
        if began is None:
            began = self._clock()
        else:
            self._head_began = None
        headers: dict[bytes, bytes] = {}
        self._headers = headers
        self._reading = _Request(began, headers)
        self._is_in_head = True
        self._repeats = 0
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request's target."""
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        headers = self._headers
        name = name.lower()
        # Joined as RFC 9110 says: a second value of a checked header then matches no secret.
        if name in headers:
            self._repeats += 1
            if self._repeats > HEADERS_LIMIT:
                # Here and not at the end: joining thousands would take the loop's time.
                self._break(_BAD_REQUEST)
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        """Decide whether the body is worth reading."""
        request, headers, parser = self._reading, self._headers, self._parser
        if request is None:
            raise _Broken
        url = self._url
        if not url.startswith(_PATH_START) or parser.get_method() != b"POST":
            # Pipelined behind a webhook: only a connection of its own gets there.
            self._reading = None
            self._is_ending = True
            raise _Broken
        self._is_in_head = False
        if len(headers) + self._repeats > HEADERS_LIMIT or (
            self._fed > HEAD_LIMIT and self._is_head_too_long()
        ):
            self._break(_BAD_REQUEST)
        # HTTP/1.0 keeps a connection only where it says so, and our answers do not agree to that.
        request.keep_alive = parser.should_keep_alive() and (
            b"connection" not in headers or parser.get_http_version() == "1.1"
        )
        path = url if b"?" not in url else url.partition(b"?")[0]
        admitted = self._intake.admit(
            path.decode("latin-1"), "POST", int(headers.get(b"content-length", b"0"))
        )
        if isinstance(admitted, Answer):
            self._break(admitted)
            return
        request.endpoint = admitted
        if b"expect" in headers and self._transport is not None:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        request = self._reading
        if request is None:
            raise _Broken
        request.size += len(body)
        if not request.body:
            request.body = body
        elif request.parts is None:
            request.parts = [request.body, body]
        else:
            request.parts.append(body)
        if request.size > self._max_body_bytes and request.endpoint is not None:
            self._break(self._intake.refuse(request.endpoint, Reason.TOO_LARGE))

    def on_message_complete(self) -> None:
        """Serve the request, or let it wait for the one before."""
        request = self._reading
        if request is None:
            raise _Broken
        self._reading = None
        if self._serving is None:
            self._serve(request)
            return
        self._hold(request)
        self._waiting.append(request)
        if len(self._waiting) >= PIPELINE_LIMIT and self._transport is not None:
            self._transport.pause_reading()

    # -- serving

    def _serve(self, request: _Request) -> None:
        self._serving = request
        self._deadline = _FOREVER
        if request.held:
            self._let_go(request)
        endpoint = request.endpoint
        if request.refusal is not None or endpoint is None:
            self._answer(request.refusal or _BAD_REQUEST)
            return
        body = request.body if request.parts is None else b"".join(request.parts)
        # Held by whoever stores it from now on, and no longer than that.
        request.body, request.parts = b"", None
        self._intake.take(endpoint, request.headers, body, request.started, self._answer)

    def _answer(self, answer: Answer) -> None:
        """Answer the request that is being served: called once for each."""
        transport, request = self._transport, self._serving
        self._serving = None
        if transport is None or request is None or transport.is_closing():
            return
        now = self._clock()
        if (
            answer.close
            or not request.keep_alive
            or self._rules.is_draining
            or (self._is_ending and not self._waiting)
            or now > self._ends
        ):
            transport.write(_encode(answer, close=True))
            self._linger(now)
            return
        transport.write(_OK if answer is STORED else _encode(answer, close=False))
        if self._waiting:
            transport.resume_reading()
            # Not from within this call: a long pipeline would grow the stack.
            self._loop.call_soon(self._serve_next)
        else:
            self._set_deadline(now + self._idle_seconds)

    def _serve_next(self) -> None:
        if self._waiting and self._serving is None and self._transport is not None:
            self._serve(self._waiting.popleft())

    def _fail(self, answer: Answer) -> None:
        """Answer what could not be read to its end, after what is still being served."""
        request = self._reading or _Request(self._clock(), {})
        self._reading = None
        self._is_ending = True
        self._let_go(request)
        request.refusal, request.body, request.parts = answer, b"", None
        if self._serving is None:
            self._serve(request)
        else:
            self._waiting.append(request)

    def _break(self, answer: Answer) -> None:
        """Stop reading in the middle of a request and answer it; ends the parser's call."""
        self._fail(answer)
        raise _Broken

    def _hand_over(self, data: bytes) -> None:
        """Let uvicorn's own protocol have the connection, from its first byte on."""
        transport = self._transport
        if transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._connections.discard(self)
        self._fallback = fallback = self._make_fallback()
        fallback.connection_made(transport)
        fallback.data_received(data)

    def _linger(self, now: float) -> None:
        """Close our half, and read what still comes for a moment."""
        self._is_lingering = True
        self._is_ending = True
        self._let_go(*self._waiting)
        self._waiting.clear()
        transport = self._transport
        if transport is None:
            return
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
            self._set_deadline(now + LINGER_SECONDS)
        else:
            transport.close()

    # -- time

    def _set_deadline(self, when: float) -> None:
        """Be called at a time, at the latest: one timer a connection, moved only when it fires."""
        self._deadline = when
        if self._timer is None or self._timer_at > when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self._timer_ended)
            self._timer_at = when

    def _timer_ended(self) -> None:
        self._timer = None
        now = self._clock()
        if now < self._deadline:
            if self._deadline < _FOREVER:
                self._set_deadline(self._deadline)
            return
        transport = self._transport
        if transport is None:
            return
        reading = self._reading
        if self._is_lingering or (reading is None and not self._head):
            # Aborted and not closed: a client that reads no answer would keep it open for ever.
            transport.abort()
        elif reading is not None and reading.endpoint is not None:
            self._fail(self._intake.refuse(reading.endpoint, Reason.TOO_SLOW))
        else:
            self._fail(Answer(408, ((b"content-length", b"0"),), b"", close=True))

    # -- small things

    def _is_head_too_long(self) -> bool:
        return (
            len(self._url) + sum(map(len, self._headers), sum(map(len, self._headers.values())))
            > HEAD_LIMIT
        )


class _Broken(Exception):  # noqa: N818  # no error: it ends the parser's call
    """Reading ended; what has to be answered is noted."""


def _encode(answer: Answer, *, close: bool) -> bytes:
    lines = [_STATUS_LINES[answer.status]]
    lines += [b"%b: %b\r\n" % header for header in answer.headers]
    if close:
        lines.append(b"connection: close\r\n")
    lines += [b"\r\n", answer.body]
    return b"".join(lines)


_OK: Final = _encode(STORED, close=False)
