"""A destination that takes batches: several items in one request, each once and in order."""

import functools
import json

import pytest
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook

from forebay.core.tables import Batch
from support.destinations.sink import Arrival
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # made up, from the standard's own examples
BATCH = Batch(max_items=25, max_wait_seconds=0.3)


async def send_apart(
    processor: ProcessorHarness, name: str, count: int, *, prefix: str = "m"
) -> list[str]:
    """Store messages of as many people, and return their `webhook-id`s."""
    messages = [f"wamid.{prefix}.{number}" for number in range(count)]
    people = [(each, f"1555{number}") for number, each in enumerate(messages)]
    await processor.store(name, webhook(*people))
    return [token(each) for each in messages]


def came(processor: ProcessorHarness, path: str, count: int) -> bool:
    """Say whether so many requests came, though none is answered."""
    return len(processor.arrivals(path)) >= count


def batches(processor: ProcessorHarness, path: str) -> list[Arrival]:
    """Return the requests with several items."""
    return [each for each in processor.arrivals(path) if each.is_batch]


async def test_items_of_different_people_come_together_as_cloudevents(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, batch=BATCH, signing_secrets=(SECRET,)))
    keys = await send_apart(processor, name, 50)
    await processor.wait_delivered(name, keys)
    assert sorted(processor.delivered(name)) == sorted(keys), "each once"
    assert len(processor.arrivals(name)) < 10
    first = batches(processor, name)[0]
    assert first.headers["content-type"] == "application/cloudevents-batch+json; charset=utf-8"
    assert first.headers["forebay-items"] == str(len(first.items))
    assert first.headers["forebay-endpoint"] == f"demo/{name}"
    assert first.key not in keys
    events = Webhook(SECRET).verify(first.body, dict(first.headers))
    assert [each["id"] for each in events] == first.items
    for event in json.loads(first.body):
        read = JSONFormat().read(None, json.dumps(event).encode())
        assert read.get_source() == f"/forebay/demo/{name}"


async def test_batches_can_come_as_plain_json(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, batch=BATCH, content_type="application/json"))
    keys = await send_apart(processor, name, 20)
    await processor.wait_delivered(name, keys)
    assert batches(processor, name)
    for arrival in processor.arrivals(name):
        assert arrival.headers["content-type"] == "application/json"


async def test_items_of_one_person_come_one_after_the_other(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(
        name, processor.http(name, batch=Batch(max_items=25, max_wait_seconds=0.01))
    )
    keys = await processor.send(name, *(f"wamid.{number}" for number in range(8)))
    await processor.wait_delivered(name, keys)
    assert processor.delivered(name) == keys


async def test_one_that_is_never_taken_holds_up_no_other(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, batch=BATCH))
    bad = token("wamid.m.7")
    processor.sink.refuse_key(bad, 422)
    keys = await send_apart(processor, name, 20)
    await processor.wait_delivered(name, [key for key in keys if key != bad])
    await processor.letter(name, bad)
    assert sorted([*processor.delivered(name), bad]) == sorted(keys)
    processor.sink.forgive_key(bad)


async def test_what_waited_for_a_destination_that_was_down_comes_in_batches(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, batch=BATCH))
    async with processor.sink_answers(503):
        keys = await send_apart(processor, name, 60)
        await eventually(lambda: processor.arrivals(name), saying="a request")

        async def all_wait() -> bool:
            return await processor.rows(name) == len(keys)

        await eventually(all_wait, saying="all to wait in RETRY")
        asked = len(processor.arrivals(name))
    await processor.wait_delivered(name, keys, within=20)
    assert sorted(processor.delivered(name)) == sorted(keys), "each once"
    assert asked < len(keys), "a destination that is down is not asked for each item"
    assert any(each.accepted for each in batches(processor, name))


async def test_no_more_requests_are_under_way_than_the_destination_allows(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    batch = Batch(max_items=5, max_wait_seconds=0.01)
    await processor.serve(name, processor.http(name, batch=batch, max_in_flight=2))
    processor.sink.hold()
    try:
        keys = await send_apart(processor, name, 40)
        await eventually(lambda: len(processor.arrivals(name)) >= 2, saying="two requests")
        # What comes later goes its whole way meanwhile.
        other = processor.plain()
        for number in range(1, 4):
            await processor.send(other, f"wamid.later.{number}", person=f"1555{number}")
            await eventually(
                functools.partial(came, processor, other, number), saying="another's requests"
            )
        assert len(processor.arrivals(name)) == 2
    finally:
        processor.sink.release()
    await processor.wait_delivered(name, keys)
    assert sorted(processor.delivered(name)) == sorted(keys)
