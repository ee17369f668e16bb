"""When a stream is nearly full, what is processed goes; what is not never does."""

import functools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nats.js.errors import APIError

from support.processor.processor_harness import EVENTS, RAW, ProcessorHarness, webhook
from support.programs.stack import SHARD
from support.timing.wait import eventually

LIMIT = 512 * 1024
TEXT = "x" * 8000
"""Makes a webhook of about 8 kB: RAW and EVENTS hold about 60 of them."""


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[ProcessorHarness]:
    """Give a processor whose streams are soon full, and are looked after all the time."""
    shard = msgspec.structs.replace(SHARD, raw_max_bytes=LIMIT, events_max_bytes=LIMIT)
    async with ProcessorHarness(
        tmp_path, shard=shard, FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS="0.1"
    ) as running:
        yield running


async def test_processed_webhooks_make_room_for_new_ones(small: ProcessorHarness) -> None:
    name = small.plain()
    for number in range(200):
        # Three times what the streams hold: without room the store would refuse.
        await eventually(functools.partial(_stored, small, name, number), within=5)
    await eventually(lambda: len(small.delivered(name)) == 200)
    assert len(set(small.delivered(name))) == 200
    purged = await small.part.metric("forebay_processor_purged_messages_total", stream=RAW)
    assert purged > 0
    for stream in (RAW, EVENTS):
        state = (await small.client.jetstream().stream_info(stream)).state
        assert state.bytes <= LIMIT


async def test_what_is_not_split_or_not_delivered_stays(small: ProcessorHarness) -> None:
    known, unknown = small.plain(), small.new_name()
    for number in range(10):
        assert await _stored(small, known, number)
    await eventually(lambda: len(small.delivered(known)) == 10)
    refused = 0
    for number in range(100):
        refused += not await _stored(small, unknown, number)
    assert refused > 0
    purged = "forebay_processor_purged_messages_total"
    await eventually(lambda: small.part.metric(purged, stream=RAW), saying="a purge")
    info = await small.client.jetstream().stream_info(RAW)
    assert info.state.first_seq <= 11
    waiting = 100 - refused
    await small.serve(unknown, small.http(unknown))
    # What nobody knew comes again after 2 s, in any order: at worst one gets through each 0.5 s.
    await eventually(lambda: len(small.delivered(unknown)) >= waiting, within=40)
    assert len(set(small.delivered(unknown))) == waiting


async def _stored(processor: ProcessorHarness, name: str, number: int) -> bool:
    try:
        await processor.store(name, webhook((f"wamid.{name}.{number}", "15550001"), text=TEXT))
    except APIError:
        return False
    return True
