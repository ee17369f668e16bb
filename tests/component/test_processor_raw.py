"""A program written for the provider's webhooks works unchanged behind a destination."""

import hashlib
import hmac
import json

import pytest
from standardwebhooks.webhooks import Webhook

from forebay.core.subjects import Lane
from support.destinations.sink import Arrival
from support.inputs.corpus import APP_SECRET, payload
from support.processor.processor_harness import (
    CHANNEL,
    DEAD,
    EVENTS,
    ProcessorHarness,
    token,
    webhook,
)
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the specification
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def whole(body: bytes) -> str:
    """Return the `webhook-id` of a whole webhook."""
    key = hashlib.sha256(body).hexdigest()
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def meta_signature(body: bytes) -> str:
    """Sign as Meta's reference says."""
    return f"sha256={hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()}"


def signed(body: bytes) -> dict[str, str]:
    """Return the headers that the receiver keeps of a webhook."""
    return {"Content-Type": "application/json", "x-hub-signature-256": meta_signature(body)}


def is_taken_by_the_old_program(arrival: Arrival) -> bool:
    """Check a webhook as a program of Meta's customers does."""
    given = arrival.headers.get("x-hub-signature-256", "")
    return hmac.compare_digest(given, meta_signature(arrival.body))


async def test_a_webhook_comes_as_the_provider_sent_it(processor: ProcessorHarness) -> None:
    name, body = processor.new_name(), payload("batch-mixed").body
    await processor.serve(
        name, processor.http(name, format="Raw", signing_secrets=(SECRET, OLD_SECRET))
    )
    await processor.store(name, body, headers=signed(body))
    await processor.wait_delivered(name, [whole(body)])
    (arrival,) = processor.arrivals(name)
    assert arrival.body == body
    assert arrival.headers["content-type"] == "application/json"
    assert is_taken_by_the_old_program(arrival)
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(arrival.body, dict(arrival.headers)) == json.loads(body)


async def test_a_webhook_comes_once_however_many_items_it_holds_and_however_often(
    processor: ProcessorHarness,
) -> None:
    name, body = processor.new_name(), payload("batch-mixed").body
    await processor.serve(
        name,
        processor.http(f"{name}/raw", name="raw", format="Raw"),
        processor.http(f"{name}/items", name="items"),
    )
    for _ in range(3):
        await processor.store(name, body, headers=signed(body))
    ids = list(payload("batch-mixed").webhook_ids())
    (last,) = await processor.send(name, "wamid.last")
    await processor.wait_delivered(f"{name}/items", [*ids, last])
    after = webhook(("wamid.last", "15550001234"))
    await processor.wait_delivered(f"{name}/raw", [whole(body), whole(after)])
    assert sorted(processor.delivered(f"{name}/items")) == sorted([*ids, last])
    assert sorted(processor.delivered(f"{name}/raw")) == sorted([whole(body), whole(after)])


async def test_a_webhook_comes_where_one_of_its_items_passes_the_filter(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(
        name,
        processor.http(
            f"{name}/raw", name="raw", format="Raw", events=("messages",), channels=(CHANNEL,)
        ),
        processor.http(f"{name}/items", name="items"),
    )
    status, other = payload("status-read").body, webhook(("wamid.1", "1"), channel="108299")
    own = webhook(("wamid.2", "1"))
    await processor.store(name, status, lane=Lane.STATUS)
    await processor.store(name, other)
    await processor.store(name, own)
    await processor.wait_delivered(f"{name}/raw", [whole(own)])
    ids = [*payload("status-read").webhook_ids(), token("wamid.1", "108299"), token("wamid.2")]
    await processor.wait_delivered(f"{name}/items", ids)
    assert processor.delivered(f"{name}/raw") == [whole(own)]
    subjects = f"forebay.event.0.*.*.demo.{name}.body.>"
    assert await processor.count(EVENTS, subjects) == 1


async def test_nothing_is_stored_twice_where_nobody_wants_webhooks(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.alone"))
    assert await processor.count(EVENTS, f"forebay.event.0.*.*.demo.{name}.>") == 1


async def test_the_webhooks_of_a_conversation_come_in_order_through_failures(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, format="Raw"))
    bodies = [webhook((f"wamid.{number}", "15550001234")) for number in range(6)]
    processor.sink.answer_key(whole(bodies[0]), 500, 500)
    for body in bodies:
        await processor.store(name, body, headers=signed(body))
    await processor.wait_delivered(name, [whole(body) for body in bodies])
    assert processor.delivered(name) == [whole(body) for body in bodies]
    assert all(is_taken_by_the_old_program(arrival) for arrival in processor.arrivals(name))


async def test_a_webhook_that_is_rejected_is_a_dead_letter_with_all_of_it(
    processor: ProcessorHarness,
) -> None:
    name, body = processor.new_name(), payload("messages-text").body
    await processor.serve(name, processor.http(name, format="Raw"))
    processor.sink.answer_key(whole(body), 422)
    await processor.store(name, body, headers=signed(body))
    letter = await processor.letter(name, whole(body))
    assert letter.data is not None
    stored = json.loads(letter.data)
    assert stored["kind"] == "body"
    assert stored["data"]["body"].encode() == body
    assert stored["data"]["headers"]["x-hub-signature-256"] == meta_signature(body)
    assert await processor.count(DEAD, f"forebay.dead.0.demo.{name}.>") == 1


async def test_three_megabytes_come_as_they_were(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, format="Raw"))
    # Characters of every length, and many that JSON writes with a backslash.
    text = 'ü€😀"\\\n\t' * 150_000
    body = webhook(("wamid.large", "15550001234"), text=text)
    assert len(body) > 3_000_000
    await processor.store(name, body, headers=signed(body))
    await processor.wait_delivered(name, [whole(body)], within=20)
    (arrival,) = processor.arrivals(name)
    assert arrival.body == body
    assert is_taken_by_the_old_program(arrival)


async def test_a_destination_that_is_changed_to_webhooks_gets_the_old_items_as_they_were_cut(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    processor.sink.answer_key(token("wamid.before"), *[500] * 3)
    await processor.serve(name, processor.http(name))
    await processor.send(name, "wamid.before")
    await eventually(lambda: processor.arrivals(name))
    await processor.serve(name, processor.http(name, format="Raw"))
    after = webhook(("wamid.after", "15550001234"))
    await processor.store(name, after, headers=signed(after))
    await processor.wait_delivered(name, [token("wamid.before"), whole(after)])
    assert processor.delivered(name) == [token("wamid.before"), whole(after)]
    assert processor.arrivals(name)[0].event["type"] == "dev.forebay.whatsapp.messages"
