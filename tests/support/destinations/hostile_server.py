"""An HTTP server that says what a test wants, byte for byte, however wrong it is."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from support.programs.ports import HOST

__all__ = ["Hostile", "Peer", "Script", "answering"]


@dataclass(slots=True, kw_only=True)
class Peer:
    """One connection, as the server sees it."""

    number: int
    """1 for the first."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ended: asyncio.Event
    """Set when the server is to end."""

    heads: list[bytes] = field(default_factory=list)
    """Of the requests that came."""

    bodies: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """Read a whole request and return its body; raises EOFError where none comes."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        fields = head.lower().partition(b"content-length:")[2]
        self.bodies.append(await self.reader.readexactly(int(fields.split(b"\r\n")[0])))
        return self.bodies[-1]

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def is_left(self) -> bool:
        """Wait until the client ends the connection, whatever it sends before."""
        with contextlib.suppress(OSError):
            while await self.reader.read(65536):
                pass
        return True

    def reset(self) -> None:
        """Break the connection."""
        made = self.writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hold(self) -> None:
        """Say nothing more, and stay."""
        await self.ended.wait()


Script = Callable[[Peer], Awaitable[None]]


class Hostile:
    """A server in the test's own process; each connection follows the script."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; it listens within `async with`."""
        self.port = 0
        self.peers: list[Peer] = []
        """The connections that came, in their order."""

        self.left = 0
        """How many connections are over."""

        self.faults: list[BaseException] = []
        """What scripts raised by themselves."""

        self._script = script
        self._tls = tls
        self._ended = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> int:
        """How many whole requests came."""
        return sum(len(peer.bodies) for peer in self.peers)

    def url(self, host: str = HOST) -> str:
        """Return its address."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host}:{self.port}/in"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._meet, HOST, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        self._ended.set()
        for peer in self.peers:
            peer.writer.transport.abort()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        assert self.faults == []

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(number=len(self.peers) + 1, reader=reader, writer=writer, ended=self._ended)
        self.peers.append(peer)
        task = asyncio.create_task(self._follow(peer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _follow(self, peer: Peer) -> None:
        try:
            # Where the client is gone there is nobody to go on for.
            with contextlib.suppress(EOFError, OSError):
                await self._script(peer)
        except Exception as fault:  # noqa: BLE001  # raised when the server ends
            self.faults.append(fault)
        finally:
            self.left += 1
            peer.writer.close()


def answering(data: bytes, then: str = "keep") -> Script:
    """Return a script that answers every request so.

    Args:
        data: The answer; empty for none.
        then: `keep` to take the next request, `close`, `reset`, or `hold` for silence.
    """

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(data)
            if then == "close":
                return
            if then == "reset":
                peer.reset()
                return
            if then == "hold":
                await peer.hold()

    return script
