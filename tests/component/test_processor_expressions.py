"""Filters and transforms of destinations: what arrives, what waits, what is counted."""

import json

import pytest
from msgspec.structs import replace

from forebay.core.subjects import Lane
from forebay.core.tables import Batch, Destination
from support.inputs.corpus import payload
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAYS_STOP = 'kind == "messages" && data.value.messages[0].text.body.startsWith("STOP")'
AS_A_NOTE = "{note: join('', ['Message: ', data.value.messages[0].text.body]), id: id}"


def filtered(destination: Destination, expression: str) -> Destination:
    return replace(destination, filter=expression)


def transformed(destination: Destination, expression: str) -> Destination:
    return replace(destination, transform=expression)


async def say(processor: ProcessorHarness, name: str, message: str, text: str) -> str:
    await processor.store(name, webhook((message, "15550001234"), text=text))
    return token(message)


async def test_a_destination_gets_what_its_filter_lets_through_and_its_neighbour_all(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(
        name,
        filtered(processor.http(f"{name}/stops", name="stops"), SAYS_STOP),
        processor.http(f"{name}/all", name="all"),
    )
    keys = [
        await say(processor, name, f"wamid.{n}", text)
        for n, text in enumerate(["Hello", "STOP now", "not STOP", "STOP"])
    ]
    status = payload("status-read")
    await processor.store(name, status.body, lane=Lane.STATUS)
    await processor.wait_delivered(f"{name}/all", [*keys, *status.webhook_ids()])
    await processor.wait_delivered(f"{name}/stops", [keys[1], keys[3]])
    assert processor.delivered(f"{name}/stops") == [keys[1], keys[3]]
    own = {"namespace": "demo", "endpoint": name, "destination": "stops"}
    assert await processor.part.metric("forebay_processor_filtered_items_total", **own) == 3


async def test_nothing_of_what_a_filter_keeps_back_is_stored_for_a_destination(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(
        name,
        filtered(processor.http(f"{name}/down", name="down"), SAYS_STOP),
        processor.http(f"{name}/all", name="all"),
        paused=True,
    )
    keys = [await say(processor, name, f"wamid.{n}", "Hello") for n in range(5)]
    keys.append(await say(processor, name, "wamid.stop", "STOP"))
    # All six wait for the one, and one of them for the other.
    await eventually(lambda: _waits(processor, name, 7))
    down = f"forebay.retry.0.*.*.demo.{name}.down.>"
    assert await processor.count("FOREBAY_RETRY_0", down) == 1


async def _waits(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count


async def test_what_waits_is_not_asked_about_again_by_a_filter_that_was_changed(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    stops = processor.http(name)
    await processor.serve(name, filtered(stops, SAYS_STOP), paused=True)
    waiting = await say(processor, name, "wamid.waits", "STOP")
    await eventually(lambda: _waits(processor, name, 1))
    await processor.serve(name, filtered(stops, 'kind == "statuses"'))
    await processor.wait_delivered(name, [waiting])
    await say(processor, name, "wamid.stop", "STOP")
    status = payload("status-read")
    await processor.store(name, status.body, lane=Lane.STATUS)
    await processor.wait_delivered(name, status.webhook_ids())
    await eventually(lambda: _all_done(processor))
    assert processor.delivered(name) == [waiting, *status.webhook_ids()]


async def _all_done(processor: ProcessorHarness) -> bool:
    return await processor.unacked("FOREBAY_EVENTS_0") == 0


async def test_an_item_on_which_a_filter_fails_is_delivered(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    expression = 'data.value.messages[0].image.caption == "x"'
    await processor.serve(name, filtered(processor.http(name), expression))
    (key,) = await processor.send(name, "wamid.text")
    await processor.wait_delivered(name, [key])
    own = {"namespace": "demo", "endpoint": name, "destination": "sink", "reason": "Missing"}
    assert await processor.part.metric("forebay_processor_filter_failures_total", **own) == 1


async def test_the_data_of_an_event_is_what_the_transform_makes_and_all_else_stays(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(
        name,
        transformed(processor.http(f"{name}/notes", name="notes"), AS_A_NOTE),
        processor.http(f"{name}/plain", name="plain"),
    )
    key = await say(processor, name, "wamid.1", "Hello")
    for path in ("notes", "plain"):
        await processor.wait_delivered(f"{name}/{path}", [key])
    (note,), (plain,) = (processor.arrivals(f"{name}/{path}") for path in ("notes", "plain"))
    assert note.event == {
        **plain.event,
        "transformed": True,
        "data": {"note": "Message: Hello", "id": key},
    }
    assert note.headers["webhook-id"] == plain.headers["webhook-id"] == key


async def test_plain_json_is_the_result_alone_signed_under_the_item_s_id(
    processor: ProcessorHarness,
) -> None:
    from standardwebhooks.webhooks import Webhook  # noqa: PLC0415  # one test's own

    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # made up, from the standard's own examples
    name = processor.new_name()
    target = processor.http(name, content_type="application/json", signing_secrets=(secret,))
    await processor.serve(name, transformed(target, AS_A_NOTE))
    key = await say(processor, name, "wamid.1", "Hello")
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    assert json.loads(arrival.body) == {"note": "Message: Hello", "id": key}
    assert arrival.headers["webhook-id"] == key
    assert Webhook(secret).verify(arrival.body, dict(arrival.headers)) == json.loads(arrival.body)


async def test_a_batch_of_plain_json_is_a_list_of_results(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    batch = Batch(max_items=2, max_wait_seconds=2.0)
    target = processor.http(name, content_type="application/json", batch=batch)
    await processor.serve(name, transformed(target, "{id: id}"))
    for number in (1, 2):
        await processor.store(name, webhook((f"wamid.{number}", f"1555000{number}")))
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    found = sorted(each["id"] for each in json.loads(arrival.body))
    assert found == sorted([token("wamid.1"), token("wamid.2")])


async def test_an_item_of_which_a_transform_makes_nothing_is_a_dead_letter_that_says_why(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    note = transformed(processor.http(name), "data.value.messages[0].image.caption")
    await processor.serve(name, note)
    (key,) = await processor.send(name, "wamid.text")
    letter = await processor.letter(name, key)
    assert letter.headers is not None
    assert letter.headers["Forebay-Reason"] == "Rejected"
    assert letter.headers["Forebay-Error"] == "transform: it gives null: what it reads is not there"
    assert processor.arrivals(name) == []


async def test_what_waits_goes_out_by_the_transform_that_is_in_force_then(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    target = processor.http(name, content_type="application/json")
    await processor.serve(name, transformed(target, "{old: id}"), paused=True)
    (key,) = await processor.send(name, "wamid.waits")
    await eventually(lambda: _waits(processor, name, 1))
    await processor.serve(name, transformed(target, "{new: id}"))
    await eventually(lambda: processor.arrivals(name))
    assert json.loads(processor.arrivals(name)[0].body) == {"new": key}
