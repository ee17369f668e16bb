"""Items of one conversation come in order; a failing one holds back its own conversation only."""

import json

import pytest

from forebay.core.subjects import Lane
from support.inputs.splitting import split
from support.processor.processor_harness import CHANNEL, ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANN, BOB = "15550000001", "15550000002"


async def test_a_failing_item_holds_back_its_own_conversation_only(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    anns = [f"wamid.ann.{number}" for number in range(6)]
    bobs = [f"wamid.bob.{number}" for number in range(6)]
    processor.sink.refuse_key(token(anns[1]))
    for ann, bob in zip(anns, bobs, strict=True):
        await processor.send(name, ann, person=ANN)
        await processor.send(name, bob, person=BOB)
    await processor.wait_delivered(name, [token(anns[0]), *map(token, bobs)])
    processor.sink.forgive_key(token(anns[1]))
    await processor.wait_delivered(name, [*map(token, anns)])
    delivered = processor.delivered(name)
    assert [key for key in delivered if key in set(map(token, anns))] == [*map(token, anns)]
    assert [key for key in delivered if key in set(map(token, bobs))] == [*map(token, bobs)]
    assert [*map(token, anns[1:])] == delivered[-5:]
    assert len(delivered) == 12


async def test_what_has_no_person_and_no_order_holds_back_nothing(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    channel = {"metadata": {"phone_number_id": CHANNEL}}
    clicks = [{"timestamp": str(1_795_165_201 + number)} for number in range(6)]
    change = {"field": "messages", "value": {**channel, "user_actions": clicks}}
    body = json.dumps({"entry": [{"id": "104700000000701", "changes": [change]}]}).encode()
    keys = [item.token for item in split("meta", body, 0.0)]
    processor.sink.refuse_key(keys[0])
    await processor.store(name, body, lane=Lane.BULK)
    await processor.wait_delivered(name, keys[1:])
    processor.sink.forgive_key(keys[0])
    await processor.wait_delivered(name, keys)


async def test_items_that_come_while_an_attempt_hangs_follow_in_order(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    processor.sink.hold()
    try:
        keys = await processor.send(name, *(f"wamid.{number}" for number in range(10)), person=ANN)
        await eventually(lambda: processor.arrivals(name))
        # Longer than an item is held in memory: those behind the first one are parked, and so is
        # that one, before them: the order of rows is the order of the conversation.
        await eventually(lambda: _rows_are(processor, name, 10), saying="all to be parked")
    finally:
        processor.sink.release()
    await processor.wait_delivered(name, keys)
    assert processor.delivered(name) == keys
    await eventually(lambda: _rows_are(processor, name, 0), saying="RETRY to be empty")


async def test_items_keep_their_order_when_every_first_attempt_fails(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    messages = [f"wamid.failing.{number}" for number in range(8)]
    for message in messages:
        processor.sink.answer_key(token(message), 500)
    keys = await processor.send(name, *messages, person=ANN)
    await processor.wait_delivered(name, keys)
    assert processor.delivered(name) == keys


async def test_without_ordering_a_failing_item_holds_back_nothing(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), ordering="None")
    messages = [f"wamid.free.{number}" for number in range(5)]
    processor.sink.refuse_key(token(messages[0]))
    keys = await processor.send(name, *messages, person=ANN)
    await processor.wait_delivered(name, keys[1:])
    processor.sink.forgive_key(keys[0])
    await processor.wait_delivered(name, keys)
    assert sorted(processor.delivered(name)) == sorted(keys)


async def test_a_change_to_no_ordering_frees_what_waits(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    messages = [f"wamid.freed.{number}" for number in range(5)]
    async with processor.sink_answers(503):
        keys = await processor.send(name, *messages, person=ANN)
        await eventually(lambda: _rows_are(processor, name, 5), saying="all to be parked")
        await processor.serve(name, processor.http(name), ordering="None")
        processor.sink.refuse_key(keys[0])
    await processor.wait_delivered(name, keys[1:])
    processor.sink.forgive_key(keys[0])
    await processor.wait_delivered(name, keys)
    assert sorted(processor.delivered(name)) == sorted(keys)


async def _rows_are(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count
