"""Each destination gets what it asked for, each item once."""

import pytest

from forebay.core.subjects import Lane
from support.corpus import payload
from support.plant import CHANNEL, Plant, token, webhook

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER = "108200000000999"


async def test_two_destinations_get_every_item_each(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(
        name, plant.http(f"{name}/one", name="one"), plant.http(f"{name}/two", name="two")
    )
    keys = await plant.send(name, "wamid.1", "wamid.2")
    for path in (f"{name}/one", f"{name}/two"):
        await plant.wait_delivered(path, keys)
        assert plant.delivered(path) == keys


async def test_a_destination_gets_the_kinds_that_it_names(plant: Plant) -> None:
    name, status = plant.new_name(), payload("status-read")
    await plant.serve(
        name,
        plant.http(f"{name}/messages", name="messages", events=("messages",)),
        plant.http(f"{name}/statuses", name="statuses", events=("statuses", "calls")),
    )
    await plant.store(name, status.body, lane=Lane.STATUS)
    (message,) = await plant.send(name, "wamid.1")
    await plant.wait_delivered(f"{name}/messages", [message])
    await plant.wait_delivered(f"{name}/statuses", status.webhook_ids())
    assert plant.delivered(f"{name}/messages") == [message]
    assert plant.delivered(f"{name}/statuses") == list(status.webhook_ids())


async def test_a_destination_gets_the_channels_that_it_names(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(
        name,
        plant.http(f"{name}/own", name="own", channels=(CHANNEL,)),
        plant.http(f"{name}/all", name="all"),
    )
    await plant.store(name, webhook(("wamid.1", "15550001"), channel=OTHER))
    await plant.store(name, webhook(("wamid.2", "15550001")))
    await plant.wait_delivered(f"{name}/all", [token("wamid.1", OTHER), token("wamid.2")])
    await plant.wait_delivered(f"{name}/own", [token("wamid.2")])
    assert plant.delivered(f"{name}/own") == [token("wamid.2")]


async def test_an_item_that_nobody_wants_is_done(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name, events=("calls", "statuses")))
    status = payload("status-read")
    await plant.send(name, "wamid.1")
    await plant.store(name, status.body, lane=Lane.STATUS)
    await plant.wait_delivered(name, status.webhook_ids())
    assert plant.delivered(name) == list(status.webhook_ids())
