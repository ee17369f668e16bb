"""Sends spans by OTLP over HTTP, as protobuf. For `span_export` only; on the SDK's own thread.

OpenTelemetry's exporter of this protocol needs `requests`, and with it `certifi`, whose licence
(MPL-2.0) is none that images may hold; it would also trust certifi's authorities, not the
system's. The bytes are made by OpenTelemetry's encoder; what is left is one POST, by the standard
library, with the standard's variables.
"""

import contextlib
import functools
import gzip
import http.client
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import unquote

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from forebay.runtime.tracing import otlp_variable

__all__ = ["OtlpHttpExporter"]

TIMEOUT_SECONDS: Final = 10.0
"""For a batch with all its repeats, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise."""

_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a batch is sent again."""

_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses by which a collector asks for that (OTLP/HTTP, retryable response codes)."""

_ANSWER_BYTES: Final = 4096
"""Of an answer that are read."""


class _Deadline:
    """Cuts the connection of one request when its time is over.

    The timeout of a socket is for each read: an answer that comes byte by byte, or that is
    announced without end (`100 Continue`), would hold up all spans for good.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, connected: socket.socket) -> None:
        """Take what is to be cut."""
        self._socket = connected

    def _cut(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)


class _Request(urllib.request.Request):
    """One that has to be over in time."""

    def __init__(self, url: str, body: bytes, headers: dict[str, str], deadline: _Deadline) -> None:
        super().__init__(url, body, headers)
        self.deadline = deadline


class _HttpConnection(http.client.HTTPConnection):
    def __init__(self, host: str, *, deadline: _Deadline, **settings: Any) -> None:  # noqa: ANN401  # urllib's
        super().__init__(host, **settings)
        self._deadline = deadline

    @override
    def connect(self) -> None:
        super().connect()
        self._deadline.watch(self.sock)


class _HttpsConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, *, deadline: _Deadline, **settings: Any) -> None:  # noqa: ANN401  # urllib's
        super().__init__(host, **settings)
        self._deadline = deadline

    @override
    def connect(self) -> None:
        super().connect()
        self._deadline.watch(self.sock)


class _Http(urllib.request.HTTPHandler):
    @override
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        assert isinstance(req, _Request)  # noqa: S101  # there are no others
        return self.do_open(functools.partial(_HttpConnection, deadline=req.deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._tls = tls

    @override
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        assert isinstance(req, _Request)  # noqa: S101  # there are no others
        made = functools.partial(_HttpsConnection, deadline=req.deadline, context=self._tls)
        return self.do_open(made, req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: object) -> None:
        """Take a redirect for what it is: no answer to spans."""


class OtlpHttpExporter(SpanExporter):
    """A collector, by OTEL_EXPORTER_OTLP_*."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Read where to and how.

        Raises:
            OSError: where a certificate or key cannot be read.
            ValueError: where a variable cannot be used.
        """
        of = functools.partial(otlp_variable, environ)
        # The signal's own endpoint is taken as it stands, the common one is a base.
        self.url = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
        if not self.url:
            self.url = environ["OTEL_EXPORTER_OTLP_ENDPOINT"].strip().rstrip("/") + "/v1/traces"
        if not self.url.startswith(("http://", "https://")):
            message = "an endpoint of OTLP over HTTP begins with http:// or https://"
            raise ValueError(message)
        self._timeout = float(of("TIMEOUT") or TIMEOUT_SECONDS)
        self._is_packed = of("COMPRESSION") == "gzip"
        self._headers = {"Content-Type": "application/x-protobuf", **_pairs(of("HEADERS"))}
        if self._is_packed:
            self._headers["Content-Encoding"] = "gzip"
        tls = ssl.create_default_context(cafile=of("CERTIFICATE") or None)
        if own := of("CLIENT_CERTIFICATE"):
            tls.load_cert_chain(own, of("CLIENT_KEY") or None)
        self._opener = urllib.request.build_opener(_NoRedirects, _Http, _Https(tls))
        self._is_ending = threading.Event()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, and again where the collector asks for it, until its time is over."""
        body = encode_spans(spans).SerializeToString()
        if self._is_packed:
            body = gzip.compress(body)
        ends = time.monotonic() + self._timeout
        for pause in (*_PAUSES, 0.0):
            left = ends - time.monotonic()
            if left <= 0:
                break
            is_sent = self._send(body, left)
            if is_sent is not None:
                return SpanExportResult.SUCCESS if is_sent else SpanExportResult.FAILURE
            if self._is_ending.wait(min(pause, max(ends - time.monotonic(), 0.0))):
                break
        return SpanExportResult.FAILURE

    def _send(self, body: bytes, within: float) -> bool | None:
        """Make one request; returns whether it was taken, None where it may be tried again."""
        try:
            with (
                _Deadline(within) as deadline,
                self._opener.open(
                    _Request(self.url, body, self._headers, deadline), timeout=within
                ) as answer,
            ):
                answer.read(_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return None if error.code in _AGAIN else False
        # No connection, no answer in time, or one that is none.
        except (OSError, ValueError, http.client.HTTPException):
            return None
        # What was cut can look like an answer.
        return None if deadline.is_over else True

    @override
    def shutdown(self) -> None:
        """End what waits for its next try."""
        self._is_ending.set()


def _pairs(text: str) -> dict[str, str]:
    """Read `name=value,name=value`, percent-encoded, as the standard has headers."""
    pairs = (each.partition("=") for each in text.split(",") if each.strip())
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in pairs}
