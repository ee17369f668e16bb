"""What a destination gets: a CloudEvent, its idempotency key, and a signature."""

import json

import pytest
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from forebay import __version__
from support.processor.processor_harness import CHANNEL, ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # made up, from the standard's own examples
NEW_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # made up


async def test_an_item_is_a_cloud_event(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.send(name, "wamid.1")
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    event = JSONFormat().read(None, arrival.body)
    assert arrival.headers["content-type"].startswith("application/cloudevents+json")
    assert event.get_specversion() == "1.0"
    assert event.get_id() == arrival.key == token("wamid.1")
    assert event.get_source() == f"/forebay/demo/{name}"
    assert event.get_type() == "dev.forebay.whatsapp.messages"
    assert event.get_extension("itemkey") == f"msg:{CHANNEL}:wamid.1"
    assert event.get_extension("itemtype") == "text"
    assert event.get_extension("channel") == CHANNEL
    assert event.get_extension("traceparent") == arrival.headers["traceparent"]


async def test_the_data_is_the_providers_change_cut_down_to_the_item(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.store(name, webhook(("wamid.1", "15550001"), ("wamid.2", "15550002")))
    await processor.wait_delivered(name, [token("wamid.1"), token("wamid.2")])
    for arrival in processor.arrivals(name):
        data = arrival.event["data"]
        (message,) = data["value"]["messages"]
        assert token(message["id"]) == arrival.key
        assert data["field"] == "messages"
        assert data["value"]["metadata"]["phone_number_id"] == CHANNEL


async def test_items_of_another_channel_are_marked(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), channel=CHANNEL)
    await processor.store(name, webhook(("wamid.1", "15550001")))
    await processor.store(name, webhook(("wamid.2", "15550001"), channel="108200000000999"))
    keys = [token("wamid.1"), token("wamid.2", "108200000000999")]
    await processor.wait_delivered(name, keys)
    marks = {each.key: each.event.get("otherchannel", False) for each in processor.arrivals(name)}
    assert marks == {keys[0]: False, keys[1]: True}


async def test_the_signature_is_that_of_standard_webhooks(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, signing_secrets=(SECRET, NEW_SECRET)))
    await processor.send(name, "wamid.1")
    await eventually(lambda: processor.arrivals(name))
    (arrival,) = processor.arrivals(name)
    headers = dict(arrival.headers)
    for secret in (SECRET, NEW_SECRET):
        assert Webhook(secret).verify(arrival.body, headers) == json.loads(arrival.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(arrival.body + b" ", headers)


async def test_a_second_attempt_has_the_same_id_and_body(processor: ProcessorHarness) -> None:
    name = processor.plain()
    processor.sink.answer_key(token("wamid.twice"), 503)
    await processor.wait_delivered(name, await processor.send(name, "wamid.twice"))
    first, second = processor.arrivals(name)
    assert (first.key, first.body) == (second.key, second.body)
    assert (first.attempt, second.attempt) == (1, 2)


async def test_a_destination_can_have_events_as_plain_json(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, content_type="application/json"))
    await processor.wait_delivered(name, await processor.send(name, "wamid.1"))
    (arrival,) = processor.arrivals(name)
    assert arrival.headers["content-type"] == "application/json"
    assert arrival.event["specversion"] == "1.0"


async def test_the_subject_is_the_message_s_id_whatever_stands_in_it(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.a/b+c:d=="))
    (arrival,) = processor.arrivals(name)
    assert arrival.event["subject"] == "wamid.a/b+c:d=="


async def test_requests_say_that_they_are_forebay_s_and_of_which_version(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.1"))
    (arrival,) = processor.arrivals(name)
    assert arrival.headers["user-agent"] == f"Forebay/{__version__}"
