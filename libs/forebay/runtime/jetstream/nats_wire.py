"""The NATS client protocol, as much of it as publishing to JetStream takes.

Bytes in, calls out: this module knows commands and framing, `publisher` knows what they mean.
Source: the NATS client protocol reference and ADR-4 (headers), ADR-40 (connection handling).
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

import msgspec
from typing_extensions import override

from forebay.runtime.jetstream.server_identity import ServerIdentity

__all__ = [
    "PING",
    "ServerInfo",
    "WireListener",
    "WireProtocol",
    "connect_command",
    "encode_headers",
]

PING: Final = b"PING\r\n"
PONG: Final = b"PONG\r\n"

LINE_LIMIT: Final = 1024 * 1024
"""Bytes of a command's line; a large cluster's INFO has some 10 KiB. More is no NATS server."""


class ServerInfo(msgspec.Struct, frozen=True):
    """What a server says of itself; fields that are not needed here are skipped."""

    max_payload: int = 1024 * 1024
    tls_required: bool = False
    tls_available: bool = False
    auth_required: bool = False
    headers: bool = False
    nonce: str = ""
    connect_urls: tuple[str, ...] = ()
    """Other servers of the cluster, `host:port`."""

    ldm: bool = False
    """Lame duck mode: the server is going to stop, clients should go elsewhere."""

    version: str = ""
    server_id: str = ""
    cluster: str = ""

    def identity(self, peer: object) -> ServerIdentity:
        """Return which server this is; `peer` is the address as asyncio has it."""
        address = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) and len(peer) > 1 else ""
        return ServerIdentity(self.server_id, self.cluster, frozenset(self.connect_urls), address)


class WireListener(Protocol):
    """Receives what comes over one connection."""

    def on_info(self, info: ServerInfo) -> None:
        """The server described itself: at the start, and whenever its cluster changes."""

    def on_message(self, subject: bytes, payload: bytes) -> None:
        """A message came; an empty payload is a status without content."""

    def on_pong(self) -> None:
        """An answer to our PING."""

    def on_error(self, text: str) -> None:
        """The server refused something; it may close the connection after that."""

    def on_lost(self) -> None:
        """The connection is gone."""


_DECODE_INFO = msgspec.json.Decoder(ServerInfo).decode


class WireProtocol(asyncio.Protocol):
    """One connection to one server."""

    def __init__(self, listener: WireListener) -> None:
        self._listener = listener
        self._rest = b""
        self.transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called again when TLS is put over the connection."""
        self.transport = cast("asyncio.Transport", transport)
        # uvloop keeps what is written until the end of the turn, as long as it is below this limit.
        # Nobody is paused by it: how much is in flight is limited before anything is published.
        self.transport.set_write_buffer_limits(high=0)

    @override
    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's signature
        """End."""
        self.transport = None
        self._listener.on_lost()

    def write(self, data: bytes) -> None:
        """Send bytes; after the end of the connection they go nowhere."""
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        """End the connection without waiting for what is still to be sent."""
        if self.transport is not None:
            self.transport.abort()

    @override
    def data_received(self, data: bytes) -> None:
        """Take what came apart into commands."""
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        find, on_message = data.find, self._listener.on_message
        while position < size:
            end = find(b"\r\n", position)
            if end < 0:
                if size - position > LINE_LIMIT:
                    self.close()
                    return
                break
            if data.startswith(b"MSG ", position):
                # MSG <subject> <sid> [reply] <bytes>
                fields = data[position + 4 : end].split(b" ")
                start, stop = end + 2, end + 2 + int(fields[-1])
                if size < stop + 2:
                    break
                on_message(fields[0], data[start:stop])
                position = stop + 2
            elif data.startswith(b"HMSG ", position):
                # HMSG <subject> <sid> [reply] <bytes of headers> <bytes in all>
                fields = data[position + 5 : end].split(b" ")
                start, stop = end + 2, end + 2 + int(fields[-1])
                if size < stop + 2:
                    break
                on_message(fields[0], data[start + int(fields[-2]) : stop])
                position = stop + 2
            else:
                self._command(data[position:end])
                position = end + 2
        self._rest = data[position:]

    def _command(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        match word.upper():
            case b"PING":
                self.write(PONG)
            case b"PONG":
                self._listener.on_pong()
            case b"INFO":
                self._listener.on_info(_DECODE_INFO(rest))
            case b"-ERR":
                self._listener.on_error(rest.decode("utf-8", "replace").strip("' "))
            case b"+OK":
                return
            case _:
                # No NATS server: what follows cannot be understood either.
                self.close()


def connect_command(options: Mapping[str, Any]) -> bytes:
    """Return a CONNECT; `options` as the protocol's reference names them."""
    return b"CONNECT " + msgspec.json.encode(options) + b"\r\n"


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Return a header block (ADR-4): `NATS/1.0`, one line for each header, an empty line.

    Raises:
        ValueError: where a name or value holds a line break; it would add headers of its own.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\r") == lines.count("\n") == len(headers):
        message = "a header holds a line break"
        raise ValueError(message)
    return f"NATS/1.0\r\n{lines}\r\n".encode()
