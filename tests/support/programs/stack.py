"""All of Forebay for one test: nats-server, a sink, tables, and the parts as processes."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from typing_extensions import override

from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard
from support.destinations.sink import Sink
from support.inputs.tables import Tables, endpoint, http_destination, route
from support.nats.nats_server import NatsServer
from support.programs.processes import Part, PartKind
from support.programs.scope import Scope

__all__ = ["SHARD", "Stack"]

_MEBIBYTE = 1024 * 1024

SHARD = ShardConfig(
    raw_max_bytes=64 * _MEBIBYTE,
    events_max_bytes=64 * _MEBIBYTE,
    retry_max_bytes=32 * _MEBIBYTE,
    dead_max_bytes=32 * _MEBIBYTE,
    index_max_bytes=32 * _MEBIBYTE,
)
"""Streams as they are shipped, but small: the server reserves what they may grow to."""


class Stack(Scope):
    """What runs beside each other on one machine; nothing is started before it is asked for.

    At the end everything is stopped, and an error in a part's log that no test expected fails.
    """

    def __init__(
        self, folder: Path, *, nats_server: NatsServer | None = None, shard: ShardConfig = SHARD
    ) -> None:
        """Lay out the folders; the server and its streams may be of the test's own making."""
        super().__init__()
        self.folder = folder
        self.shard = shard
        self.nats_server = nats_server or NatsServer(folder / "nats")
        self.sink = Sink()
        self.tables = Tables(folder / "tables")
        self.parts: list[Part] = []

    def part(self, kind: PartKind, **settings: str) -> Part:
        """Prepare a part of this stack; settings go by name of the environment variable."""
        part = Part(
            kind,
            folder=self.folder / kind,
            nats_url=self.nats_server.url,
            table_dir=(
                self.tables.receiver_folder if kind == "receiver" else self.tables.processor_folder
            ),
            settings=settings,
        )
        self.parts.append(part)
        return part

    async def receiver(self, **settings: str) -> Part:
        """Start a receiver and wait until it is ready."""
        part = self.part("receiver", **settings)
        await part.start()
        return part

    async def processor(self, **settings: str) -> Part:
        """Start a processor and wait until it is ready."""
        part = self.part("processor", **settings)
        await part.start()
        return part

    async def provision(self) -> None:
        """Make the shard's streams and consumers, as `forebay run` or the operator does."""
        async with self.nats_server.client() as client:
            await ensure_shard(client, self.shard)

    def serve_demo(self) -> None:
        """Write tables with the endpoint `demo/meta`, delivered to the sink."""
        self.tables.write_routes(route())
        self.tables.write_endpoints(endpoint(http_destination(self.sink.url())))

    def unexpected_errors(self) -> Mapping[str, list[str]]:
        """Return what parts logged as errors though no test expected it, by part."""
        found = {part.log.name: part.unexpected_errors() for part in self.parts}
        return {name: lines for name, lines in found.items() if lines}

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start NATS with the shard's streams, and the sink; parts come when the test asks."""
        await cleanup.enter_async_context(self.nats_server)
        await cleanup.enter_async_context(self.sink)
        await self.provision()

    @override
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the parts first, then what they need, and judge their logs."""
        self.sink.release()
        for part in self.parts:
            self._cleanup.push_async_callback(part.close)
        await super().__aexit__(kind, error, trace)
        errors = self.unexpected_errors()
        if errors and error is None:
            listed = "\n".join(f"{name}: {line}" for name in errors for line in errors[name])
            message = f"errors in the logs that the test did not expect:\n{listed}"
            raise AssertionError(message)
