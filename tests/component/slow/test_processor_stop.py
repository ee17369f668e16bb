"""The processor leaves in order, and comes when NATS comes."""

import json
import signal

import pytest

from support.inputs.tables import Tables
from support.processor.processor_harness import EVENTS, RAW, ProcessorHarness, token
from support.programs.processes import READY_SECONDS, Part
from support.programs.stack import Stack
from support.timing.wait import eventually

ON_SESSION_LOOP = pytest.mark.asyncio(loop_scope="session")


@ON_SESSION_LOOP
async def test_attempts_under_way_end_and_are_not_repeated(processor: ProcessorHarness) -> None:
    name = processor.plain()
    messages = [f"wamid.under.way.{number}" for number in range(5)]
    processor.sink.hold()
    try:
        for number, message in enumerate(messages):
            await processor.send(name, message, person=f"1555{number:07}")
        await eventually(lambda: len(processor.arrivals(name)) == 5)
        processor.part.send(signal.SIGTERM)
        await eventually(lambda: processor.part.logged("processor_draining"))
    finally:
        processor.sink.release()
    await eventually(lambda: not processor.part.running, saying="the processor to leave")
    # What was delivered is acked: nothing of it is left to come again.
    assert (await processor.unacked(EVENTS), await processor.unacked(RAW)) == (0, 0)
    await processor.part.start()
    await processor.wait_delivered(name, await processor.send(name, "wamid.afterwards"))
    assert len(processor.arrivals(name)) == 6


@ON_SESSION_LOOP
async def test_what_is_held_behind_an_attempt_comes_after_the_next_start(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    messages = [f"wamid.held.{number}" for number in range(6)]
    processor.sink.hold()
    try:
        keys = await processor.send(name, *messages)
        await eventually(lambda: len(processor.arrivals(name)) == 1)
        processor.part.send(signal.SIGTERM)
        await eventually(lambda: processor.part.logged("processor_draining"))
    finally:
        processor.sink.release()
    await eventually(lambda: not processor.part.running, saying="the processor to leave")
    await processor.part.start()
    await processor.wait_delivered(name, keys)
    assert [arrival.key for arrival in processor.arrivals(name)] == keys


@ON_SESSION_LOOP
async def test_it_leaves_with_status_0_while_an_item_cannot_be_delivered(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    processor.sink.answer_key(token("wamid.undeliverable"), *[503] * 3)
    await processor.send(name, "wamid.undeliverable", "wamid.next")
    await eventually(lambda: processor.arrivals(name))
    assert await processor.restart() == 0
    await processor.wait_delivered(name, [token("wamid.undeliverable"), token("wamid.next")])
    assert processor.delivered(name) == [token("wamid.undeliverable"), token("wamid.next")]


async def test_it_waits_for_nats_and_says_so(stack: Stack) -> None:
    stack.serve_demo()
    await stack.nats_server.stop()
    processor = stack.part("processor")
    await processor.start(until_ready=False)

    async def waits_for_nats() -> bool:
        return await _waiting_for(processor) == ["a connection to NATS"]

    await eventually(waits_for_nats, saying="the processor to say what it waits for")
    await stack.nats_server.start()
    await processor.wait_ready()
    assert await processor.terminate() == 0


async def test_it_leaves_while_nats_is_away(stack: Stack) -> None:
    stack.serve_demo()
    processor = await stack.processor()
    await stack.nats_server.stop()
    await eventually(lambda: processor.logged("nats_disconnected"))
    assert await processor.terminate() == 0


async def test_it_is_not_ready_without_a_table(stack: Stack) -> None:
    processor = stack.part("processor")
    await processor.start(until_ready=False)

    async def waits_for_a_table() -> bool:
        return await _waiting_for(processor) == ["a table of endpoints"]

    await eventually(
        waits_for_a_table, within=READY_SECONDS, saying="the processor to say what it waits for"
    )
    stack.serve_demo()
    await processor.wait_ready()


async def test_a_taken_admin_port_is_reported_in_one_sentence(stack: Stack, tables: Tables) -> None:
    assert tables.processor_folder.exists()
    stack.serve_demo()
    first = await stack.processor()
    second = stack.part("processor", FOREBAY_PROCESSOR_ADMIN_PORT=str(first.admin_port))
    await second.start(until_ready=False)
    await eventually(lambda: not second.running, saying="the second one to leave")
    second.expect_errors()
    assert "FOREBAY_PROCESSOR_ADMIN_PORT" in second.tail()
    assert "Traceback" not in second.tail()


async def _waiting_for(processor: Part) -> list[str]:
    try:
        answer = await processor.admin("/readyz")
    except OSError:
        return []
    waiting: list[str] = json.loads(answer.body)["waiting_for"]
    return waiting


async def test_it_does_not_wait_for_a_nats_that_goes_while_it_leaves(stack: Stack) -> None:
    """As when a machine is shut down: whatever it would still say, nobody is there to hear it."""
    stack.serve_demo()
    processor = await stack.processor(FOREBAY_PROCESSOR_STOP_SECONDS="30")
    # From now on no step in the table of leases is answered.
    stack.nats_server.freeze()
    processor.send(signal.SIGTERM)
    await eventually(lambda: processor.logged("processor_draining"))
    await stack.nats_server.kill()
    await eventually(lambda: not processor.running, within=15, saying="the processor to leave")
    assert processor.status == 0
