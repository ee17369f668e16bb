"""A campaign's world on this machine: nats-server, a receiver and processors as processes."""

import contextlib
import time
from pathlib import Path
from typing import Final

import msgspec
from typing_extensions import override

from forebay.core.tables import Retry
from forebay.runtime.jetstream.streams import ShardConfig
from support.destinations.quick_sink import QuickSink
from support.inputs.tables import endpoint, http_destination, route
from support.processor.backlog import resident_mib
from support.processor.campaign import World
from support.processor.shares import ALL, processors, shares
from support.programs.processes import Part
from support.programs.scope import Scope
from support.programs.stack import Stack
from support.timing.wait import eventually

__all__ = ["WorldOfProcesses", "shard_for"]

CAMPAIGN: Final = "demo/campaign"
OTHERS: Final = "demo/others"

TAKEOVER_SECONDS: Final = 30.0
"""Given up after that."""

IN_FLIGHT: Final = 9_900
"""Of an endpoint whose number sends 1,000 messages/s: three seconds' worth."""


class WorldOfProcesses(Scope, World):
    """One receiver and two processors."""

    def __init__(self, folder: Path, shard: ShardConfig, retry: Retry) -> None:
        """Lay it out.

        Args:
            folder: For what the parts store.
            shard: With room for all items.
            retry: Of the campaign's destination.
        """
        super().__init__()
        self._stack = Stack(folder, shard=shard)
        self._retry = retry
        self.sink = QuickSink(folder / "sink")
        self.others_sink = QuickSink(folder / "others")
        for each in ("sink", "others"):
            (folder / each).mkdir()
        self.campaign_url = self.others_url = ""
        self._receiver: Part | None = None
        self._processors: list[Part] = []
        self._kills = 0

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start all of it."""
        stack = await cleanup.enter_async_context(self._stack)
        for sink in (self.sink, self.others_sink):
            await cleanup.enter_async_context(sink)
        stack.tables.write_routes(
            *(route(name, max_in_flight=IN_FLIGHT) for name in (CAMPAIGN, OTHERS))
        )
        stack.tables.write_endpoints(
            endpoint(http_destination(self.sink.url(), retry=self._retry), name=CAMPAIGN),
            endpoint(http_destination(self.others_sink.url()), name=OTHERS),
        )
        self._receiver = await stack.receiver()
        self._processors = await processors(stack, 2)
        self.campaign_url = self._receiver.url(f"/v1/webhooks/{CAMPAIGN}")
        self.others_url = self._receiver.url(f"/v1/webhooks/{OTHERS}")

    @override
    async def memory(self) -> dict[str, float]:
        """Return what each part has in memory now, in MiB; of several alike the most."""
        assert self._receiver is not None
        running = [part.pid for part in self._processors if part.running]
        return {
            "nats-server": resident_mib(self._stack.nats_server.pid),
            "receiver": resident_mib(self._receiver.pid),
            "processor": max(map(resident_mib, running), default=0.0),
        }

    @override
    async def kill_processor(self) -> float:
        """Kill one, in turns; it comes back when the other one has all partitions."""
        part = self._processors[self._kills % len(self._processors)]
        self._kills += 1
        others = [each for each in self._processors if each is not part]
        began = time.monotonic()
        await part.kill()

        async def have_all() -> bool:
            return set().union(*await shares(others)) == ALL

        await eventually(have_all, saying="the others to have all", within=TAKEOVER_SECONDS)
        seconds = time.monotonic() - began
        await part.start(until_ready=False)
        return seconds


def shard_for(items: int) -> ShardConfig:
    """Return streams with room for so many items."""
    room = 64 * 1024 * 1024 + items * 2_048
    return msgspec.structs.replace(
        ShardConfig(), raw_max_bytes=room, events_max_bytes=room, retry_max_bytes=room
    )
