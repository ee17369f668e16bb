"""The redelivery drill: every webhook comes several times in random order, its item goes out once.

Half of the webhooks come again byte for byte, which RAW refuses within its window. The others come
again in other bytes, as they do when a provider sends an item again in another body: RAW takes
those, and the claim in EVENTS refuses the item.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.streams import ShardConfig
from forebay_simulator.sender import HttpSender
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import ACCEPTED, post, texts
from support.inputs.tables import PATH, endpoint, http_destination, route
from support.programs.stack import SHARD, Stack
from support.timing.wait import eventually

__all__ = ["TIMES", "Drill", "drill"]

TIMES: Final = 3
"""How often each webhook is sent."""

AT_ONCE: Final = 64
"""Requests in flight: fewer than the receiver refuses an endpoint for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What came of it, each figure from its own source."""

    webhooks: int
    seconds: float
    answers: dict[str, int]
    """How often the receiver gave each answer."""

    stored: int
    """Webhooks in RAW."""

    refused_by_raw: int
    """Repeats that the receiver counts."""

    new_items: int
    """Items that the processor counts as stored."""

    refused_claims: int
    """Items that it counts as repeats."""

    missing: int
    """Items that did not arrive."""

    arrived_again: int
    """Arrivals above one for each item."""


async def drill(
    folder: Path, count: int, seconds: float, *, seed: int, shard: ShardConfig = SHARD
) -> Drill:
    """Send all webhooks three times, spread over some seconds, and count what arrives."""
    random = Random(seed)
    webhooks = list(texts(count))
    sendings = [
        (number, webhook.body + b" " * (nth if number % 2 else 0))
        for number, webhook in enumerate(webhooks)
        for nth in range(TIMES)
    ]
    random.shuffle(sendings)
    async with Stack(folder, shard=shard) as stack, QuickSink(folder) as sink:
        stack.tables.write_routes(route())
        stack.tables.write_endpoints(endpoint(http_destination(sink.url())))
        receiver, processor = await stack.receiver(), await stack.processor()
        began = time.monotonic()
        answers = await _send(receiver.url(PATH), [body for _, body in sendings], seconds)
        took = time.monotonic() - began

        async def split() -> float:
            return await processor.metric("forebay_processor_items_total")

        async with stack.nats_server.client() as client:
            name = stream_name(StreamKind.RAW, "0")
            stored = (await client.jetstream().stream_info(name)).state.messages

        async def is_done() -> bool:
            return await split() >= stored and await sink.count() >= count

        await eventually(is_done, within=30, saying="all to be split and delivered")
        arrived = Counter(key for key, _ in await sink.arrivals())
        return Drill(
            webhooks=count,
            seconds=round(took, 1),
            answers=answers,
            stored=stored,
            refused_by_raw=int(
                await receiver.metric("forebay_receiver_requests_total", outcome="duplicate")
            ),
            new_items=int(await processor.metric("forebay_processor_items_total", outcome="new")),
            refused_claims=int(
                await processor.metric("forebay_processor_items_total", outcome="repeat")
            ),
            missing=len({webhook.token for webhook in webhooks} - arrived.keys()),
            arrived_again=arrived.total() - len(arrived),
        )


async def _send(url: str, bodies: list[bytes], seconds: float) -> dict[str, int]:
    answers: Counter[str] = Counter()
    places = asyncio.Semaphore(AT_ONCE)
    async with HttpSender(url, timeout=10) as sender, asyncio.TaskGroup() as group:

        async def send(body: bytes) -> None:
            # As the provider does: what was not taken comes again.
            while (answer := await post(sender, body)) != ACCEPTED:
                answers[str(answer)] += 1
                await asyncio.sleep(0.2)
            answers[str(answer)] += 1
            places.release()

        began = time.monotonic()
        for number, body in enumerate(bodies):
            moment = began + seconds * number / len(bodies)
            await asyncio.sleep(max(0.0, moment - time.monotonic()))
            await places.acquire()
            group.create_task(send(body))
    return dict(answers)
