"""Items of one conversation come in order; a failing one holds back its own conversation only."""

import json

import pytest

from forebay.core.items import split
from forebay.core.subjects import Lane
from support.plant import CHANNEL, Plant, token
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANN, BOB = "15550000001", "15550000002"


async def test_a_failing_item_holds_back_its_own_conversation_only(plant: Plant) -> None:
    name = plant.plain()
    anns = [f"wamid.ann.{number}" for number in range(6)]
    bobs = [f"wamid.bob.{number}" for number in range(6)]
    plant.sink.refuse_key(token(anns[1]))
    for ann, bob in zip(anns, bobs, strict=True):
        await plant.send(name, ann, person=ANN)
        await plant.send(name, bob, person=BOB)
    await plant.wait_delivered(name, [token(anns[0]), *map(token, bobs)])
    plant.sink.forgive_key(token(anns[1]))
    await plant.wait_delivered(name, [*map(token, anns)])
    delivered = plant.delivered(name)
    assert [key for key in delivered if key in set(map(token, anns))] == [*map(token, anns)]
    assert [key for key in delivered if key in set(map(token, bobs))] == [*map(token, bobs)]
    assert [*map(token, anns[1:])] == delivered[-5:]
    assert len(delivered) == 12


async def test_what_has_no_person_and_no_order_holds_back_nothing(plant: Plant) -> None:
    name = plant.plain()
    channel = {"metadata": {"phone_number_id": CHANNEL}}
    clicks = [{"timestamp": str(1_795_165_201 + number)} for number in range(6)]
    change = {"field": "messages", "value": {**channel, "user_actions": clicks}}
    body = json.dumps({"entry": [{"id": "104700000000701", "changes": [change]}]}).encode()
    keys = [item.token for item in split("meta", body, 0.0)]
    plant.sink.refuse_key(keys[0])
    await plant.store(name, body, lane=Lane.BULK)
    await plant.wait_delivered(name, keys[1:])
    plant.sink.forgive_key(keys[0])
    await plant.wait_delivered(name, keys)


async def test_items_that_come_while_an_attempt_hangs_follow_in_order(plant: Plant) -> None:
    name = plant.plain()
    plant.sink.hold()
    try:
        keys = await plant.send(name, *(f"wamid.{number}" for number in range(10)), person=ANN)
        await eventually(lambda: plant.arrivals(name))
        # Longer than an item is held in memory: those behind the first one are parked, and so is
        # that one, before them: the order of rows is the order of the conversation.
        await eventually(lambda: _rows_are(plant, name, 10), saying="all to be parked")
    finally:
        plant.sink.release()
    await plant.wait_delivered(name, keys)
    assert plant.delivered(name) == keys
    await eventually(lambda: _rows_are(plant, name, 0), saying="RETRY to be empty")


async def test_items_keep_their_order_when_every_first_attempt_fails(plant: Plant) -> None:
    name = plant.plain()
    messages = [f"wamid.failing.{number}" for number in range(8)]
    for message in messages:
        plant.sink.answer_key(token(message), 500)
    keys = await plant.send(name, *messages, person=ANN)
    await plant.wait_delivered(name, keys)
    assert plant.delivered(name) == keys


async def test_without_ordering_a_failing_item_holds_back_nothing(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), ordering="None")
    messages = [f"wamid.free.{number}" for number in range(5)]
    plant.sink.refuse_key(token(messages[0]))
    keys = await plant.send(name, *messages, person=ANN)
    await plant.wait_delivered(name, keys[1:])
    plant.sink.forgive_key(keys[0])
    await plant.wait_delivered(name, keys)
    assert sorted(plant.delivered(name)) == sorted(keys)


async def test_a_change_to_no_ordering_frees_what_waits(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    messages = [f"wamid.freed.{number}" for number in range(5)]
    async with plant.sink_answers(503):
        keys = await plant.send(name, *messages, person=ANN)
        await eventually(lambda: _rows_are(plant, name, 5), saying="all to be parked")
        await plant.serve(name, plant.http(name), ordering="None")
        plant.sink.refuse_key(keys[0])
    await plant.wait_delivered(name, keys[1:])
    plant.sink.forgive_key(keys[0])
    await plant.wait_delivered(name, keys)
    assert sorted(plant.delivered(name)) == sorted(keys)


async def _rows_are(plant: Plant, name: str, count: int) -> bool:
    return await plant.rows(name) == count
