"""The port where webhooks come in: an HTTP/1.1 protocol of our own, one object a connection.

The ASGI server was measured to be the largest cost of a webhook (docs/design/0002): a scope, a
task, two events and two messages for each. So uvicorn is given this protocol class for its
connections. It serves all that comes to the port, and there is no other way in: what is on the
closed list of `policies.served_requests` is read by `handlers.request_reader` and answered by
`services.intake`, what is not gets one answer and a closed connection:

| what comes | answer |
| --- | --- |
| bytes that are no HTTP, two lengths, both framings, more than the limits | 400 |
| a body above the limit, said or sent | 413 |
| a head or a body that takes too long | 408 |
| the GET challenge, another method, another path | its answer |

Requests of one connection are served one after the other, in order; each gets one answer. One that
is half read is late by itself, whatever is served meanwhile. Those that wait are few, and counted
with all they take; while they are many, and while a read that takes long leaves others their turn
(`read_slices`), no more is read. What is sent after an answer that closes is read and thrown away
for a moment, so that the answer is not lost to a reset.

If the process dies, nothing is answered that was not answered before: `services.intake` says what
that means for what is stored.
"""

import asyncio
from collections import deque
from time import perf_counter
from typing import Any, Final, cast

from typing_extensions import override
from uvicorn import Config
from uvicorn.server import ServerState

from forebay_receiver.errors import Reason
from forebay_receiver.handlers.limits import (
    BACKLOG_LIMIT,
    FIRST_BYTE_SECONDS,
    LINGER_SECONDS,
    PIPELINE_LIMIT,
    PIPELINE_MOST,
    SLICE_BYTES,
    TURN_SECONDS,
    WAITING_BYTES,
)
from forebay_receiver.handlers.request_reader import Request, RequestReader
from forebay_receiver.handlers.responses import CONTINUE, OK, encode
from forebay_receiver.services.intake import STORED, Answer, Intake
from forebay_receiver.services.large_bodies import LARGE_BODY
from forebay_receiver.settings import ReceiverSettings

__all__ = ["ConnectionRules", "WebhookProtocol", "protocol_factory"]

TURNED_AWAY_AT_ONCE: Final = 256
"""Connections above the limit that are told so at one time; more are cut off without a word."""

_FOREVER: Final = float("inf")


class ConnectionRules:
    """What all connections of a process go by, and can be told to end by."""

    def __init__(self, intake: Intake, settings: ReceiverSettings, max_connections: int) -> None:
        self.intake = intake
        self.settings = settings
        self.idle_seconds = settings.idle_seconds
        self.reading_seconds = settings.reading_seconds
        self.max_connections = max_connections
        self.connections = 0
        """How many are open."""

        self.backlog_bytes = 0
        """Bytes of all connections that came and are not read yet."""

        self.is_draining = False
        """Whether every answer closes its connection, so that load balancers move on."""


def protocol_factory(rules: ConnectionRules) -> type[asyncio.Protocol]:
    """Return what `uvicorn.Config(http=...)` takes: it is called for every connection."""

    class Bound(WebhookProtocol):
        __slots__ = ()

        def __init__(self, **uvicorn_gives: Any) -> None:  # noqa: ANN401  # passed on as they are
            super().__init__(rules, uvicorn_gives)

    return Bound


class WebhookProtocol(RequestReader):
    """One connection: what is read, in its order, is served and answered."""

    # For speed: each webhook looks at nearly all of them.
    __slots__ = (
        "_connections",
        "_deadline",
        "_ends",
        "_idle_seconds",
        "_is_resting",
        "_is_unread",
        "_loop",
        "_owes_continue",
        "_reading_seconds",
        "_rules",
        "_serving",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiting",
    )

    def __init__(self, rules: ConnectionRules, uvicorn_gives: dict[str, Any]) -> None:
        state: ServerState = uvicorn_gives["server_state"]
        config: Config = uvicorn_gives["config"]
        if not config.loaded:
            config.load()
        self._loop = asyncio.get_running_loop()
        super().__init__(rules.intake, self._loop.time, rules.settings.max_body_bytes)
        self._rules = rules
        self._idle_seconds = rules.idle_seconds
        self._reading_seconds = rules.reading_seconds
        self._connections = cast("set[object]", state.connections)
        self._transport: asyncio.Transport | None = None
        self._ends = _FOREVER
        """When an answer closes the connection, so that new replicas get their share."""

        self._waiting: deque[Request] = deque()
        self._serving: Request | None = None
        self._owes_continue = False
        """Whether the client is to be told to go on, as soon as the answers before are out."""

        self._is_resting = False
        """Whether others have their turn before we read on."""

        self._is_unread = False
        """Whether the client does not read its answers."""

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
        transport.write(encode(answer, close=True))
        self._linger(now)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End; a webhook that is being stored goes on, its answer has nowhere to go."""
        self._connections.discard(self)
        self._rules.connections -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._let_go(self.request, *self._waiting)
        self._transport = None
        self._waiting.clear()
        self._keep(b"")
        self.end_reading()

    @override
    def eof_received(self) -> bool:
        """Keep the connection while an answer is due; the client may have closed its half."""
        # Only where a transport reads on that was told not to: the end comes behind what came.
        while self._backlog and not self.has_ended:
            backlog = self._backlog
            self._keep(b"")
            for start in range(0, len(backlog), SLICE_BYTES):
                self.data_received(backlog[start : start + SLICE_BYTES])
        self.has_ended = True
        return self._serving is not None or bool(self._waiting)

    @override
    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self._is_unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        """Read on."""
        self._is_unread = False
        self._resume()

    def shutdown(self) -> None:
        """End politely: uvicorn calls this for every connection when it stops."""
        self.has_ended = True
        if self._serving is None and not self._waiting and self._transport is not None:
            self._transport.close()

    # -- the reader's side

    @override
    def request_complete(self, request: Request) -> None:
        """Serve a request, or let it wait for the ones before."""
        # Also where none is served: the next one waits for its turn of the loop.
        if self._serving is None and not self._waiting:
            self._serve(request)
            return
        if len(self._waiting) >= PIPELINE_MOST:
            self._refuse(request, self._intake.refuse(request.endpoint, Reason.OVERLOADED))
        elif request.rejection is None:
            self._hold(request)
        self._wait(request)
        if len(self._waiting) >= PIPELINE_LIMIT and self._transport is not None:
            self._transport.pause_reading()

    @override
    def request_failed(self, request: Request) -> None:
        """Answer what could not be read to its end, after what is still being served."""
        self._let_go(request)
        if self._serving is None and not self._waiting:
            self._serve(request)
        else:
            self._wait(request)

    def _wait(self, request: Request) -> None:
        """Let a request wait for its turn: it is not late any more, nor owed a word to go on."""
        if request.rejection is not None:
            request.headers = {}  # nobody looks at them any more
        self._waiting.append(request)
        self._owes_continue = False
        self._deadline = _FOREVER

    @override
    def request_unfinished(self, request: Request) -> None:
        """Let it be late at its time, whatever is served meanwhile."""
        self._set_deadline(request.started + self._reading_seconds)
        if request.size > LARGE_BODY and not self._is_resting and self._transport is not None:
            # The loop reads a connection for as long as there is something: 4 MiB in one turn.
            self._transport.pause_reading()
            self._rest()

    @override
    def read_slices(self, data: bytes | memoryview) -> None:
        """Read what came until our turn is over; the rest is read in later ones."""
        if self._backlog:
            data = b"".join((self._backlog, data))
            self._keep(b"")
        rules, left, until = self._rules, memoryview(data), perf_counter() + TURN_SECONDS
        while left and not self.has_ended:
            if (
                left.nbytes < len(data)
                and (len(self._waiting) >= PIPELINE_LIMIT or perf_counter() >= until)
                and rules.backlog_bytes + left.nbytes <= BACKLOG_LIMIT
            ):
                self._keep(left)
                if self._transport is not None:
                    self._transport.pause_reading()
                self._resume()
                return
            piece, left = left[:SLICE_BYTES], left[SLICE_BYTES:]
            self.data_received(piece)

    def _keep(self, backlog: bytes | memoryview) -> None:
        self._rules.backlog_bytes += len(backlog) - len(self._backlog)
        self._backlog = backlog

    def _rest(self) -> None:
        """Let others have their turn."""
        self._is_resting = True
        self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._is_resting = False
        backlog = self._backlog
        if backlog and not self._is_unread and len(self._waiting) < PIPELINE_LIMIT:
            self._keep(b"")
            self.read_slices(backlog)
        self._resume()

    def _resume(self) -> None:
        """Read on, first what came already; not while there is a reason not to."""
        if self._is_resting or self._is_unread or len(self._waiting) >= PIPELINE_LIMIT:
            return
        if self._backlog:
            self._rest()
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @override
    def send_continue(self) -> None:
        """Tell the client to send the body, though not before its answers."""
        if self._serving is not None or self._waiting:
            self._owes_continue = True
        elif self._transport is not None:
            self._transport.write(CONTINUE)

    def _hold(self, request: Request) -> None:
        """Say how much waits for its turn, head and all; there is a limit to that."""
        endpoint = request.endpoint
        if endpoint is None:
            return
        size = WAITING_BYTES + self.head_bytes(request) + request.size
        answer = self._intake.hold(endpoint, size - request.held)
        if answer is None:
            request.held = size
        else:
            self._refuse(request, answer)

    def _refuse(self, request: Request, answer: Answer) -> None:
        """Have no room for a request that would have to wait: it is the last one."""
        self._let_go(request)
        request.rejection, request.body = answer._replace(close=True), b""
        self.has_ended = True

    def _let_go(self, *requests: Request | None) -> None:
        """Say that bodies do not wait any more."""
        for request in requests:
            if request is not None and request.held and request.endpoint is not None:
                self._intake.let_go(request.endpoint, request.held)
                request.held = 0

    # -- serving

    def _serve(self, request: Request) -> None:
        self._serving = request
        if self.request is None:
            self._deadline = _FOREVER
        if request.held:
            self._let_go(request)
        endpoint, rejection = request.endpoint, request.rejection
        if rejection is not None:
            self._answer(rejection)
            return
        body = request.body
        # Held by whoever stores it from now on, and no longer than that.
        request.body = b""
        if endpoint is not None:
            self._intake.take(
                endpoint,
                request.headers,
                body if isinstance(body, bytes) else bytes(body),
                request.started,
                self._answer,
            )

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
            or (self.has_ended and not self._waiting)
            or now > self._ends
        ):
            transport.write(encode(answer, close=True))
            self._linger(now)
            return
        transport.write(OK if answer is STORED else encode(answer, close=False))
        if self._waiting:
            # Not from within this call: a long pipeline would grow the stack.
            self._loop.call_soon(self._serve_next)
            return
        reading = self.request
        if reading is None:
            self._set_deadline(now + self._idle_seconds)
        elif self._owes_continue:
            self._owes_continue = False
            transport.write(CONTINUE)

    def _serve_next(self) -> None:
        if self._waiting and self._serving is None and self._transport is not None:
            self._serve(self._waiting.popleft())
            self._resume()

    def _linger(self, now: float) -> None:
        """Close our half, and read what still comes for a moment."""
        self.has_ended = True
        self._let_go(self.request, *self._waiting)
        self.request = None
        self._waiting.clear()
        self._keep(b"")
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
        if self._transport is None:
            return
        if self.request is None:
            # Idle or lingering. Aborted and not closed: a client that reads no answer would keep it
            # open for ever.
            self._transport.abort()
        else:
            self._deadline = _FOREVER
            self.reject(Reason.TOO_SLOW)
