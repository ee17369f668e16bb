"""The disk of NATS is full under a receiver and two processors, and has room again.

What got a 200 is delivered, once; that a server which met a full disk has to be started anew is
what the cluster's probe does (docs/design/0004).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.nats.nats_server import NatsServer
from support.processor.shares import processors
from support.programs.small_disk import SmallDisk, small_disk
from support.programs.stack import Stack
from support.programs.under_load import IN_FLIGHT, assert_all_delivered, play
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(90)

SIZE = "48m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Give a disk where NATS keeps its store."""
    with small_disk(tmp_path / "nats" / "store", SIZE) as mounted:
        yield mounted


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_nothing_is_lost_and_nothing_stands_still(
    tmp_path: Path, disk: SmallDisk, how: str
) -> None:
    # NATS may take more than the disk has, as where something else fills a volume.
    server = NatsServer(tmp_path / "nats", max_file_store="1GB")
    async with Stack(tmp_path, nats_server=server) as stack:
        stack.serve_demo()
        receiver = await stack.receiver()
        await processors(stack, 2)
        async with play(receiver, rate=60, seconds=14, batch=1) as playing:
            await eventually(lambda: len(stack.sink.keys) >= 100, saying="traffic to flow")
            disk.fill()
            await eventually(
                lambda: receiver.metric("forebay_receiver_requests_total", outcome="unavailable"),
                within=20,
                saying="webhooks to be refused",
            )
            disk.make_room()
            await (server.stop() if how == "stop" else server.kill())
            await server.start()
            result = await playing
        await assert_all_delivered(stack, result, refused=frozenset({"503"}), repeats=IN_FLIGHT)
