"""What happens to an item is in the index: stored, each attempt, what waits, what was given up."""

import json

import pytest
from msgspec.structs import replace

from forebay.core.index_records import (
    IndexOutcome,
    IndexRecord,
    ItemHandled,
    ItemStored,
    bucket_of,
    decode_records,
    message_digest,
)
from forebay.core.subjects import index_stream, index_subject
from forebay.core.tables import Retry
from forebay.runtime.jetstream.stream_reader import read_page
from support.processor.processor_harness import CHANNEL, ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = Retry(initial_delay_seconds=300, max_delay_seconds=300)


async def records(processor: ProcessorHarness, name: str, message: str) -> list[IndexRecord]:
    """Return what the index holds of a message of an endpoint, in the order of writing."""
    subject = index_subject("0", bucket_of(message))
    page = await read_page(processor.client, index_stream("0"), subject, 1)
    found = [each for stored in page for each in decode_records(stored.payload)]
    return [each for each in found if each.endpoint == f"demo/{name}"]


async def outcomes(
    processor: ProcessorHarness, name: str, message: str, *expected: IndexOutcome
) -> list[IndexRecord]:
    """Wait until the index holds just these outcomes of a message."""

    async def found() -> list[IndexRecord] | None:
        told = await records(processor, name, message)
        return told if sorted(each.outcome for each in told) == sorted(expected) else None

    told = await eventually(found, saying=f"{expected} of {message}")
    assert told is not None
    return told


async def test_a_delivered_message_is_there_with_its_webhook_and_its_attempt(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.d", "15550001")))
    stored, handled = await outcomes(
        processor, name, "wamid.d", IndexOutcome.NEW, IndexOutcome.DELIVERED
    )
    assert isinstance(stored, ItemStored)
    assert (stored.token, stored.message) == (token("wamid.d"), message_digest("wamid.d"))
    assert (stored.kind, stored.channel, stored.raw) == ("messages", CHANNEL, raw)
    assert 0 < stored.received <= stored.at + 1000
    assert isinstance(handled, ItemHandled)
    assert (handled.token, handled.destination) == (token("wamid.d"), "sink")
    assert (handled.attempt, handled.why, handled.due) == (1, "", 0)
    assert handled.conversation == stored.conversation


async def test_a_repeat_is_there_as_a_repeat(processor: ProcessorHarness) -> None:
    name = processor.plain()
    body = webhook(("wamid.r", "15550001"))
    first = await processor.store(name, body)
    second = await processor.store(name, body)
    told = await outcomes(
        processor, name, "wamid.r", IndexOutcome.NEW, IndexOutcome.REPEAT, IndexOutcome.DELIVERED
    )
    assert {(each.outcome, each.raw) for each in told if isinstance(each, ItemStored)} == {
        (IndexOutcome.NEW, first),
        (IndexOutcome.REPEAT, second),
    }


async def test_a_message_that_waits_says_what_was_answered_and_when_it_is_tried_again(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    processor.sink.refuse_key(token("wamid.w1"))
    await processor.send(name, "wamid.w1", "wamid.w2", person="15550001")
    told = await outcomes(processor, name, "wamid.w1", IndexOutcome.NEW, IndexOutcome.FAILED)
    failed = next(each for each in told if isinstance(each, ItemHandled))
    assert (failed.attempt, failed.why) == (1, "status 503")
    assert failed.at < failed.due <= failed.at + 400_000
    # Behind it in its conversation: never tried.
    told = await outcomes(processor, name, "wamid.w2", IndexOutcome.NEW, IndexOutcome.PARKED)
    parked = next(each for each in told if isinstance(each, ItemHandled))
    assert (parked.attempt, parked.destination) == (0, "sink")


async def test_a_message_that_is_given_up_says_why_and_what_was_answered(
    processor: ProcessorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = processor.plain()
    processor.sink.refuse_key(token("wamid.x"), 422)
    monkeypatch.setattr(processor.sink, "text", "no column named wa_id for 15550001234")
    await processor.send(name, "wamid.x")
    told = await outcomes(
        processor, name, "wamid.x", IndexOutcome.NEW, IndexOutcome.REJECTED, IndexOutcome.DEAD
    )
    handled = {each.outcome: each for each in told if isinstance(each, ItemHandled)}
    assert handled[IndexOutcome.REJECTED].why == "status 422"
    assert handled[IndexOutcome.REJECTED].said == "no column named wa_id for …"
    assert handled[IndexOutcome.DEAD].why == "Rejected"


async def test_a_message_that_no_destination_wants_is_there(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, events=("statuses",)))
    await processor.send(name, "wamid.u")
    await outcomes(processor, name, "wamid.u", IndexOutcome.NEW, IndexOutcome.UNWANTED)


async def test_a_message_that_a_filter_keeps_back_is_there_with_its_destination(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    only = replace(processor.http(name), filter='kind == "statuses"')
    await processor.serve(name, only)
    await processor.send(name, "wamid.f")
    told = await outcomes(processor, name, "wamid.f", IndexOutcome.NEW, IndexOutcome.FILTERED)
    (handled,) = (each for each in told if isinstance(each, ItemHandled))
    assert (handled.destination, handled.attempt) == ("sink", 0)


async def test_no_number_no_text_and_no_id_of_a_message_is_in_the_index(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.store(name, webhook(("wamid.p", "15550007777"), text="at the fountain"))
    await outcomes(processor, name, "wamid.p", IndexOutcome.NEW, IndexOutcome.DELIVERED)
    page = await read_page(
        processor.client, index_stream("0"), index_subject("0", bucket_of("wamid.p")), 1
    )
    kept = json.dumps([stored.payload.decode() for stored in page])
    for private in ("wamid.p", "15550007777", "fountain"):
        assert private not in kept


async def test_records_are_counted(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.send(name, "wamid.c")
    await outcomes(processor, name, "wamid.c", IndexOutcome.NEW, IndexOutcome.DELIVERED)
    metric = "forebay_processor_index_records_total"

    async def is_counted() -> bool:
        return await processor.part.metric(metric, outcome="written") >= 2

    await eventually(is_counted)
    assert await processor.part.metric(metric, outcome="dropped") == 0
