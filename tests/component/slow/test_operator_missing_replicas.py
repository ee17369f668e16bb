"""The operator sees that one of three servers of NATS is away, though everything goes on."""

import asyncio
from pathlib import Path

from forebay.runtime.jetstream.streams import ShardConfig
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.streams import JetStreams
from forebay_operator.errors import StreamsUnavailable
from support.nats.nats_cluster import NatsCluster
from support.timing.wait import eventually

MEBIBYTE = 1024 * 1024

SHARD = ShardConfig(
    raw_max_bytes=8 * MEBIBYTE,
    events_max_bytes=8 * MEBIBYTE,
    retry_max_bytes=8 * MEBIBYTE,
    dead_max_bytes=8 * MEBIBYTE,
    replicas=3,
)


async def test_each_stream_lacks_the_server_that_was_killed_until_it_is_back(
    tmp_path: Path,
) -> None:
    async with NatsCluster(tmp_path) as cluster:
        home, _, victim = cluster.servers
        streams = JetStreams(NatsSettings(url=home.url))
        task = asyncio.create_task(streams.run())

        async def missing() -> dict[str, int]:
            try:
                found = await streams.states("0")
            except StreamsUnavailable:
                return {}  # a stream elects its leader
            return {each.name: each.missing_replicas for each in found}

        async def ensured() -> bool:
            try:
                await streams.ensure(SHARD)
            except StreamsUnavailable:
                return False  # the servers elect their leader
            return True

        async def is_missing(count: int) -> bool:
            found = await missing()
            return len(found) == 4 and set(found.values()) == {count}

        try:
            await eventually(streams.connections.is_set, within=20, saying="a connection")
            await eventually(ensured, within=40, saying="the streams to be made")
            await eventually(lambda: is_missing(0), within=20, saying="all servers to be there")
            await victim.kill()
            await eventually(lambda: is_missing(1), within=30, saying="one to be missed")
            await victim.start()
            await eventually(lambda: is_missing(0), within=30, saying="it to be back")
        finally:
            task.cancel()
            await asyncio.wait([task])
