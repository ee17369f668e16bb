"""Makes requests of what the HTTP parser says: its callbacks, and what is decided in them.

httptools (llhttp) is the parser. What it leaves open is decided here, and nowhere else:

- **what is trusted**: a request's headers are those of its head. What comes after the head is the
  body, or it is framing (chunk sizes and extensions, trailers): counted, and dropped;
- **what is served**: `policies.served_requests`, as soon as the head is there;
- **an `Upgrade`**: passed over, by `handlers.upgrade`.

The first thing that is not served ends the reading: it gets a rejection, and no byte more of
this connection is read. How many bytes are read, and when, is `handlers.request_reader`'s.
"""

import abc
import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

import httptools

from forebay_receiver.handlers.limits import HEAD_LIMIT, HEADERS_LIMIT
from forebay_receiver.handlers.request import NO_HEADERS, Request
from forebay_receiver.handlers.upgrade import SecondReading, framing_of
from forebay_receiver.outcomes import Reason
from forebay_receiver.policies.served_requests import HTTP_1_1, path_and_query, rejection
from forebay_receiver.services.answer import Answer
from forebay_receiver.services.intake import Intake
from forebay_receiver.services.routes import ServedEndpoint

__all__ = ["RequestParser"]

_CONNECTION_NAMES: Final = frozenset({b"connection", b"proxy-connection"})


class RequestParser(asyncio.Protocol, abc.ABC):
    """What the parser calls; the bytes are fed by its subclass, and answered by that one's.

    One object and not three: each webhook would pay for the calls between them.
    """

    # For speed: each webhook reads nearly all of them.
    __slots__ = (
        "_clock",
        "_fed",
        "_fed_at_start",
        "_has_completed",
        "_headers",
        "_intake",
        "_max_body_bytes",
        "_parser",
        "_repeats",
        "_slice",
        "_trailer_bytes",
        "_upgrading",
        "_url",
        "has_ended",
        "request",
    )

    def __init__(self, intake: Intake, clock: Callable[[], float], max_body_bytes: int) -> None:
        self._intake = intake
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self.request: Request | None = None
        """The one that is being read: begun, and not complete."""

        self.has_ended = False
        """Whether no further request is read."""

        self._headers: dict[bytes, bytes] | None = None
        """Of the head that is being read; None after its end, for what follows is no header."""

        self._repeats = 0
        """Headers whose name was there before, and trailers."""

        self._trailer_bytes = 0
        self._url = b""
        self._upgrading: Request | None = None
        """A request whose head asked for another protocol, until its body is read."""

        self._fed = 0
        """Bytes of this connection so far."""

        self._slice = 0
        """Bytes that are being parsed."""

        self._has_completed = False
        """Whether a request was complete within them."""

        self._fed_at_start = 0
        """`_fed` at the beginning of the request that is being read, or up to a slice later where
        it began behind another one."""

    @abc.abstractmethod
    def request_complete(self, request: Request) -> None:
        """Take a request that is there whole."""

    @abc.abstractmethod
    def request_failed(self, request: Request) -> None:
        """Take a request that has to be answered by its rejection; it is the last one."""

    @abc.abstractmethod
    def send_continue(self) -> None:
        """Ask the client to send the body of the request that is being read."""

    def reject(self, reason: Reason) -> None:
        """End the reading: what is being read cannot be, or may not be, read to its end."""
        request = self.request
        endpoint = None if request is None else request.endpoint
        self.fail(self._intake.refuse(endpoint, reason))

    def fail(self, answer: Answer) -> None:
        """Do the same with an answer that is known already."""
        request = self.request or Request(self._clock(), NO_HEADERS)
        self.request = None
        self.has_ended = True
        request.rejection = answer
        request.body = b""
        self.request_failed(request)

    def end_reading(self) -> None:
        """Drop all that is half read: the connection is gone.

        The parser and this object know each other, and dead connections would keep their bodies
        until the garbage collector, which seldom comes, found them.
        """
        self.has_ended = True
        self.request = self._upgrading = self._headers = None
        del self._parser

    def _parse_on(self, data: bytes | memoryview, stop: Exception) -> None:
        """Go on after a request that asked for another protocol; else end."""
        while isinstance(stop, httptools.HttpParserUpgrade) and self._upgrading is not None:
            request, self._upgrading = self._upgrading, None
            self.request = request
            self._parser = httptools.HttpRequestParser(SecondReading(self))
            data = data[stop.args[0] :]
            try:
                self._parser.feed_data(framing_of(request))
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError) as further:
                stop = further
            else:
                return
        # It knows this frame, and this frame it: not until the garbage collector comes.
        del stop
        if not self.has_ended:
            self.reject(Reason.MALFORMED)

    # -- httptools' side

    def on_message_begin(self) -> None:
        """Begin a request."""
        headers: dict[bytes, bytes] = {}
        self._headers = headers
        self.request = Request(self._clock(), headers)
        self._repeats = 0
        self._trailer_bytes = 0
        self._url = b""
        self._fed_at_start = self._fed if self._has_completed else self._fed - self._slice

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request's target."""
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; or a trailer, which is none."""
        headers = self._headers
        if headers is None:
            self._drop_trailer(name, value)
            return
        name = name.lower()
        # White space around a value is no part of it; the parser leaves what stands behind.
        value = value.rstrip()
        # Joined as RFC 9110 says: a second value of a checked header then matches no secret.
        if name in headers:
            self._repeats += 1
            if self._repeats > HEADERS_LIMIT:
                # Here and not at the end: joining thousands would take the loop's time.
                self._break(Reason.MALFORMED)
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        """Decide whether the request is served, and whether its body is worth reading."""
        request, parser = self.request, self._parser
        if request is None:
            raise _Broken
        headers = request.headers
        self._headers = None
        keep_alive = parser.should_keep_alive()
        # Of HTTP/1.1 only, this is true without a header; asking for the version costs more.
        version = (
            HTTP_1_1 if keep_alive and b"connection" not in headers else parser.get_http_version()
        )
        if len(headers) + self._repeats > HEADERS_LIMIT or (
            (self._has_completed or self._fed - self._fed_at_start > HEAD_LIMIT)
            and self.head_bytes(request) > HEAD_LIMIT
        ):
            self._break(Reason.MALFORMED)
        reason = rejection(version, headers, self._repeats)
        if reason is not None:
            self._break(reason)
        # HTTP/1.0 keeps a connection only where it says so, and our answers do not agree to that.
        request.keep_alive = keep_alive and version == HTTP_1_1
        url = self._url
        if parser.get_method() != b"POST":
            self._break_with(self._answer_of_other(url))
        if url.startswith(b"/v") and b"?" not in url:
            path = url.decode("latin-1")
        else:
            path, _ = path_and_query(url)
        admitted = self._intake.admit(
            path, int(headers[b"content-length"]) if b"content-length" in headers else 0, headers
        )
        if isinstance(admitted, ServedEndpoint):
            request.endpoint = admitted
            if b"expect" in headers and version == HTTP_1_1:
                self.send_continue()
        elif admitted.close:
            self._break_with(admitted)
        else:
            request.rejection = admitted
        if b"upgrade" in headers and parser.should_upgrade():
            self._upgrading, self.request = request, None

    def _answer_of_other(self, url: bytes) -> Answer:
        """Return what is no webhook gets: whatever it is, it is the connection's last answer."""
        path, query = path_and_query(url)
        if self._parser.get_method() == b"GET":
            return self._intake.challenge(path, dict(parse_qsl(query)))
        return self._intake.refuse_method(path)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        request = self.request
        if request is None:
            raise _Broken
        request.size += len(body)
        if request.size > self._max_body_bytes:
            self._break(Reason.TOO_LARGE)
        if request.rejection is not None:
            return
        if not request.body:
            request.body = body
        elif isinstance(request.body, bytearray):
            request.body += body
        else:
            request.body = bytearray(request.body)
            request.body += body

    def on_message_complete(self) -> None:
        """Hand the request over."""
        request = self.request
        if request is None:
            return  # it asked for another protocol: its body is still to be read
        self.request = None
        self._has_completed = True
        if not request.keep_alive:
            # Its answer closes the connection: what comes behind it is nobody's.
            self.has_ended = True
        self.request_complete(request)
        if self.has_ended:
            raise _Broken

    def _drop_trailer(self, name: bytes, value: bytes) -> None:
        request = self.request
        if request is None:
            raise _Broken
        if name.lower() in _CONNECTION_NAMES:
            # The parser reads these in trailers too, and then refuses what comes behind: the answer
            # may say so.
            request.keep_alive = False
        self._repeats += 1
        self._trailer_bytes += len(name) + len(value)
        if (
            len(request.headers) + self._repeats > HEADERS_LIMIT
            or self._trailer_bytes + self.head_bytes(request) > HEAD_LIMIT
        ):
            self._break(Reason.MALFORMED)

    def head_bytes(self, request: Request) -> int:
        """Return what the head of the request that is being read comes to."""
        headers = request.headers
        return len(self._url) + sum(map(len, headers), sum(map(len, headers.values())))

    def _break(self, reason: Reason) -> None:
        """Stop in the middle of a request and have it answered; ends the parser's call."""
        self.reject(reason)
        raise _Broken

    def _break_with(self, answer: Answer) -> None:
        self.fail(answer)
        raise _Broken


class _Broken(Exception):  # noqa: N818  # no error: it ends the parser's call
    """Reading ended; what has to be answered is noted."""
