"""Rows that an owner of a partition stored when it was not its own any more are not delivered."""

import json
from pathlib import Path

from forebay.core.naming import EndpointName
from forebay.core.subjects import (
    Lane,
    RetrySubject,
    conversation_partition,
    lease_stream,
    lease_subject,
)
from support.plant import Plant
from support.wait import eventually

CONVERSATION = "0123456789abcdef"


async def store_row(plant: Plant, name: str, key: str, epoch: int | None) -> None:
    """Store a row of RETRY as an owner of that epoch does, or as it is after it was put off."""
    own = EndpointName("demo", name)
    partition = conversation_partition(own, CONVERSATION)
    row = RetrySubject("0", partition, Lane.LIVE, own, "sink", CONVERSATION, key)
    item = {
        "key": key,
        "kind": "messages",
        "type": "text",
        "channel": "1",
        "time": "2026-11-20T09:00:01.000Z",
        "data": {"id": "1"},
    }
    headers = {"Forebay-Received-At": "1795165201000", "Forebay-First-Tried-At": "1795165201000"}
    if epoch is not None:
        headers["Forebay-Epoch"] = str(epoch)
    await plant.client.jetstream().publish(str(row), json.dumps(item).encode(), headers=headers)


async def loaded(plant: Plant, epoch: int) -> None:
    """Wait until it is written down that RETRY was loaded under an epoch."""

    async def is_written() -> bool:
        message = await plant.client.jetstream().get_last_msg(lease_stream("0"), lease_subject("0"))
        partitions = json.loads(message.data or b"{}")["partitions"]
        return all(partitions[f"event.{n:02d}"].get("loaded") == epoch for n in range(16))

    await eventually(is_written, saying=f"RETRY to be loaded under epoch {epoch}")


async def test_a_row_of_an_owner_before_the_last_one_is_void(tmp_path: Path) -> None:
    async with Plant(tmp_path) as plant:
        name = plant.plain()
        await loaded(plant, 1)
        await plant.processor.terminate()
        # As if an owner had stood still since before the one that just left.
        await store_row(plant, name, "a" * 32, epoch=0)
        await store_row(plant, name, "b" * 32, epoch=1)
        await store_row(plant, name, "c" * 32, epoch=None)
        await plant.processor.start()
        await plant.wait_delivered(name, ["b" * 32, "c" * 32])

        async def is_empty() -> bool:
            return await plant.rows(name) == 0

        await eventually(is_empty, saying="RETRY to be empty")
        assert sorted(plant.delivered(name)) == ["b" * 32, "c" * 32]
