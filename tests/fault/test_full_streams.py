"""A stream that is full holds back what it has no room for, and loses nothing of it."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RetrySubject
from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard
from support.processor.processor_harness import EVENTS, RETRY
from support.programs.processes import Part
from support.programs.stack import SHARD, Stack
from support.programs.under_load import (
    assert_all_delivered,
    assert_in_order,
    play,
    tokens,
    wait_all_done,
    worked_off,
)
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(60)

FILLERS = 10
"""Rows that leave no room in RETRY."""

SMALL = msgspec.structs.replace(SHARD, events_max_bytes=150_000)
"""Room for some 150 items."""


@pytest.fixture
async def small_events(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a stack whose EVENTS is soon full."""
    async with Stack(tmp_path, shard=SMALL) as running:
        running.serve_demo()
        yield running


@pytest.fixture
async def small_retry(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a stack whose RETRY is soon full."""
    shard = msgspec.structs.replace(SHARD, retry_max_bytes=50_000)
    async with Stack(tmp_path, shard=shard) as running:
        running.serve_demo()
        yield running


async def test_events_full_in_the_middle_of_a_split(small_events: Stack) -> None:
    stack = small_events
    receiver = await stack.receiver()
    # Nothing is to make room but this test.
    processor = await stack.processor(FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS="3600")
    async with play(receiver, batch=5) as playing:
        await eventually(lambda: processor.logged("split_stalled"), saying="EVENTS to be full")
        result = await playing
        assert len(stack.sink.keys) < len(tokens(result))
        await make_room(stack, SHARD)
    # Receiving went on all the time.
    await assert_all_delivered(stack, result)


async def test_a_kill_while_events_is_full(small_events: Stack) -> None:
    stack = small_events
    receiver = await stack.receiver()
    processor = await stack.processor(FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS="3600")
    async with play(receiver, seconds=2, batch=5) as playing:
        await eventually(lambda: processor.logged("split_stalled"), saying="EVENTS to be full")
        result = await playing
    await eventually(lambda: nothing_under_way(stack), saying="deliveries to end")
    await processor.kill()
    await processor.start()
    await make_room(stack, SHARD)
    await assert_all_delivered(stack, result)


async def test_retention_makes_room_by_itself(small_events: Stack) -> None:
    stack = small_events
    receiver = await stack.receiver()
    await stack.processor(FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS="0.2")
    async with play(receiver, seconds=3) as playing:
        result = await playing
    await wait_all_done(stack, result)
    assert result.lost == 0
    assert not result.refused
    assert stack.sink.keys == tokens(result)


async def test_retry_full_while_the_destination_is_away(small_retry: Stack) -> None:
    stack = small_retry
    receiver, processor = await stack.receiver(), await stack.processor()
    await stack.sink.down()
    async with play(receiver, seconds=2) as playing:
        await eventually(
            lambda: processor.logged("backlog_beyond_share"), saying="RETRY to be full"
        )
        result = await playing
    # What RETRY has no room for stays in EVENTS for some seconds, unacked: room may come.
    assert await unacked(stack) > 0
    await stack.sink.up()
    await assert_all_delivered(stack, result)


async def test_retry_that_stays_full_holds_nothing_back_when_the_destination_is_back(
    small_retry: Stack,
) -> None:
    stack = small_retry
    await fill_retry(stack)
    receiver, processor = await stack.receiver(), await stack.processor()
    await stack.sink.down()
    async with play(receiver, seconds=1) as playing:
        await eventually(
            lambda: processor.logged("backlog_beyond_share"), saying="RETRY to be full"
        )
        result = await playing
    await stack.sink.up()
    wanted = tokens(result)
    await eventually(lambda: stack.sink.keys >= wanted, within=30, saying="all items at the sink")
    # RETRY is as full as it was, and nothing else is left that could come.
    await worked_off(stack, rows=FILLERS)
    assert await rows(stack) == FILLERS
    assert result.lost == 0
    assert stack.sink.keys == wanted
    assert not stack.sink.repeats
    await assert_in_order(stack)


async def test_a_kill_while_retry_is_full(small_retry: Stack) -> None:
    stack = small_retry
    receiver, processor = await stack.receiver(), await stack.processor()
    await stack.sink.down()
    async with play(receiver, seconds=2) as playing:
        await eventually(
            lambda: processor.logged("backlog_beyond_share"), saying="RETRY to be full"
        )
        result = await playing
    await restart_by_kill(processor)
    await stack.sink.up()
    await assert_all_delivered(stack, result)


async def restart_by_kill(processor: Part) -> None:
    """Kill a part and start it again."""
    await processor.kill()
    await processor.start()


async def make_room(stack: Stack, shard: ShardConfig) -> None:
    """Give the streams the sizes of another configuration."""
    async with stack.nats_server.client() as client:
        await ensure_shard(client, shard)


async def fill_retry(stack: Stack) -> None:
    """Fill RETRY with rows that stay: no table names their endpoint."""
    endpoint = EndpointName("demo", "elsewhere")
    headers = {envelope.FIRST_TRIED_AT: str(int(time.time() * 1000))}
    async with stack.nats_server.client() as client:
        for number in range(FILLERS):
            subject = RetrySubject("0", 0, Lane.LIVE, endpoint, "sink", "person", f"key{number}")
            await client.jetstream().publish(str(subject), b"x" * 4_700, headers=headers)


async def unacked(stack: Stack, stream: str = EVENTS) -> int:
    """Return how many messages of a stream are handed out and not acked."""
    async with stack.nats_server.client() as client:
        infos = await client.jetstream().consumers_info(stream)
    return sum(info.num_ack_pending or 0 for info in infos)


async def rows(stack: Stack) -> int:
    """Return how many messages RETRY holds."""
    async with stack.nats_server.client() as client:
        return (await client.jetstream().stream_info(RETRY)).state.messages


async def nothing_under_way(stack: Stack) -> bool:
    """Say whether no item is handed out or parked."""
    return await rows(stack) == 0 and await unacked(stack) == 0
