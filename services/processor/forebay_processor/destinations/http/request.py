"""The head of a request: what is the same for all requests to a destination is written once.

A header's value may be a stranger's. One that would end its line is refused, so that nobody writes
headers, or a request of their own, behind it.
"""

import base64
from collections.abc import Mapping
from typing import Final

from yarl import URL

from forebay import __version__

__all__ = ["RequestHead", "UnsafeHeader"]

_FRAMING: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""What says where a request ends and to whom it goes: no manifest has a say in these."""

_DEFAULTS: Final = {"Accept": "*/*", "User-Agent": f"Forebay/{__version__}"}
"""Where a manifest does not say anything else."""

_STARTS: Final = 64
"""Sets of names that are remembered: a signature more or less, and what a webhook came with."""


class UnsafeHeader(ValueError):  # noqa: N818  # named for what it is
    """A header's value would end its line."""


class RequestHead:
    """Writes the heads of POSTs to one URL."""

    def __init__(self, url: URL, own: Mapping[str, str]) -> None:
        """Write what is always the same.

        Args:
            url: Where to; a user and password in it become `Authorization`.
            own: The manifest's headers. They give way to whatever a request has by itself.

        Raises:
            ValueError: where one of them would end its line, or is no text.
        """
        given = {name: value for name, value in own.items() if name.lower() not in _FRAMING}
        names = {name.lower() for name in given}
        defaults = dict(_DEFAULTS)
        if url.raw_user or url.raw_password:
            pair = f"{url.user or ''}:{url.password or ''}".encode("latin1")
            defaults["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        given |= {name: value for name, value in defaults.items() if name.lower() not in names}
        self._first = f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n"
        self._own = {name.lower(): _lines({name: value}) for name, value in given.items()}
        self._starts: dict[frozenset[str], str] = {}

    def write(self, headers: Mapping[str, str], length: int) -> bytes:
        """Return the head of one request, with the empty line at its end.

        Args:
            headers: Those of this request.
            length: Bytes of its body.

        Raises:
            ValueError: where one of them would end its line, or is no text.
        """
        start = self._starts.get(names := frozenset(headers))
        if start is None:
            start = self._start(names)
        return f"{start}{_lines(headers)}Content-Length: {length}\r\n\r\n".encode()

    def _start(self, names: frozenset[str]) -> str:
        ours = {name.lower() for name in names}
        own = [line for name, line in self._own.items() if name not in ours]
        start = self._first + "".join(own)
        if len(self._starts) < _STARTS:
            self._starts[names] = start
        return start


def _lines(headers: Mapping[str, str]) -> str:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    count = len(headers)
    if text.count("\n") != count or text.count("\r") != count or "\0" in text:
        message = "a header's value would end its line"
        raise UnsafeHeader(message)
    return text
