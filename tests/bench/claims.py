"""What claims cost: the memory and disk of nats-server for each key that EVENTS retains.

EVENTS is as shipped: one message a subject, a second one refused. Into it go items of one text
message each, in subjects as the processor writes them, spread over the partitions. Memory is the
server's resident set less what the empty server had: once right after the publishes, and once after
a restart, when nothing is left over from publishing.

    make bench-claims                                   1 million keys: a minute
    make bench-claims ARGS="--keys 1000000 10000000"    10 million too: 10 minutes, 6 GB of memory,
                                                        10 GB of disk
    make bench-claims ARGS="--record"                   keep the result in docs/results/
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import psutil

from bench.records import Section, keep, show
from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    EventSubject,
    Lane,
    StreamKind,
    conversation_partition,
    key_token,
    stream_name,
)
from forebay.runtime.jetstream.errors import ClaimedBefore
from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard
from forebay.runtime.settings import NatsSettings
from support.inputs.bulk_webhooks import texts
from support.inputs.splitting import split
from support.inputs.tables import ENDPOINT
from support.nats.nats_server import NatsServer
from support.nats.publishing import publishing

GIBIBYTE = 1024**3

AT_ONCE = 2_000

SECONDS = 60.0

LONG_SECONDS = 600.0
"""For a server with ten million keys to end, or to begin."""

ROOM = 40 * GIBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What so many keys cost."""

    keys: int
    payload_bytes: int
    keys_per_second: int
    memory_mib: float
    memory_bytes_a_key: int
    memory_after_restart_mib: float
    memory_after_restart_bytes_a_key: int
    restart_seconds: float
    disk_mib: float
    disk_bytes_a_key: int
    refused_again: int
    """Of a thousand old keys, after the restart."""


def subjects() -> Iterator[str]:
    """Give subjects of as many items of ten thousand people."""
    own = EndpointName(*ENDPOINT.split("/"))
    partitions = [conversation_partition(own, f"{person:016x}", "0") for person in range(10_000)]
    number = 0
    while True:
        token = key_token(f"msg:108200000000301:wamid.{number}")
        partition = partitions[number % len(partitions)]
        yield str(EventSubject("0", partition, Lane.LIVE, own, "messages", token))
        number += 1


async def price(folder: Path, keys: int) -> Price:
    """Fill a server's EVENTS with keys and weigh it."""
    server = NatsServer(folder / "nats")
    server.patience_seconds = LONG_SECONDS
    async with server:
        async with server.client() as client:
            await ensure_shard(client, ShardConfig(events_max_bytes=ROOM))
        before = _resident(server)
        (webhook,) = texts(1)
        (item,) = split("meta", webhook.body, time.time())
        payload = envelope.encode_item(item)
        headers = {
            envelope.RECEIVED_AT: str(int(time.time() * 1000)),
            envelope.ENDPOINT: ENDPOINT,
            envelope.RAW_SEQUENCE: "1000000",
            envelope.CONVERSATION: item.conversation,
            envelope.TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
        began = time.monotonic()
        async with publishing(NatsSettings(url=server.url)) as publisher:
            await publisher.wait_reached()
            names = islice(subjects(), keys)
            while some := list(islice(names, AT_ONCE)):
                await asyncio.gather(
                    *(publisher.send(name, payload, headers, SECONDS) for name in some)
                )
        took = time.monotonic() - began
        full = _resident(server)
        await server.stop()
        disk = _on_disk(folder)
        began = time.monotonic()
        await server.start()
        async with server.client() as client:
            context = client.jetstream(timeout=SECONDS)
            state = (await context.stream_info(stream_name(StreamKind.EVENTS, "0"))).state
        restart = time.monotonic() - began
        assert state.messages == keys, f"{state.messages} keys are there"
        async with publishing(NatsSettings(url=server.url)) as publisher:
            await publisher.wait_reached()
            answers = await asyncio.gather(
                *(
                    publisher.send(name, payload, headers, SECONDS)
                    for name in islice(subjects(), 1000)
                ),
                return_exceptions=True,
            )
        again = _resident(server)
    return Price(
        keys=keys,
        payload_bytes=len(payload),
        keys_per_second=round(keys / took),
        memory_mib=round((full - before) / 2**20, 1),
        memory_bytes_a_key=round((full - before) / keys),
        memory_after_restart_mib=round((again - before) / 2**20, 1),
        memory_after_restart_bytes_a_key=round((again - before) / keys),
        restart_seconds=round(restart, 1),
        disk_mib=round(disk / 2**20, 1),
        disk_bytes_a_key=round(disk / keys),
        refused_again=sum(isinstance(each, ClaimedBefore) for each in answers),
    )


def _resident(server: NatsServer) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


def _on_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keys", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    gc.disable()  # millions of objects that are in no cycle
    found = []
    for keys in chosen.keys:
        with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
            found.append(asyncio.run(price(Path(name), keys)))
    rows = list(zip(*(asdict(each).items() for each in found), strict=True))
    sections = [
        Section(
            title="What a retained key costs nats-server",
            columns=("what", *(f"{each.keys:,} keys" for each in found)),
            rows=[
                (row[0][0].replace("_", " "), *(f"{figure:,}" for _, figure in row))
                for row in rows
                if row[0][0] != "keys"
            ],
        )
    ]
    show(sections)
    if chosen.record:
        keep("bench-claims", "What claims cost", sections, {"prices": [asdict(e) for e in found]})
    return int(any(each.refused_again != min(1000, each.keys) for each in found))


if __name__ == "__main__":
    sys.exit(main())
