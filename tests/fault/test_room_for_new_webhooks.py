"""Retention is a wish, room for new webhooks is a duty: a small stream takes much, if worked off.

RAW and EVENTS have 50 MB each. Webhooks hold one message of 500 kB.
"""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import pytest

from support.inputs.tables import PATH, endpoint, route
from support.processor.processor_harness import EVENTS, RAW, ProcessorHarness, token, webhook
from support.programs.processes import Part
from support.programs.stack import SHARD, Stack
from support.programs.under_load import worked_off
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually

MEGABYTE: Final = 1_000_000
LIMIT: Final = 50 * MEGABYTE
TEXT: Final = base64.b64encode(random.Random(1).randbytes(3 * MEGABYTE // 8)).decode()
"""Half a megabyte that is stored as it is: what repeats itself is packed, and fills nothing."""
BEHIND: Final = 20
"""Webhooks that may wait: 10 MB. A provider that sends more than is worked off fills any stream."""

PAUSE: Final = 0.05
"""Between two webhooks: 10 MB/s."""

RETENTION: Final = {"FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS": "1"}
"""As shipped it is 5 s, which does for half of that speed and would take twice the time here."""


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a stack of two streams of 50 MB; items go to the log, not to keep them in memory."""
    shard = msgspec.structs.replace(SHARD, raw_max_bytes=LIMIT, events_max_bytes=LIMIT)
    async with Stack(tmp_path, shard=shard) as running:
        running.tables.write_routes(route())
        running.tables.write_endpoints(endpoint(ProcessorHarness.log()))
        yield running


async def test_four_times_what_the_streams_hold_without_a_503(small: Stack) -> None:
    receiver, processor = await small.receiver(), await small.processor(**RETENTION)
    count = 4 * LIMIT // len(TEXT)
    async with aiohttp.ClientSession() as client:
        for number in range(count):
            await delivers(processor, number - BEHIND)
            # From one to the next: a sender that made up for a pause of the machine would be
            # faster than what is looked at once a second can be.
            await asyncio.sleep(PAUSE)
            assert await post(client, receiver, number) == 200
    wanted = {token(message(number)) for number in range(count)}
    await eventually(lambda: delivered(processor) >= wanted, saying="all to be delivered")
    await worked_off(small)
    assert len(processor.logged("item")) == count
    async with small.nats_server.client() as nats:
        for stream in (RAW, EVENTS):
            state = (await nats.jetstream().stream_info(stream)).state
            assert state.bytes <= LIMIT
            assert state.last_seq == count


async def test_without_processors_it_ends_in_503_and_nothing_is_lost(small: Stack) -> None:
    receiver = await small.receiver()
    processor = await small.processor(**RETENTION)
    async with aiohttp.ClientSession() as client:
        # Half of the stream is processed webhooks: nobody is there to remove them later.
        half = LIMIT // len(TEXT) // 2
        for number in range(half):
            assert await post(client, receiver, number) == 200
        await delivers(processor, half)
        assert await processor.terminate() == 0
        answers = [await post(client, receiver, 1000 + number) for number in range(100)]
    accepted = [number for number, answer in enumerate(answers) if answer == 200]
    assert 0 < len(accepted) < 100
    assert set(answers) == {200, 503}
    assert answers[-10:] == [503] * 10
    await processor.start()
    wanted = {token(message(1000 + number)) for number in accepted}
    await eventually(lambda: delivered(processor) >= wanted, within=20, saying="all to arrive")
    await worked_off(small)
    refused = {token(message(1000 + n)) for n in range(100)} - wanted
    assert not delivered(processor) & refused
    # There is room again, without anybody's help.
    async with aiohttp.ClientSession() as client:
        await eventually(lambda: is_taken(client, receiver), saying="a 200")


def message(number: int) -> str:
    return f"wamid.room.{number}"


async def delivers(processor: Part, count: int) -> None:
    """Wait until so many webhooks are delivered."""
    await eventually(lambda: len(delivered(processor)) >= count, saying=f"{count} deliveries")


async def post(client: aiohttp.ClientSession, receiver: Part, number: int) -> int:
    """Send a webhook as the provider does, and return the answer's status."""
    body = webhook((message(number), f"1555{number:07}"), text=TEXT)
    async with client.post(receiver.url(PATH), data=body, headers=signed(body)) as answer:
        return answer.status


async def is_taken(client: aiohttp.ClientSession, receiver: Part) -> bool:
    return await post(client, receiver, 5000) == 200


def delivered(processor: Part) -> set[str]:
    """Return the `webhook-id`s that the destination `log` was given."""
    return {str(line["key"]) for line in processor.logged("item")}
