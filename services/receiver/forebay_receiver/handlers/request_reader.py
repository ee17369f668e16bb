"""Reads the requests of one connection: bytes in, requests or one rejection out.

httptools (llhttp) is the parser. What it leaves open is decided here, and nowhere else:

- **what is trusted**: a request's headers are those of its head. What comes after the head is the
  body, or it is framing (chunk sizes and extensions, trailers): counted, and dropped;
- **what is read**: every byte counts, into the head's limits, the body's, or the framing's. The
  limits are looked at every `SLICE_BYTES`, in the middle of a read too;
- **what is served**: `policies.served_requests`, as soon as the head is there;
- **an `Upgrade`**: llhttp ends such a request with its head and takes the rest for another
  protocol. The request is then told to a second parser by its framing alone, which reads its body.

The first thing that is not served ends the reading: it gets a rejection, and no byte more of
this connection is looked at.
"""

import abc
import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

import httptools
from typing_extensions import override

from forebay_receiver.errors import Reason
from forebay_receiver.handlers.limits import (
    FRAMING_LIMIT,
    HEAD_LIMIT,
    HEADERS_LIMIT,
    SLICE_BYTES,
)
from forebay_receiver.policies.served_requests import HTTP_1_1, path_and_query, rejection
from forebay_receiver.services.intake import Answer, Intake
from forebay_receiver.services.routes import ServedEndpoint

__all__ = ["Request", "RequestReader"]

_CONNECTION_NAMES: Final = frozenset({b"connection", b"proxy-connection"})

_NO_HEADERS: Final[dict[bytes, bytes]] = {}


class Request:
    """One request while it is read, until it is answered."""

    __slots__ = (
        "body",
        "endpoint",
        "headers",
        "held",
        "keep_alive",
        "rejection",
        "size",
        "started",
    )

    def __init__(self, started: float, headers: dict[bytes, bytes]) -> None:
        self.started = started
        """When its first byte came, on the loop's clock."""

        self.headers = headers
        """By lower-case name; of its head only."""

        self.body: bytes | bytearray = b""
        """What came of it so far. One that grows is a bytearray: a list of its parts would take
        twenty times the bytes where each part is one of them."""

        self.size = 0
        """Bytes of the body that came, also of one that is not kept."""

        self.held = 0
        """Bytes of it that the intake was told of, since it waits for its end or its turn."""

        self.endpoint: ServedEndpoint | None = None
        """Whom it is for; None where it has a rejection."""

        self.rejection: Answer | None = None
        """What it gets, whatever its body is: that one is not kept."""

        self.keep_alive = False


class RequestReader(asyncio.Protocol, abc.ABC):
    """The reading half of a connection; whoever answers is a subclass of it.

    One object and not two: each webhook would pay for the calls between them.
    """

    # For speed: each webhook looks at nearly all of them.
    __slots__ = (
        "_backlog",
        "_clock",
        "_fed",
        "_fed_at_end",
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

        self._backlog: bytes | memoryview = b""
        """What came and is not read yet, since others have their turn."""

        self._has_completed = False
        """Whether a request was complete within them."""

        self._fed_at_start = 0
        """`_fed` at the beginning of the request that is being read, or up to a slice later where
        it began behind another one."""

        self._fed_at_end = 0
        """The same at the end of the request before."""

    @abc.abstractmethod
    def request_complete(self, request: Request) -> None:
        """Take a request that is there whole."""

    @abc.abstractmethod
    def request_failed(self, request: Request) -> None:
        """Take a request that has to be answered by its rejection; it is the last one."""

    @abc.abstractmethod
    def request_unfinished(self, request: Request) -> None:
        """Take notice that a request is half read, and may be late at some time."""

    @abc.abstractmethod
    def send_continue(self) -> None:
        """Tell the client to send the body of the request that is being read."""

    @abc.abstractmethod
    def read_slices(self, data: bytes | memoryview) -> None:
        """Give what came, slice by slice, to `data_received`, as far as it is our turn."""

    @override
    def data_received(self, data: bytes | memoryview) -> None:
        """Take what came."""
        if self.has_ended:
            return
        size = len(data)
        if size > SLICE_BYTES or self._backlog:
            self.read_slices(data)
            return
        self._fed += size
        self._slice = size
        self._has_completed = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as stop:
            self._parse_on(data, stop)
        request = self.request
        if request is not None:
            self._look_at(request)
        elif self._has_completed:
            self._fed_at_end = self._fed
        elif self._fed - self._fed_at_end > HEAD_LIMIT and not self.has_ended:
            # Blank lines, of which the parser says nothing.
            self.reject(Reason.MALFORMED)

    def reject(self, reason: Reason) -> None:
        """End the reading: what is being read cannot be, or may not be, read to its end."""
        request = self.request
        endpoint = None if request is None else request.endpoint
        self.fail(self._intake.refuse(endpoint, reason))

    def fail(self, answer: Answer) -> None:
        """Do the same with an answer that is known already."""
        request = self.request or Request(self._clock(), _NO_HEADERS)
        self.request = None
        self.has_ended = True
        request.rejection = answer
        request.body = b""
        self.request_failed(request)

    def end_reading(self) -> None:
        """Let go of all that is half read: the connection is gone.

        The parser and this object know each other, and dead connections would keep their bodies
        until the garbage collector, which seldom comes, found them.
        """
        self.has_ended = True
        self.request = self._upgrading = self._headers = None
        del self._parser

    def _look_at(self, request: Request) -> None:
        """See whether what is still missing of a request may come."""
        surely = self._fed - self._fed_at_start
        if request.rejection is not None:
            # Its body is not there: nobody will read it.
            self.fail(request.rejection)
        elif surely - request.size > HEAD_LIMIT + FRAMING_LIMIT * request.size:
            self.reject(Reason.MALFORMED)
        elif request.size > request.held and request.endpoint is not None:
            answer = self._intake.hold(request.endpoint, request.size - request.held)
            if answer is not None:
                self.fail(answer)
                return
            request.held = request.size
            self.request_unfinished(request)
        else:
            self.request_unfinished(request)

    def _parse_on(self, data: bytes | memoryview, stop: Exception) -> None:
        """Go on after a request that asked for another protocol; else end."""
        while isinstance(stop, httptools.HttpParserUpgrade) and self._upgrading is not None:
            request, self._upgrading = self._upgrading, None
            self.request = request
            self._parser = httptools.HttpRequestParser(_SecondReading(self))
            data = data[stop.args[0] :]
            try:
                self._parser.feed_data(_framing_of(request))
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
            # It asked for another protocol: its body is still to be read.
            return
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


class _SecondReading:
    """What a parser calls that is told a request's head again, without its `Upgrade`.

    That head was judged already, so nothing is taken from it. What follows is the reader's.
    """

    def __init__(self, reader: RequestReader) -> None:
        self._reader = reader
        self._is_known = True
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete

    def on_message_begin(self) -> None:
        if not self._is_known:
            self._reader.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._is_known:
            self._reader.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_known:
            self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_known:
            self._is_known = False
        else:
            self._reader.on_headers_complete()


def _framing_of(request: Request) -> bytes:
    """Return a head that says how the request's body is delimited, and nothing else."""
    headers = request.headers
    if b"transfer-encoding" in headers:
        framing = b"transfer-encoding: chunked"
    else:
        framing = b"content-length: " + headers.get(b"content-length", b"0")
    return b"POST / HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n\r\n"


class _Broken(Exception):  # noqa: N818  # no error: it ends the parser's call
    """Reading ended; what has to be answered is noted."""
