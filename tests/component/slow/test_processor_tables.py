"""The tables change while the processor works."""

import pytest

from support.inputs.tables import endpoint
from support.processor.processor_harness import EVENTS, RAW, ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_webhooks_of_an_unknown_endpoint_wait_for_its_table(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    keys = await processor.send(name, *(f"wamid.early.{number}" for number in range(5)))
    await eventually(lambda: _has_unacked(processor, RAW), saying="them to be handed out")
    assert not processor.arrivals(name)
    await processor.serve(name, processor.http(name))
    # These are stored when the table is there, and must not overtake those that were sent back.
    keys += await processor.send(name, *(f"wamid.late.{number}" for number in range(5)))
    await processor.wait_delivered(name, keys)
    assert processor.delivered(name) == keys


async def test_what_is_left_of_a_deleted_endpoint_is_dropped(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    await processor.send(name, *(f"wamid.dropped.{number}" for number in range(4)))
    await eventually(lambda: _rows_are(processor, name, 4), saying="all to be parked")
    await processor.delete(name)
    await eventually(lambda: _rows_are(processor, name, 0), saying="RETRY to be empty")
    await processor.send(name, "wamid.dropped.later")
    await eventually(lambda: _dropped(processor, name), saying="the webhook to be dropped")
    assert not processor.arrivals(name)
    assert await processor.letters(name) == 0
    # It is counted before the server has its ack.
    await eventually(lambda: _all_acked(processor, RAW), saying="all of RAW to be acked")


async def test_what_waits_for_a_deleted_endpoint_is_dropped_after_a_restart(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    await processor.send(name, *(f"wamid.gone.{number}" for number in range(4)))
    await eventually(lambda: _rows_are(processor, name, 4), saying="all to be parked")
    assert await processor.part.terminate() == 0
    processor.stack.tables.write_endpoints(deleted=(f"demo/{name}",), file=f"{name}.json")
    await processor.part.start()
    await eventually(lambda: _rows_are(processor, name, 0), saying="RETRY to be empty")
    assert await processor.letters(name) == 0


async def test_what_waits_for_a_removed_destination_becomes_dead_letters(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    both = (processor.http(name), processor.http(f"{name}/gone", name="gone"))
    await processor.serve(name, *both, paused=True)
    keys = await processor.send(name, *(f"wamid.removed.{number}" for number in range(3)))
    await eventually(lambda: _rows_are(processor, name, 6), saying="all to be parked")
    await processor.serve(name, both[0])
    for key in keys:
        letter = await processor.letter(name, key, "gone")
        assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"
    await processor.wait_delivered(name, keys)
    await eventually(lambda: _rows_are(processor, name, 0), saying="RETRY to be empty")
    assert not processor.arrivals(f"{name}/gone")
    assert await processor.letters(name) == 3


async def test_a_destination_that_was_removed_in_between_starts_becomes_dead_letters(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(f"{name}/gone", name="gone"), paused=True)
    (key,) = await processor.send(name, "wamid.removed.meanwhile")
    await eventually(lambda: _rows_are(processor, name, 1), saying="it to be parked")
    assert await processor.part.terminate() == 0
    await _write(processor, name)
    await processor.part.start()
    letter = await processor.letter(name, key, "gone")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"


async def test_a_renamed_destination_is_another_one(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(f"{name}/old", name="old"), paused=True)
    (before,) = await processor.send(name, "wamid.before")
    await eventually(lambda: _rows_are(processor, name, 1), saying="it to be parked")
    await processor.serve(name, processor.http(f"{name}/new", name="new"))
    letter = await processor.letter(name, before, "old")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"
    (after,) = await processor.send(name, "wamid.after")
    await processor.wait_delivered(f"{name}/new", [after])
    # Each destination that wanted it is done with it.
    await eventually(lambda: _all_acked(processor, EVENTS), saying="it to be acked")
    assert processor.delivered(f"{name}/new") == [after]
    assert not processor.arrivals(f"{name}/old")


async def test_a_renamed_endpoint_is_another_one(processor: ProcessorHarness) -> None:
    old, new = processor.new_name(), processor.new_name()
    await processor.serve(old, processor.http(old))
    (key,) = await processor.send(old, "wamid.both")
    await processor.wait_delivered(old, [key])
    await processor.delete(old)
    await processor.serve(new, processor.http(new))
    # What the provider sends again to the new address was seen at the old one only.
    await processor.send(new, "wamid.both")
    await processor.wait_delivered(new, [key])
    await processor.send(old, "wamid.late")
    await eventually(lambda: _dropped(processor, old), saying="the webhook to be dropped")
    assert processor.delivered(old) == [key]


async def test_new_settings_are_in_force_at_once(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(f"{name}/old"))
    await processor.wait_delivered(f"{name}/old", await processor.send(name, "wamid.at.old"))
    await processor.serve(name, processor.http(f"{name}/new"))
    await processor.wait_delivered(f"{name}/new", await processor.send(name, "wamid.at.new"))
    assert processor.delivered(f"{name}/old") == [token("wamid.at.old")]


async def test_a_new_address_takes_what_waited_for_the_old_one(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(f"{name}/old"))
    async with processor.sink_answers(503):
        (key,) = await processor.send(name, "wamid.moving")
        await eventually(lambda: processor.arrivals(f"{name}/old"))
        await processor.serve(name, processor.http(f"{name}/new"))
    await processor.wait_delivered(f"{name}/new", [key])
    assert not processor.delivered(f"{name}/old")


async def test_a_table_that_cannot_be_read_changes_nothing(processor: ProcessorHarness) -> None:
    processor.part.expect_errors("table_refused")
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    (processor.stack.tables.processor_folder / f"{name}.json").write_text("{")
    await eventually(lambda: processor.part.logged("table_refused"))
    await processor.wait_delivered(name, await processor.send(name, "wamid.still"))
    await processor.serve(name, processor.http(name))


async def _write(processor: ProcessorHarness, name: str) -> None:
    processor.stack.tables.write_endpoints(endpoint(name=f"demo/{name}"), file=f"{name}.json")


async def _rows_are(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count


async def _has_unacked(processor: ProcessorHarness, stream: str) -> bool:
    return await processor.unacked(stream) > 0


async def _all_acked(processor: ProcessorHarness, stream: str) -> bool:
    return await processor.unacked(stream) == 0


async def _dropped(processor: ProcessorHarness, name: str) -> bool:
    return bool(
        await processor.part.metric(
            "forebay_processor_webhooks_total", endpoint=name, outcome="dropped"
        )
    )
