"""What cannot be delivered now waits in RETRY, for as long as it takes, and holds up nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from forebay.core.tables import Retry
from support.processor.processor_harness import EVENTS, ProcessorHarness, token
from support.programs.ports import HOST, free_port
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

BURSTS = 5
"""How often a burst is tried until the machine was quick enough for it."""

QUICK_SECONDS = 0.4
"""For 100 items: 256 a second, the slowest destination that counts as quick. By way of RETRY they
take half of that on a machine that is not busy, so it does not hide what is parked."""

SLOW_RETRY = Retry(initial_delay_seconds=30, max_delay_seconds=60, max_age_seconds=3600)


async def test_a_paused_endpoint_delivers_nothing_until_it_goes_on(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    keys = await processor.send(name, *(f"wamid.paused.{number}" for number in range(5)))
    await eventually(lambda: _rows_are(processor, name, 5), saying="all to be parked")
    assert not processor.arrivals(name)
    await eventually(lambda: _parked_are(processor, name, 5), saying="all to be counted")
    await processor.serve(name, processor.http(name))
    await processor.wait_delivered(name, keys)
    assert processor.delivered(name) == keys
    await eventually(lambda: _rows_are(processor, name, 0), saying="RETRY to be empty")
    # The processor hears of it a moment after.
    await eventually(lambda: _parked_are(processor, name, 0), saying="none to be counted")


async def test_an_endpoint_that_is_paused_keeps_what_waits(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    async with processor.sink_answers(503):
        (first,) = await processor.send(name, "wamid.waits.0")
        await eventually(lambda: processor.arrivals(name))
        await processor.serve(name, processor.http(name), paused=True)
        (second,) = await processor.send(name, "wamid.waits.1")
        # Until then, for an attempt may be under way that began before the pause.
        await eventually(lambda: _rows_are(processor, name, 2), saying="both to wait")
    await processor.serve(name, processor.http(name))
    await processor.wait_delivered(name, [first, second])
    assert processor.delivered(name) == [first, second]


async def test_what_is_parked_is_acked_in_events(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    await processor.send(name, "wamid.acked")
    await eventually(lambda: _rows_are(processor, name, 1), saying="it to be parked")
    await eventually(lambda: _nothing_unacked(processor), saying="EVENTS to be acked")


async def test_parked_items_survive_a_restart_and_keep_their_order(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    keys = await processor.send(name, *(f"wamid.kept.{number}" for number in range(6)))
    await eventually(lambda: _rows_are(processor, name, 6), saying="all to be parked")
    assert await processor.restart() == 0
    keys += await processor.send(name, "wamid.kept.after")
    await processor.serve(name, processor.http(name))
    await processor.wait_delivered(name, keys)
    assert processor.delivered(name) == keys
    await eventually(lambda: _rows_are(processor, name, 0), saying="RETRY to be empty")


async def test_attempts_and_due_times_survive_a_restart(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=SLOW_RETRY))
    processor.sink.answer_key(token("wamid.counted"), 503)
    await processor.send(name, "wamid.counted", "wamid.behind")
    await eventually(lambda: _rows_are(processor, name, 2), saying="both to wait")
    assert await processor.restart() == 0
    # Not due for 15 s at least; a row that was due would be tried at once.
    other = processor.plain()
    await processor.wait_delivered(other, await processor.send(other, "wamid.of.another"))
    assert len(processor.arrivals(name)) == 1
    assert await processor.rows(name) == 2


async def test_a_dead_destination_holds_up_no_neighbour(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    dead = processor.http(name, name="dead", url=f"http://{HOST}:{free_port()}/", retry=SLOW_RETRY)
    await processor.serve(name, dead, processor.http(name, name="living"))
    keys = await processor.send(name, *(f"wamid.both.{number}" for number in range(40)))
    await processor.wait_delivered(name, keys, within=5)
    assert processor.delivered(name) == keys
    await eventually(lambda: _rows_are(processor, name, 40), saying="the dead one's to be parked")
    await eventually(lambda: _nothing_unacked(processor), saying="EVENTS to be acked")


async def test_a_destination_that_hangs_holds_up_no_neighbour(processor: ProcessorHarness) -> None:
    hanging, living = processor.new_name(), processor.plain()
    async with _server_that_hangs() as url:
        await processor.serve(
            hanging, processor.http(hanging, url=url, max_in_flight=4, timeout_seconds=20)
        )
        for number in range(60):
            await processor.send(hanging, f"wamid.hanging.{number}", person=f"1555{number:07}")
        keys = await processor.send(living, *(f"wamid.living.{number}" for number in range(20)))
        await processor.wait_delivered(living, keys, within=5)
        assert processor.delivered(living) == keys
        await eventually(lambda: _rows_are(processor, hanging, 56), saying="its own to be parked")
    await processor.delete(hanging)


async def test_a_burst_that_is_worked_off_at_once_is_not_parked(
    processor: ProcessorHarness,
) -> None:
    for _ in range(BURSTS):
        name = processor.new_name()
        await processor.serve(name, processor.http(name, max_in_flight=4))
        messages = [f"wamid.burst.{number}" for number in range(100)]
        for number, message in enumerate(messages):
            await processor.send(name, message, person=f"1555{number:07}")
        await processor.wait_delivered(name, [token(message) for message in messages])
        assert len(processor.delivered(name)) == 100
        moments = [each.at for each in processor.arrivals(name)]
        if max(moments) - min(moments) > QUICK_SECONDS:
            continue  # this machine was busy: so slow a destination is one that is parked for
        parked = await processor.part.metric(
            "forebay_processor_deliveries_total", endpoint=name, outcome="parked"
        )
        assert parked < 50
        return
    pytest.skip("the machine is too busy for a quick destination")


async def test_no_more_attempts_are_under_way_than_the_destination_allows(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, max_in_flight=3))
    messages = [f"wamid.limited.{number}" for number in range(12)]
    processor.sink.hold()
    try:
        for number, message in enumerate(messages):
            await processor.send(name, message, person=f"1555{number:07}")
        await eventually(lambda: _rows_are(processor, name, 9), saying="the others to be parked")
        assert len(processor.arrivals(name)) == 3
    finally:
        processor.sink.release()
    await processor.wait_delivered(name, [token(message) for message in messages])
    assert len(processor.delivered(name)) == 12


@contextlib.asynccontextmanager
async def _server_that_hangs() -> AsyncIterator[str]:
    """Give the address of a server that takes connections and never answers."""
    writers: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(take, HOST, 0)
    yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
    for writer in writers:
        writer.close()
    server.close()
    await server.wait_closed()


async def _parked_are(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.part.metric("forebay_processor_parked_items", endpoint=name) == count


async def _rows_are(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count


async def _nothing_unacked(processor: ProcessorHarness) -> bool:
    return await processor.unacked(EVENTS) == 0
