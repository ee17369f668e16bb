"""The port where webhooks come in: an HTTP/1.1 protocol of our own, one object a connection.

The ASGI server was measured to be the largest cost of a webhook (docs/design/0002): a scope, a
task, two events and two messages for each. So uvicorn is given this protocol for its connections
(`handlers.uvicorn_adapter`). It serves all that comes to the port, and nothing else does: what
is on the closed list of `policies.served_requests` is read by `handlers.request_reader` and
answered by `services.intake`, what is not gets one answer and a closed connection.

Requests of one connection are served one after the other, in order; each gets one answer. One that
is half read is late by itself, whatever is served meanwhile. Those that wait are few, and counted
with all they take; while they are many no more is read. What is sent after an answer that closes is
read and thrown away for a moment, so that the answer is not lost to a reset.

If the process dies, nothing is answered that was not answered before: `services.intake` says what
that means for what is stored.
"""

import asyncio
from collections import deque
from typing import Final, cast

from typing_extensions import override

from forebay_receiver.handlers.connection_deadline import FOREVER, Deadline
from forebay_receiver.handlers.limits import (
    FIRST_BYTE_SECONDS,
    LINGER_SECONDS,
    PIPELINE_LIMIT,
    PIPELINE_MOST,
    WAITING_BYTES,
)
from forebay_receiver.handlers.request import Request
from forebay_receiver.handlers.request_reader import RequestReader
from forebay_receiver.handlers.responses import CONTINUE, OK, encode
from forebay_receiver.handlers.shared_connection_state import ConnectionRules
from forebay_receiver.outcomes import Reason
from forebay_receiver.services.answer import STORED, Answer
from forebay_receiver.services.large_body_scheduler import LARGE_BODY

__all__ = ["WebhookProtocol"]

TURNED_AWAY_AT_ONCE: Final = 256
"""Connections above the limit that are answered at one time; more are closed without an answer."""


class WebhookProtocol(RequestReader):
    """One connection: what is read, in its order, is served and answered."""

    # For speed: each webhook reads nearly all of them.
    __slots__ = (
        "_connections",
        "_deadline",
        "_ends",
        "_idle_seconds",
        "_owes_continue",
        "_reading_seconds",
        "_serving",
        "_waiting",
    )

    def __init__(self, rules: ConnectionRules, connections: set[object]) -> None:
        """Prepare; it begins with `connection_made`.

        Args:
            rules: What all connections go by.
            connections: All that are open, this one among them: the server ends them at its stop.
        """
        super().__init__(rules)
        self._idle_seconds = rules.idle_seconds
        self._reading_seconds = rules.reading_seconds
        self._connections = connections
        self._ends = FOREVER
        """When an answer closes the connection, so that new replicas get their share."""

        self._waiting: deque[Request] = deque()
        self._serving: Request | None = None
        self._owes_continue = False
        """Whether the client is to be asked to go on, as soon as the answers before are out."""

        self._deadline = Deadline(self._loop, self._is_late)

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
            self._deadline.move(now + min(FIRST_BYTE_SECONDS, self._idle_seconds))

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
        self._deadline.end()
        self._release(self.request, *self._waiting)
        self._transport = None
        self._waiting.clear()
        self._keep(b"")
        self.end_reading()

    @override
    def eof_received(self) -> bool:
        """Keep the connection while an answer is due; the client may have closed its half."""
        # Only where a transport reads on though it was paused: the end comes behind what came.
        self._read_backlog()
        self.has_ended = True
        return self._serving is not None or bool(self._waiting)

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
            self._reserve(request)
        self._wait(request)
        if len(self._waiting) >= PIPELINE_LIMIT and self._transport is not None:
            self._transport.pause_reading()

    @override
    def request_failed(self, request: Request) -> None:
        """Answer what could not be read to its end, after what is still being served."""
        self._release(request)
        if self._serving is None and not self._waiting:
            self._serve(request)
        else:
            self._wait(request)

    def _wait(self, request: Request) -> None:
        """Let a request wait for its turn: it is not late any more, nor owed a word to go on."""
        if request.rejection is not None:
            request.headers = {}  # nobody reads them any more
        self._waiting.append(request)
        self._owes_continue = False
        self._deadline.when = FOREVER

    @override
    def request_unfinished(self, request: Request) -> None:
        """Let it be late at its time, whatever is served meanwhile."""
        self._deadline.move(request.started + self._reading_seconds)
        if request.size > LARGE_BODY and not self._is_resting and self._transport is not None:
            # The loop reads a connection for as long as there is something: 4 MiB in one turn.
            self._transport.pause_reading()
            self._rest()

    @override
    def has_many_waiting(self) -> bool:
        """Say whether the pipeline is full."""
        return len(self._waiting) >= PIPELINE_LIMIT

    @override
    def send_continue(self) -> None:
        """Ask the client to send the body, though not before its answers."""
        if self._serving is not None or self._waiting:
            self._owes_continue = True
        elif self._transport is not None:
            self._transport.write(CONTINUE)

    def _reserve(self, request: Request) -> None:
        """Say how much waits for its turn, head and all; there is a limit to that."""
        endpoint = request.endpoint
        if endpoint is None:
            return
        size = WAITING_BYTES + self.head_bytes(request) + request.size
        answer = self._intake.reserve(endpoint, size - request.reserved)
        if answer is None:
            request.reserved = size
        else:
            self._refuse(request, answer)

    def _refuse(self, request: Request, answer: Answer) -> None:
        """Have no room for a request that would have to wait: it is the last one."""
        self._release(request)
        request.rejection, request.body = answer._replace(close=True), b""
        self.has_ended = True

    def _release(self, *requests: Request | None) -> None:
        """Say that bodies do not wait any more."""
        for request in requests:
            if request is not None and request.reserved and request.endpoint is not None:
                self._intake.release(request.endpoint, request.reserved)
                request.reserved = 0

    # -- serving

    def _serve(self, request: Request) -> None:
        self._serving = request
        if self.request is None:
            self._deadline.when = FOREVER
        if request.reserved:
            self._release(request)
        endpoint, rejection = request.endpoint, request.rejection
        if rejection is not None:
            self._answer(rejection)
            return
        body = request.body
        # Held by whoever stores it from now on, and no longer than that.
        request.body = b""
        if endpoint is not None:
            whole = body if isinstance(body, bytes) else bytes(body)
            self._intake.receive(endpoint, request.headers, whole, request.started, self._answer)

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
            self._deadline.move(now + self._idle_seconds)
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
        self._release(self.request, *self._waiting)
        self.request = None
        self._waiting.clear()
        self._keep(b"")
        transport = self._transport
        if transport is None:
            return
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
            self._deadline.move(now + LINGER_SECONDS)
        else:
            transport.close()

    # -- time

    def _is_late(self) -> None:
        if self._transport is None:
            return
        if self.request is None:
            # Idle or lingering. Aborted and not closed: a client that reads no answer would keep it
            # open forever.
            self._transport.abort()
        else:
            self._deadline.when = FOREVER
            self.reject(Reason.TOO_SLOW)
