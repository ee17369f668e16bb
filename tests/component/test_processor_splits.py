"""A webhook is split into its items, and each item is delivered once."""

import json
import time

import pytest

from forebay.core.subjects import Lane
from support.inputs.corpus import payload
from support.processor.processor_harness import EVENTS, RAW, ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_batch_becomes_one_item_each(processor: ProcessorHarness) -> None:
    name, batch = processor.plain(), payload("batch-mixed")
    await processor.store(name, batch.body)
    await processor.wait_delivered(name, batch.webhook_ids(time.time()))
    assert sorted(processor.delivered(name)) == sorted(batch.webhook_ids(time.time()))


async def test_a_repeat_in_another_body_is_delivered_once(processor: ProcessorHarness) -> None:
    name = processor.plain()
    first, both = (
        webhook(("wamid.1", "15550001")),
        webhook(("wamid.1", "15550001"), ("wamid.2", "15550001")),
    )
    for body in (first, both, first):
        await processor.store(name, body)
    await processor.send(name, "wamid.3")
    await processor.wait_delivered(name, [token("wamid.2"), token("wamid.3")])
    assert sorted(processor.delivered(name)) == sorted(
        map(token, ("wamid.1", "wamid.2", "wamid.3"))
    )
    repeats = await processor.part.metric(
        "forebay_processor_items_total", endpoint=name, outcome="repeat"
    )
    assert repeats == 2


async def test_all_items_of_a_large_body_arrive_each_person_in_order(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    messages = [(f"wamid.{number}", f"1555000{number % 7}") for number in range(200)]
    await processor.store(name, webhook(*messages))
    await processor.wait_delivered(name, [token(own) for own, _ in messages])
    delivered = processor.delivered(name)
    for person in range(7):
        wanted = [token(own) for own, whose in messages if whose == f"1555000{person}"]
        assert [key for key in delivered if key in set(wanted)] == wanted
    assert len(delivered) == 200


async def test_a_body_of_1000_items_and_3_mb_is_delivered_whole(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    messages = [(f"wamid.large.{number}", f"1555{number:07}") for number in range(1000)]
    body = webhook(*messages, text="x" * 2900)
    assert len(body) > 3_000_000
    await processor.store(name, body)
    await processor.wait_delivered(name, [token(own) for own, _ in messages], within=20)
    assert len(processor.delivered(name)) == 1000
    assert all(
        len(each.event["data"]["value"]["messages"]) == 1 for each in processor.arrivals(name)
    )


async def test_a_field_that_does_not_exist_yet_is_delivered_as_it_came(
    processor: ProcessorHarness,
) -> None:
    name, future = processor.plain(), payload("unknown-field")
    await processor.store(name, future.body, lane=Lane.BULK)
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    assert arrival.event["type"] == "dev.forebay.whatsapp.unknown"
    assert arrival.event["lane"] == "bulk"
    (change,) = json.loads(future.body)["entry"][0]["changes"]
    assert arrival.event["data"].items() >= change.items()


@pytest.mark.parametrize(
    "body",
    [b"not JSON", b'{"entry": []}', b'"\\ud800"', b"[" * 5000],
    ids=["no JSON", "no items", "half a character", "too deep"],
)
async def test_a_body_without_readable_items_is_set_aside_and_counted(
    processor: ProcessorHarness, body: bytes
) -> None:
    name = processor.plain()
    await processor.store(name, body)

    async def is_counted() -> bool:
        counted = await processor.part.metric(
            "forebay_processor_webhooks_total", endpoint=name, outcome="invalid"
        )
        return counted == 1

    await eventually(is_counted)
    kept = await processor.client.jetstream().get_last_msg(
        RAW, f"forebay.raw.0.*.invalid.demo.{name}"
    )
    assert kept.data == body
    await eventually(lambda: _nothing_unacked(processor, RAW), saying="all to be acked")


async def test_what_nobody_of_ours_wrote_stops_nothing(processor: ProcessorHarness) -> None:
    processor.part.expect_errors("subject_unreadable")
    name = processor.plain()
    context = processor.client.jetstream()
    for partition in range(16):
        await context.publish(f"forebay.raw.0.{partition:02d}.live.what.is.this", b"?")
        await context.publish(f"forebay.event.0.{partition:02d}.live.what", b"?")
    await processor.wait_delivered(name, await processor.send(name, "wamid.1"))
    await eventually(lambda: _nothing_unacked(processor, RAW), saying="all to be acked")
    await eventually(lambda: _nothing_unacked(processor, EVENTS), saying="all to be acked")


async def test_an_endpoint_of_any_json_gets_each_body_as_one_item(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), provider="generic")
    await processor.store(name, b'{"hello": ["world", 1.5]}')
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    assert arrival.event["data"] == {"hello": ["world", 1.5]}


async def test_statuses_have_a_lane_of_their_own(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.store(name, payload("status-read").body, lane=Lane.STATUS)
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    assert (json.loads(arrival.body)["lane"], arrival.event["itemtype"]) == ("status", "read")


async def _nothing_unacked(processor: ProcessorHarness, stream: str) -> bool:
    return await processor.unacked(stream) == 0
