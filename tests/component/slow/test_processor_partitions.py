"""Several processors share a shard: evenly, each partition with one owner, and it moves in time."""

import json
import signal
import time

import pytest

from support.processor.shares import ALL, owned, processors, shares, wait_shared
from support.programs.processes import Part
from support.programs.stack import Stack
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
async def three(stack: Stack) -> list[Part]:
    """Give three processors that share a shard."""
    stack.serve_demo()
    return await processors(stack, 3)


async def test_three_share_evenly_and_say_so(three: list[Part]) -> None:
    assert frozenset().union(*await shares(three)) == ALL
    for part in three:
        units = await owned(part)
        for kind in ("raw", "event"):
            count = await part.metric("forebay_processor_partitions_owned", kind=kind)
            assert count == sum(unit.startswith(f"{kind}.") for unit in units)
            assert count in {5, 6}
        assert json.loads((await part.admin("/load")).body)["shards"]["0"]["members"] == 3


async def test_a_killed_ones_partitions_move_within_10_seconds(three: list[Part]) -> None:
    first, *others = three
    await first.kill()
    began = time.monotonic()
    await wait_shared(others, within=10)
    # Not before the lease is over: until then a process that only stands still may go on.
    assert time.monotonic() - began > 4


async def test_a_stopped_ones_partitions_move_at_once(three: list[Part]) -> None:
    first, *others = three
    before = await owned(first)
    began = time.monotonic()
    first.send(signal.SIGTERM)
    await wait_shared(others, within=10)
    # Nobody had to wait for a lease to end.
    assert time.monotonic() - began < 4
    assert before <= set().union(*await shares(others))
    await eventually(lambda: not first.running)
    for part in others:
        assert not part.logged("processor_declared_dead")


async def test_one_that_stood_still_comes_back_with_a_share_of_its_own(three: list[Part]) -> None:
    first, *others = three
    first.freeze()
    await wait_shared(others, within=15)
    first.thaw()
    await wait_shared(three, within=10)
    assert first.logged("partitions_lost")


async def test_a_short_stop_moves_nothing(three: list[Part]) -> None:
    before = await shares(three)
    three[0].freeze()
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began > 2, saying="a while to pass")
    three[0].thaw()
    await wait_shared(three)
    assert await shares(three) == before


async def test_one_that_is_killed_and_started_again_need_not_wait(stack: Stack) -> None:
    stack.serve_demo()
    processor = await stack.processor()
    assert await owned(processor) == ALL
    await processor.kill()
    await processor.start()
    ready = time.monotonic()
    await wait_shared([processor], within=3)
    assert time.monotonic() - ready < 3


async def test_it_ends_when_nats_gives_no_answer_for_too_long(stack: Stack) -> None:
    stack.serve_demo()
    processor = await stack.processor(FOREBAY_PROCESSOR_WATCHDOG_SECONDS="1.5")
    processor.expect_errors("watchdog_ended_the_process")
    stack.nats_server.freeze()
    try:
        await eventually(lambda: not processor.running, within=20, saying="the watchdog to bark")
    finally:
        stack.nats_server.thaw()
    assert processor.logged("watchdog_ended_the_process")
    assert processor.status == 69


async def test_the_watchdog_bears_a_restart_of_nats(stack: Stack) -> None:
    stack.serve_demo()
    processor = await stack.processor(FOREBAY_PROCESSOR_WATCHDOG_SECONDS="20")
    await stack.nats_server.kill()
    await stack.nats_server.start()
    await wait_shared([processor], within=15)
    assert not processor.logged("partitions_lost")
