"""HTTP/1.1 over a raw socket: for what a client library would tidy up before it is sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from support.programs.ports import HOST

__all__ = ["RawConnection", "RawResponse", "connect", "exchange", "request_bytes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """One response as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of a repeated one the last."""

    body: bytes


def request_bytes(
    method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """Return a request: Host and Content-Length are added where they are not given."""
    fields = {"Host": "hooks.example.com"}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class RawConnection:
    """One TCP connection that sends what it is given and reads whole responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take an open connection; use `connect` to get one."""
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def response(self, *, within: float = 10.0) -> RawResponse:
        """Read one response; raises TimeoutError or EOFError where none comes."""
        async with asyncio.timeout(within):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields = [line.partition(":") for line in lines if line]
            headers = {name.strip().lower(): value.strip() for name, _, value in fields}
            return RawResponse(
                status=int(first.split(" ", 2)[1]),
                headers=headers,
                body=await self._body(headers),
            )

    async def closed(self, *, within: float = 10.0) -> bool:
        """Say whether the other side ends the connection within the time, sending nothing more."""
        try:
            async with asyncio.timeout(within):
                return await self._reader.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return body


@contextlib.asynccontextmanager
async def connect(port: int, host: str = HOST) -> AsyncIterator[RawConnection]:
    """Give a connection that is closed at the end of the block."""
    reader, writer = await asyncio.open_connection(host, port)
    connection = RawConnection(reader, writer)
    try:
        yield connection
    finally:
        await connection.close()


async def exchange(
    port: int, data: bytes, *, within: float = 10.0, host: str = HOST
) -> RawResponse:
    """Send bytes over a new connection and read one response."""
    async with connect(port, host) as connection:
        await connection.send(data)
        return await connection.response(within=within)
