"""The leader of three real nats-servers moves under webhooks: each is stored once, and answered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.streams import ShardConfig, stream_config
from forebay.runtime.settings import NatsSettings
from forebay_receiver.adapters.store import JetStreamStore
from support.nats.nats_cluster import NatsCluster
from support.nats.streams import read_stream
from support.receiver.receiver_harness import RAW
from support.receiver.receiver_store import RecordedResults, storing
from support.timing.wait import eventually

MOVES = 3
BUDGET = 20.0
"""Longer than a receiver's: an election on a busy machine is not what is tested."""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    """Give three servers with RAW in three copies."""
    shard = ShardConfig(replicas=3, raw_max_bytes=64 * 1024 * 1024)
    async with NatsCluster(tmp_path) as running, running.servers[0].client() as client:

        async def is_made() -> bool:
            try:
                await client.jetstream().add_stream(stream_config(StreamKind.RAW, shard))
            except Exception:  # noqa: BLE001  # the cluster has no leader yet
                return False
            return True

        await eventually(is_made, within=20, saying="RAW to be made")
        await running.in_sync(RAW)
        yield running


async def test_the_leader_is_moved_again_and_again(cluster: NatsCluster) -> None:
    urls = ",".join(server.url for server in cluster.servers)
    sent: list[RecordedResults] = []
    async with storing(NatsSettings(url=urls)) as store, cluster.servers[0].client() as client:
        await eventually(store.answered_lately, saying="the stream's sign of life")
        for _ in range(MOVES):
            before = await cluster.leader(RAW)
            moving = asyncio.create_task(
                client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{RAW}", timeout=5)
            )
            while not moving.done():
                sent.append(send(store, len(sent)))
                await asyncio.sleep(0.001)
            await moving
            for _ in range(100):
                sent.append(send(store, len(sent)))
                await asyncio.sleep(0.001)
            await eventually(lambda: all(each.results for each in sent), within=BUDGET)
            assert await cluster.leader(RAW) is not before
        stored = [message.data for message in await read_stream(client, RAW)]
    assert [type(each.results[0]) for each in sent] == [PubAck] * len(sent)
    assert sorted(stored) == sorted(each.payload for each in sent)


def send(store: JetStreamStore, number: int) -> RecordedResults:
    webhook = RecordedResults(store, b"%d" % number, BUDGET, message_id=str(number))
    store.store(webhook)
    return webhook
