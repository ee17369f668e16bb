"""Reads the body of a request that asks for another protocol, which is passed over.

llhttp ends such a request with its head and takes the rest for another protocol. So the request is
repeated to a second parser by its framing alone, and that one reads its body.
"""

from typing import Protocol

from forebay_receiver.handlers.request import Request

__all__ = ["ParserCallbacks", "SecondReading", "framing_of"]


class ParserCallbacks(Protocol):
    """What httptools calls with what it reads."""

    def on_message_begin(self) -> None:
        """Begin a request."""

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request's target."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer."""

    def on_headers_complete(self) -> None:
        """Take notice of the head's end."""

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""

    def on_message_complete(self) -> None:
        """Take notice of the request's end."""


class SecondReading:
    """What a parser calls that gets a request's head again, without its `Upgrade`.

    That head was judged already, so nothing is taken from it. What follows is the reader's.
    """

    def __init__(self, reader: ParserCallbacks) -> None:
        self._reader = reader
        self._is_known = True
        self.on_body = reader.on_body
        self.on_message_complete = reader.on_message_complete

    def on_message_begin(self) -> None:
        """Begin a request behind the first one."""
        if not self._is_known:
            self._reader.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a target, but not the one that is known."""
        if not self._is_known:
            self._reader.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but none of the head that is known."""
        if not self._is_known:
            self._reader.on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take notice of a head's end, but not of the one that is known."""
        if self._is_known:
            self._is_known = False
        else:
            self._reader.on_headers_complete()


def framing_of(request: Request) -> bytes:
    """Return a head that says how the request's body is delimited, and nothing else."""
    headers = request.headers
    if b"transfer-encoding" in headers:
        framing = b"transfer-encoding: chunked"
    else:
        framing = b"content-length: " + headers.get(b"content-length", b"0")
    return b"POST / HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n\r\n"
