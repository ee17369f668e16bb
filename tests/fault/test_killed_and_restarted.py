"""Every webhook that got a 200 is delivered, whatever is killed or stopped while traffic runs.

A key arrives twice only where it was in flight at that moment, with the same `webhook-id`.
"""

import pytest

from support.destinations.sink import Sink
from support.programs.processes import Part
from support.programs.stack import Stack
from support.programs.under_load import IN_FLIGHT, assert_all_delivered, play
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def parts(stack: Stack) -> tuple[Part, Part]:
    """Give a receiver and a processor that work, and a sink that takes its time."""
    stack.serve_demo()
    stack.sink.delay_seconds = 0.02
    return await stack.receiver(), await stack.processor()


async def under_way(sink: Sink) -> None:
    """Wait until traffic flows and attempts are under way."""
    await eventually(lambda: len(sink.keys) >= 200, saying="traffic to flow")
    await eventually(lambda: any(each.status is None for each in sink.arrivals[-IN_FLIGHT:]))


async def test_kill_of_the_processor(stack: Stack, parts: tuple[Part, Part]) -> None:
    receiver, processor = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        await processor.kill()
        await processor.start()
        result = await playing
    await assert_all_delivered(stack, result, repeats=IN_FLIGHT)


async def test_stop_of_the_processor(stack: Stack, parts: tuple[Part, Part]) -> None:
    receiver, processor = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        assert await processor.terminate() == 0
        await processor.start()
        result = await playing
    await assert_all_delivered(stack, result)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_restart_of_nats(stack: Stack, parts: tuple[Part, Part], how: str) -> None:
    receiver, _ = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        await (stack.nats_server.stop() if how == "stop" else stack.nats_server.kill())
        await stack.nats_server.start()
        result = await playing
    # The processor lives on and knows what it has delivered, whatever became of the acks.
    await assert_all_delivered(stack, result, refused=frozenset({"503"}))


async def test_stop_of_the_receiver(stack: Stack, parts: tuple[Part, Part]) -> None:
    receiver, _ = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        assert await receiver.terminate() == 0
        await receiver.start()
        result = await playing
    await assert_all_delivered(stack, result, refused=frozenset({"503", "connection"}))


async def test_kill_of_the_receiver(stack: Stack, parts: tuple[Part, Part]) -> None:
    receiver, _ = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        await receiver.kill()
        await receiver.start()
        result = await playing
    # What was stored when it died got no answer: it was sent again, and is delivered once.
    await assert_all_delivered(stack, result, refused=frozenset({"503", "connection"}))


async def test_a_destination_that_goes_away_and_comes_back(
    stack: Stack, parts: tuple[Part, Part]
) -> None:
    receiver, _ = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        await stack.sink.down()
        before = len(stack.sink.arrivals)
        result = await playing
        assert len(stack.sink.arrivals) == before
        await stack.sink.up()
    await assert_all_delivered(stack, result, repeats=IN_FLIGHT)


async def test_nats_that_hangs_for_a_while(stack: Stack, parts: tuple[Part, Part]) -> None:
    receiver, _ = parts
    async with play(receiver) as playing:
        await under_way(stack.sink)
        stack.nats_server.freeze()

        async def refuses() -> bool:
            return await receiver.metric("forebay_receiver_refused_total") > 0

        await eventually(refuses, saying="the receiver to refuse")
        stack.nats_server.thaw()
        result = await playing
    await assert_all_delivered(stack, result, refused=frozenset({"503"}))
