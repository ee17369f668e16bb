"""What differs is no repeat: an id that comes again with other content is delivered as well."""

import pytest

from forebay.core.subjects import StreamKind, stream_name
from support.plant import Plant, token, webhook
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVENTS = stream_name(StreamKind.EVENTS, "0")


async def outcomes(plant: Plant, name: str, outcome: str) -> float:
    """Return how many items of an endpoint had an outcome."""
    return await plant.processor.metric(
        "forebay_processor_items_total", endpoint=name, outcome=outcome
    )


async def test_content_that_comes_after_a_placeholder_is_delivered_with_an_id_of_its_own(
    plant: Plant,
) -> None:
    name = plant.plain()
    placeholder = webhook(("wamid.1", "15550001"), text="not available")
    content = webhook(("wamid.1", "15550001"), text="the real text")
    for body in (placeholder, content, placeholder, content):
        await plant.store(name, body)
    # The same person, so in order: it arrives after all that was stored before it.
    await plant.send(name, "wamid.end", person="15550001")
    await plant.wait_delivered(name, [token("wamid.end")])
    first, second, _ = plant.arrivals(name)
    assert (first.key, first.event.get("variant")) == (token("wamid.1"), None)
    assert second.key != first.key
    assert second.event["variant"] is True
    assert second.event["itemkey"].startswith(f"{first.event['itemkey']}~")
    assert second.event["data"]["value"]["messages"][0]["text"]["body"] == "the real text"
    assert len(plant.arrivals(name)) == 3
    assert await outcomes(plant, name, "variant") == 1
    assert await outcomes(plant, name, "repeat") == 2


async def test_a_processor_that_has_just_begun_tells_repeats_from_variants(plant: Plant) -> None:
    name = plant.plain()
    before = [webhook((f"wamid.{n}", f"1555{n}")) for n in range(30)]
    for body in before:
        await plant.store(name, body)
    await plant.wait_delivered(name, [token(f"wamid.{n}") for n in range(30)])
    await plant.restart()
    for body in (*before, webhook(("wamid.7", "15557"), text="other")):
        await plant.store(name, body)
    await eventually(lambda: len(plant.delivered(name)) == 31)

    async def is_counted() -> bool:
        return await outcomes(plant, name, "repeat") == 30

    await eventually(is_counted)
    assert await outcomes(plant, name, "variant") == 1
    assert len(set(plant.delivered(name))) == 31


async def test_an_item_that_was_removed_from_its_stream_is_stored_again(plant: Plant) -> None:
    name = plant.plain()
    await plant.wait_delivered(name, await plant.send(name, "wamid.1"))
    await plant.restart()
    await plant.client.jetstream().purge_stream(
        EVENTS, subject=f"forebay.event.0.*.*.demo.{name}.>"
    )
    await plant.send(name, "wamid.1")
    await eventually(lambda: plant.delivered(name) == [token("wamid.1")] * 2)
