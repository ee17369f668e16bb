"""Each destination gets what it asked for, each item once."""

import pytest

from forebay.core.subjects import Lane
from support.inputs.corpus import payload
from support.processor.processor_harness import CHANNEL, ProcessorHarness, token, webhook

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER = "108200000000999"


async def test_two_destinations_get_every_item_each(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(
        name, processor.http(f"{name}/one", name="one"), processor.http(f"{name}/two", name="two")
    )
    keys = await processor.send(name, "wamid.1", "wamid.2")
    for path in (f"{name}/one", f"{name}/two"):
        await processor.wait_delivered(path, keys)
        assert processor.delivered(path) == keys


async def test_a_destination_gets_the_kinds_that_it_names(processor: ProcessorHarness) -> None:
    name, status = processor.new_name(), payload("status-read")
    await processor.serve(
        name,
        processor.http(f"{name}/messages", name="messages", events=("messages",)),
        processor.http(f"{name}/statuses", name="statuses", events=("statuses", "calls")),
    )
    await processor.store(name, status.body, lane=Lane.STATUS)
    (message,) = await processor.send(name, "wamid.1")
    await processor.wait_delivered(f"{name}/messages", [message])
    await processor.wait_delivered(f"{name}/statuses", status.webhook_ids())
    assert processor.delivered(f"{name}/messages") == [message]
    assert processor.delivered(f"{name}/statuses") == list(status.webhook_ids())


async def test_a_destination_gets_the_channels_that_it_names(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(
        name,
        processor.http(f"{name}/own", name="own", channels=(CHANNEL,)),
        processor.http(f"{name}/all", name="all"),
    )
    await processor.store(name, webhook(("wamid.1", "15550001"), channel=OTHER))
    await processor.store(name, webhook(("wamid.2", "15550001")))
    await processor.wait_delivered(f"{name}/all", [token("wamid.1", OTHER), token("wamid.2")])
    await processor.wait_delivered(f"{name}/own", [token("wamid.2")])
    assert processor.delivered(f"{name}/own") == [token("wamid.2")]


async def test_an_item_that_nobody_wants_is_done(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, events=("calls", "statuses")))
    status = payload("status-read")
    await processor.send(name, "wamid.1")
    await processor.store(name, status.body, lane=Lane.STATUS)
    await processor.wait_delivered(name, status.webhook_ids())
    assert processor.delivered(name) == list(status.webhook_ids())
