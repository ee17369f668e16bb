"""A destination that costs as little as one can: answers 200 to every POST and notes when it came.

    python -m support.destinations.quick_sink HOST PORT
        one process of its own
    python -m support.destinations.quick_sink HOST PORT TLS_PORT CERTIFICATE KEY
        at a second port over TLS, too

`GET /count` says how many came, `GET /arrivals` lists each `webhook-id` with its Unix time, and
`DELETE /` forgets them. A batch counts as its items, each with the batch's own id.
`PUT /refused/PREFIX`: from now on 503 where the `webhook-id` begins with that, everywhere without a
prefix; `PUT /taken`: nowhere.
"""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Final, Self, cast

import httptools
import msgspec
import uvloop
from typing_extensions import override

from support.programs.authority import Certificate
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

__all__ = ["QuickSink"]

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

_REFUSED: Final = b"/refused/"


class _Ledger:
    """What came, and what is refused; of all connections."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[str, float]] = []
        self.refused: str | None = None
        """Keys that begin so are answered 503."""


class _Exchange(asyncio.Protocol):
    """One connection."""

    def __init__(self, ledger: _Ledger) -> None:
        self._ledger = ledger
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.WriteTransport | None = None
        self._target = b""
        self._key = ""
        self._items = 1

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.WriteTransport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self._key = value.decode()
        elif name.lower() == b"forebay-items":
            self._items = int(value)

    def on_message_complete(self) -> None:
        assert self._transport is not None
        method = self._parser.get_method()
        ledger = self._ledger
        if method == b"POST":
            if ledger.refused is not None and self._key.startswith(ledger.refused):
                self._transport.write(_UNAVAILABLE)
                return
            ledger.arrivals += [(self._key, time.time())] * self._items
            self._items = 1
            self._transport.write(_OK)
            return
        if method == b"DELETE":
            ledger.arrivals.clear()
        elif method == b"PUT":
            is_refusing = self._target.startswith(_REFUSED)
            ledger.refused = self._target[len(_REFUSED) :].decode() if is_refusing else None
        shown = ledger.arrivals if self._target == b"/arrivals" else len(ledger.arrivals)
        body = msgspec.json.encode(shown)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


class QuickSink:
    """The process, seen from a bench."""

    def __init__(
        self, folder: Path, certificate: Certificate | None = None, host: str = HOST
    ) -> None:
        self.host = host
        """Loopback, or the bridge of a cluster on this machine."""

        self.port = free_port()
        self.tls_port = 0 if certificate is None else free_port()
        """Where it speaks TLS with that certificate, if it has one."""

        self._certificate = certificate
        self._program = Program("the sink", folder / "sink.log")
        self._folder = folder

    def url(self, path: str = "/") -> str:
        """Return its address."""
        return f"http://{self.host}:{self.port}{path}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._program.pid

    async def count(self) -> int:
        """Return how many items came."""
        return int(await self._ask("GET", "/count"))

    async def arrivals(self) -> list[tuple[str, float]]:
        """Return what came, in order: `webhook-id` and Unix time."""
        answer = await self._ask("GET", "/arrivals")
        return msgspec.json.decode(answer, type=list[tuple[str, float]])

    async def forget(self) -> None:
        """Begin to count from 0."""
        await self._ask("DELETE", "/")

    async def refuse(self, prefix: str = "") -> None:
        """Answer 503 where the key begins with that; everywhere if nothing is given."""
        await self._ask("PUT", f"/refused/{prefix}")

    async def take_all(self) -> None:
        """Answer 200 again."""
        await self._ask("PUT", "/taken")

    def _tls_arguments(self) -> list[str]:
        made = self._certificate
        return [] if made is None else [str(self.tls_port), str(made.path), str(made.key_path)]

    async def _ask(self, method: str, path: str) -> bytes:
        request = request_bytes(method, path)
        return (await exchange(self.port, request, host=self.host, within=60)).body

    async def __aenter__(self) -> Self:
        """Start it."""
        self._program.launch(
            [
                sys.executable,
                "-m",
                "support.destinations.quick_sink",
                self.host,
                str(self.port),
                *self._tls_arguments(),
            ],
            cwd=self._folder,
            environment={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "PYTHONSAFEPATH": "1",
            },
        )

        async def answers() -> bool:
            self._program.check()
            with contextlib.suppress(OSError):
                return await self.count() == 0
            return False

        try:
            await eventually(answers, saying="the sink to answer")
        except BaseException:
            await self._program.end(signal.SIGKILL, within=10)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self._program.end(signal.SIGTERM, within=10)


async def _serve(
    host: str, port: int, tls_port: str = "", certificate: str = "", key: str = ""
) -> None:
    ledger = _Ledger()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.create_server(lambda: _Exchange(ledger), host, port, backlog=1024)
    if tls_port:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        await loop.create_server(
            lambda: _Exchange(ledger), host, int(tls_port), backlog=1024, ssl=tls
        )
    await stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
