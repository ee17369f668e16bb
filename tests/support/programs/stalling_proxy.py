"""A TCP proxy that can fall silent: it accepts connections, and nothing comes through."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from support.programs.ports import HOST

__all__ = ["StallingProxy"]

_AT_ONCE = 65_536


class StallingProxy:
    """Passes bytes on between clients and a server of this machine."""

    def __init__(self, port: int) -> None:
        """Name the server's port; nothing listens before `async with`."""
        self._target = port
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where clients connect."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stall(self) -> None:
        """Pass nothing on from now: what clients send is taken, and stays here."""
        self._flows.clear()

    def drop(self) -> None:
        """End all connections; new ones are accepted."""
        for task in self._tasks:
            task.cancel()

    def resume(self) -> None:
        """Pass on what has piled up, and all that comes."""
        self._flows.set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop all connections."""
        assert self._server is not None
        self._server.close()
        self.drop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        try:
            async with asyncio.TaskGroup() as group:
                ways = [
                    group.create_task(self._pass_on(reader, far_writer)),
                    group.create_task(self._pass_on(far_reader, writer)),
                ]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        finally:
            far_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task group would make a group of errors of a side that was killed.
        with contextlib.suppress(OSError):
            while data := await reader.read(_AT_ONCE):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
