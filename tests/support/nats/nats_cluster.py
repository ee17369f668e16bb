"""Three real nats-servers that are one cluster."""

import contextlib
from pathlib import Path

from nats.errors import Error as NatsError
from nats.js.errors import APIError
from typing_extensions import override

from support.nats.nats_server import NatsServer
from support.programs.ports import HOST, free_ports
from support.programs.scope import Scope
from support.timing.wait import eventually

__all__ = ["NatsCluster"]

_CONFIG = """\
cluster {{
  name: forebay-test
  listen: "{host}:{port}"
  routes: [{routes}]
}}
# Before a server in lame duck mode begins to close connections; 10 s by default.
lame_duck_grace_period: "1s"
lame_duck_duration: "30s"
"""


class NatsCluster(Scope):
    """Started together; each can be killed, stopped or frozen by itself."""

    def __init__(self, folder: Path, *, sync_always: bool = False) -> None:
        """Lay out three servers; `sync_always` has each flush every message to disk."""
        super().__init__()
        ports = free_ports(3)
        routes = ", ".join(f"nats://{HOST}:{port}" for port in ports)
        self.servers = tuple(
            NatsServer(
                folder / name,
                name=name,
                sync_always=sync_always,
                config=_CONFIG.format(host=HOST, port=port, routes=routes),
            )
            for name, port in zip(("nats-a", "nats-b", "nats-c"), ports, strict=True)
        )

    async def leader(self, stream: str) -> NatsServer:
        """Return the server that leads a stream, as soon as one does."""

        async def ask() -> str | None:
            async with self._running().client() as client:
                try:
                    cluster = (await client.jetstream().stream_info(stream)).cluster
                except (APIError, NatsError):
                    return None
            return cluster.leader if cluster is not None else None

        name = await eventually(ask, within=20, saying=f"{stream} to have a leader")
        return next(server for server in self.servers if server.name == name)

    async def in_sync(self, stream: str) -> None:
        """Wait until a stream has its leader and every copy is up to date: the next may go."""

        async def ask() -> bool:
            async with self._running().client() as client:
                try:
                    cluster = (await client.jetstream().stream_info(stream)).cluster
                except (APIError, NatsError):
                    return False
            if cluster is None or not cluster.leader:
                return False
            copies = cluster.replicas or []
            return len(copies) == len(self.servers) - 1 and all(each.current for each in copies)

        await eventually(ask, within=30, saying=f"all copies of {stream} to be up to date")

    def others(self, *those: NatsServer) -> list[NatsServer]:
        """Return the servers that are none of those."""
        return [server for server in self.servers if server not in those]

    def _running(self) -> NatsServer:
        return next(server for server in self.servers if server.running)

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start all three; they elect their leader meanwhile."""
        for server in self.servers:
            await cleanup.enter_async_context(server)
