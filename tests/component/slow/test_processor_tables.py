"""The tables change while the processor works."""

import pytest

from support.plant import EVENTS, RAW, Plant, token
from support.tables import endpoint
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_webhooks_of_an_unknown_endpoint_wait_for_its_table(plant: Plant) -> None:
    name = plant.new_name()
    keys = await plant.send(name, *(f"wamid.early.{number}" for number in range(5)))
    await eventually(lambda: _has_unacked(plant, RAW), saying="them to be handed out")
    assert not plant.arrivals(name)
    await plant.serve(name, plant.http(name))
    # These are stored when the table is there, and must not overtake those that were sent back.
    keys += await plant.send(name, *(f"wamid.late.{number}" for number in range(5)))
    await plant.wait_delivered(name, keys)
    assert plant.delivered(name) == keys


async def test_what_is_left_of_a_deleted_endpoint_is_dropped(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), paused=True)
    await plant.send(name, *(f"wamid.dropped.{number}" for number in range(4)))
    await eventually(lambda: _rows_are(plant, name, 4), saying="all to be parked")
    await plant.delete(name)
    await eventually(lambda: _rows_are(plant, name, 0), saying="RETRY to be empty")
    await plant.send(name, "wamid.dropped.later")
    await eventually(lambda: _dropped(plant, name), saying="the webhook to be dropped")
    assert not plant.arrivals(name)
    assert await plant.letters(name) == 0
    # It is counted before the server has its ack.
    await eventually(lambda: _all_acked(plant, RAW), saying="all of RAW to be acked")


async def test_what_waits_for_a_deleted_endpoint_is_dropped_after_a_restart(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), paused=True)
    await plant.send(name, *(f"wamid.gone.{number}" for number in range(4)))
    await eventually(lambda: _rows_are(plant, name, 4), saying="all to be parked")
    assert await plant.processor.terminate() == 0
    plant.stack.tables.write_endpoints(deleted=(f"demo/{name}",), file=f"{name}.json")
    await plant.processor.start()
    await eventually(lambda: _rows_are(plant, name, 0), saying="RETRY to be empty")
    assert await plant.letters(name) == 0


async def test_what_waits_for_a_removed_destination_becomes_dead_letters(plant: Plant) -> None:
    name = plant.new_name()
    both = (plant.http(name), plant.http(f"{name}/gone", name="gone"))
    await plant.serve(name, *both, paused=True)
    keys = await plant.send(name, *(f"wamid.removed.{number}" for number in range(3)))
    await eventually(lambda: _rows_are(plant, name, 6), saying="all to be parked")
    await plant.serve(name, both[0])
    for key in keys:
        letter = await plant.letter(name, key, "gone")
        assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"
    await plant.wait_delivered(name, keys)
    await eventually(lambda: _rows_are(plant, name, 0), saying="RETRY to be empty")
    assert not plant.arrivals(f"{name}/gone")
    assert await plant.letters(name) == 3


async def test_a_destination_that_was_removed_in_between_starts_becomes_dead_letters(
    plant: Plant,
) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(f"{name}/gone", name="gone"), paused=True)
    (key,) = await plant.send(name, "wamid.removed.meanwhile")
    await eventually(lambda: _rows_are(plant, name, 1), saying="it to be parked")
    assert await plant.processor.terminate() == 0
    await _write(plant, name)
    await plant.processor.start()
    letter = await plant.letter(name, key, "gone")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"


async def test_a_renamed_destination_is_another_one(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(f"{name}/old", name="old"), paused=True)
    (before,) = await plant.send(name, "wamid.before")
    await eventually(lambda: _rows_are(plant, name, 1), saying="it to be parked")
    await plant.serve(name, plant.http(f"{name}/new", name="new"))
    letter = await plant.letter(name, before, "old")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"
    (after,) = await plant.send(name, "wamid.after")
    await plant.wait_delivered(f"{name}/new", [after])
    # Each destination that wanted it is done with it.
    await eventually(lambda: _all_acked(plant, EVENTS), saying="it to be acked")
    assert plant.delivered(f"{name}/new") == [after]
    assert not plant.arrivals(f"{name}/old")


async def test_a_renamed_endpoint_is_another_one(plant: Plant) -> None:
    old, new = plant.new_name(), plant.new_name()
    await plant.serve(old, plant.http(old))
    (key,) = await plant.send(old, "wamid.both")
    await plant.wait_delivered(old, [key])
    await plant.delete(old)
    await plant.serve(new, plant.http(new))
    # What the provider sends again to the new address was seen at the old one only.
    await plant.send(new, "wamid.both")
    await plant.wait_delivered(new, [key])
    await plant.send(old, "wamid.late")
    await eventually(lambda: _dropped(plant, old), saying="the webhook to be dropped")
    assert plant.delivered(old) == [key]


async def test_new_settings_are_in_force_at_once(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(f"{name}/old"))
    await plant.wait_delivered(f"{name}/old", await plant.send(name, "wamid.at.old"))
    await plant.serve(name, plant.http(f"{name}/new"))
    await plant.wait_delivered(f"{name}/new", await plant.send(name, "wamid.at.new"))
    assert plant.delivered(f"{name}/old") == [token("wamid.at.old")]


async def test_a_new_address_takes_what_waited_for_the_old_one(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(f"{name}/old"))
    async with plant.sink_answers(503):
        (key,) = await plant.send(name, "wamid.moving")
        await eventually(lambda: plant.arrivals(f"{name}/old"))
        await plant.serve(name, plant.http(f"{name}/new"))
    await plant.wait_delivered(f"{name}/new", [key])
    assert not plant.delivered(f"{name}/old")


async def test_a_table_that_cannot_be_read_changes_nothing(plant: Plant) -> None:
    plant.processor.expect_errors("table_refused")
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    (plant.stack.tables.processor_folder / f"{name}.json").write_text("{")
    await eventually(lambda: plant.processor.logged("table_refused"))
    await plant.wait_delivered(name, await plant.send(name, "wamid.still"))


async def _write(plant: Plant, name: str) -> None:
    plant.stack.tables.write_endpoints(endpoint(name=f"demo/{name}"), file=f"{name}.json")


async def _rows_are(plant: Plant, name: str, count: int) -> bool:
    return await plant.rows(name) == count


async def _has_unacked(plant: Plant, stream: str) -> bool:
    return await plant.unacked(stream) > 0


async def _all_acked(plant: Plant, stream: str) -> bool:
    return await plant.unacked(stream) == 0


async def _dropped(plant: Plant, name: str) -> bool:
    return bool(
        await plant.processor.metric(
            "forebay_processor_webhooks_total", endpoint=name, outcome="dropped"
        )
    )
