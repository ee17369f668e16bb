"""A provider's client that remembers every sending: what, where to, which answer, how long it took.

It takes the place of the simulator's own sender. The time of an answer is the kernel's note of when
its bytes arrived (SO_TIMESTAMPNS), not when this process came to read them: on a busy machine the
test itself may be late, and that must neither hide a late answer nor make one up.
"""

import asyncio
import contextlib
import hashlib
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from forebay_simulator.sender import ACCEPTED, Answer
from support.programs.ports import HOST

__all__ = ["RecordingSender", "Sending"]

PATIENCE_SECONDS: Final = 6.0
"""Far above what a receiver may take: who is cut off here has broken its promise already."""

_TIMESTAMP: Final = getattr(socket, "SO_TIMESTAMPNS", 35)
"""Linux' number where Python has no name for it yet."""

_TIMESPEC: Final = struct.Struct("qq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One request and what came of it; times are seconds since the epoch."""

    body: str
    """SHA-256 of the body."""

    port: int
    """Which receiver it went to."""

    sent_at: float
    answered_at: float
    answer: Answer
    retry_after: str | None = None

    @property
    def took(self) -> float:
        """Seconds from sending to the answer, or to the end without one."""
        return self.answered_at - self.sent_at


class RecordingSender:
    """A Sender of the simulator. It never waits for one answer before it sends the next body."""

    def __init__(self, path: str, targets: Callable[[], Sequence[int]]) -> None:
        """Prepare; connections open as they are needed.

        Args:
            path: Where webhooks go.
            targets: Asked for each body: the ports of the receivers that get it, at the same time.
        """
        self._head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n".encode()
        self._targets = targets
        self._idle: defaultdict[int, list[_Line]] = defaultdict(list)
        self._lines: set[_Line] = set()
        self.begun = 0
        """Requests that were sent, answered or not."""

        self.sendings: list[Sending] = []
        """In the order in which they ended."""

    async def post(self, body: bytes, headers: bytes) -> Answer:
        """Send a body to its targets; 200 only where all of them say so."""
        request = b"%bContent-Length: %d\r\n%b\r\n%b" % (self._head, len(body), headers, body)
        digest = hashlib.sha256(body).hexdigest()
        ports = self._targets()
        if len(ports) == 1:
            return await self._post(ports[0], request, digest)
        answers = await asyncio.gather(*(self._post(port, request, digest) for port in ports))
        return next((answer for answer in answers if answer != ACCEPTED), ACCEPTED)

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        for line in list(self._lines):
            line.close()

    async def _post(self, port: int, request: bytes, digest: str) -> Answer:
        began, reply = time.time(), _Reply("connection")
        self.begun += 1
        with contextlib.suppress(OSError):
            line = await self._line(port)
            reply = await line.exchange(request)
            began = line.sent_at
            if line.is_open:
                self._idle[port].append(line)
            else:
                self._lines.discard(line)
        self.sendings.append(
            Sending(
                body=digest,
                port=port,
                sent_at=began,
                answered_at=reply.at or time.time(),
                answer=reply.answer,
                retry_after=reply.retry_after,
            )
        )
        return reply.answer

    async def _line(self, port: int) -> "_Line":
        idle = self._idle[port]
        while idle:
            line = idle.pop()
            if line.is_open:
                return line
            self._lines.discard(line)
        connection = socket.socket()
        try:
            connection.setblocking(False)  # noqa: FBT003  # the socket module's own argument
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
            await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
        except BaseException:
            connection.close()
            raise
        line = _Line(connection)
        self._lines.add(line)
        return line


class _Reply(NamedTuple):
    answer: Answer
    at: float = 0.0
    """When it arrived; 0 where none did."""

    retry_after: str | None = None


class _Line:
    """One kept connection with one request at a time; it notices its end while it is idle, too."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)
        self._waiting: asyncio.Future[_Reply] | None = None
        self._got = b""
        self.is_open = True
        self.sent_at = 0.0
        """When the last request had left."""

    async def exchange(self, request: bytes) -> _Reply:
        """Send a request and wait for its answer."""
        self._waiting = self._loop.create_future()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._loop.sock_sendall(self._socket, request)
                self.sent_at = time.time()
                return await self._waiting
        except TimeoutError:
            self.close()
            return _Reply("timeout", time.time())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; who waits for an answer gets none."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._socket)
            self._socket.close()
        self._answer(_Reply("connection"))

    def _read(self) -> None:
        try:
            data, notes, _, _ = self._socket.recvmsg(65_536, socket.CMSG_SPACE(_TIMESPEC.size))
        except BlockingIOError:
            return
        except OSError:
            data, notes = b"", []
        if not data or self._waiting is None:
            self.close()
            return
        self._got += data
        # The receiver's answers to webhooks have no body: the head is all there is.
        head, end, self._got = self._got.partition(b"\r\n\r\n")
        if not end:
            self._got = head
            return
        status, *lines = head.decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        reply = _Reply(int(status.split(" ")[1]), _arrival(notes), fields.get("retry-after"))
        self._answer(reply)
        if fields.get("connection") == "close":
            self.close()

    def _answer(self, reply: _Reply) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


def _arrival(notes: Sequence[tuple[int, int, bytes]]) -> float:
    """Return when the kernel took in what was just read; now, where it does not say."""
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMP) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds + nanoseconds / 1e9)
    return time.time()
