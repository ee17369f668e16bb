"""Rows that an owner of a partition stored when it was not its own any more are not delivered."""

import json
from pathlib import Path

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    Lane,
    RetrySubject,
    conversation_partition,
    lease_stream,
    lease_subject,
)
from support.processor.processor_harness import ProcessorHarness
from support.timing.wait import eventually

CONVERSATION = "0123456789abcdef"


async def store_row(processor: ProcessorHarness, name: str, key: str, epoch: int | None) -> None:
    """Store a row of RETRY as an owner of that epoch does, or as it is after it was put off."""
    own = EndpointName("demo", name)
    partition = conversation_partition(own, CONVERSATION, "0")
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
    await processor.client.jetstream().publish(str(row), json.dumps(item).encode(), headers=headers)


async def loaded(processor: ProcessorHarness, epoch: int) -> None:
    """Wait until it is written down that RETRY was loaded under an epoch."""

    async def is_written() -> bool:
        message = await processor.client.jetstream().get_last_msg(
            lease_stream("0"), lease_subject("0")
        )
        partitions = json.loads(message.data or b"{}")["partitions"]
        return all(partitions[f"event.{n:02d}"].get("loaded") == epoch for n in range(16))

    await eventually(is_written, saying=f"RETRY to be loaded under epoch {epoch}")


async def test_a_row_of_an_owner_before_the_last_one_is_void(tmp_path: Path) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        name = processor.plain()
        await loaded(processor, 1)
        await processor.part.terminate()
        # As if an owner had stood still since before the one that just left.
        await store_row(processor, name, "a" * 32, epoch=0)
        await store_row(processor, name, "b" * 32, epoch=1)
        await store_row(processor, name, "c" * 32, epoch=None)
        await processor.part.start()
        await processor.wait_delivered(name, ["b" * 32, "c" * 32])

        async def is_empty() -> bool:
            return await processor.rows(name) == 0

        await eventually(is_empty, saying="RETRY to be empty")
        assert sorted(processor.delivered(name)) == ["b" * 32, "c" * 32]
