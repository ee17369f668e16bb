"""What differs is no repeat: an id that comes again with other content is delivered as well."""

import pytest

from forebay.core.subjects import StreamKind, stream_name
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVENTS = stream_name(StreamKind.EVENTS, "0")


async def outcomes(processor: ProcessorHarness, name: str, outcome: str) -> float:
    """Return how many items of an endpoint had an outcome."""
    return await processor.part.metric(
        "forebay_processor_items_total", endpoint=name, outcome=outcome
    )


async def test_content_that_comes_after_a_placeholder_is_delivered_with_an_id_of_its_own(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    placeholder = webhook(("wamid.1", "15550001"), text="not available")
    content = webhook(("wamid.1", "15550001"), text="the real text")
    for body in (placeholder, content, placeholder, content):
        await processor.store(name, body)
    # The same person, so in order: it arrives after all that was stored before it.
    await processor.send(name, "wamid.end", person="15550001")
    await processor.wait_delivered(name, [token("wamid.end")])
    first, second, _ = processor.arrivals(name)
    assert (first.key, first.event.get("variant")) == (token("wamid.1"), None)
    assert second.key != first.key
    assert second.event["variant"] is True
    assert second.event["itemkey"].startswith(f"{first.event['itemkey']}~")
    assert second.event["data"]["value"]["messages"][0]["text"]["body"] == "the real text"
    assert len(processor.arrivals(name)) == 3
    assert await outcomes(processor, name, "variant") == 1
    assert await outcomes(processor, name, "repeat") == 2


async def test_a_processor_that_has_just_begun_distinguishes_repeats_from_variants(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    before = [webhook((f"wamid.{n}", f"1555{n}")) for n in range(30)]
    for body in before:
        await processor.store(name, body)
    await processor.wait_delivered(name, [token(f"wamid.{n}") for n in range(30)])
    await processor.restart()
    for body in (*before, webhook(("wamid.7", "15557"), text="other")):
        await processor.store(name, body)
    await eventually(lambda: len(processor.delivered(name)) == 31)

    async def is_counted() -> bool:
        return await outcomes(processor, name, "repeat") == 30

    await eventually(is_counted)
    assert await outcomes(processor, name, "variant") == 1
    assert len(set(processor.delivered(name))) == 31


async def test_an_item_that_was_removed_from_its_stream_is_stored_again(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.1"))
    await processor.restart()
    await processor.client.jetstream().purge_stream(
        EVENTS, subject=f"forebay.event.0.*.*.demo.{name}.>"
    )
    await processor.send(name, "wamid.1")
    await eventually(lambda: processor.delivered(name) == [token("wamid.1")] * 2)
