"""What nobody knows has no order to keep: it is delivered side by side."""

import json

import pytest

from forebay.core.subjects import Lane
from support.processor.processor_harness import CHANNEL, ProcessorHarness
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ITEMS = 300
PLACES = 64
"""`maxInFlight` as it is shipped."""


def webhook() -> bytes:
    """Return a webhook of many items in a list that no reference knows, none with a person."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009000", "phone_number_id": CHANNEL},
        "oddities": [{"odd": number} for number in range(ITEMS)],
    }
    change = {"field": "future_things", "value": value}
    entry = {"id": "104700000000701", "changes": [change]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def test_items_of_an_unknown_kind_are_delivered_side_by_side(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    processor.sink.hold()
    try:
        await processor.store(name, webhook(), lane=Lane.BULK)
        await eventually(lambda: len(processor.arrivals(name)) >= PLACES)
    finally:
        processor.sink.release()
    await eventually(lambda: len(set(processor.delivered(name))) == ITEMS)
    kinds = {arrival.event["type"] for arrival in processor.arrivals(name)}
    assert kinds == {"dev.forebay.whatsapp.unknown"}
