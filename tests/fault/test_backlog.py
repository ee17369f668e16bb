"""What has piled up is worked off through memory, and an old backlog is taken over in order."""

from pathlib import Path

import pytest

from support.plant import Plant, token, webhook
from support.wait import eventually

COUNT = 3000


@pytest.mark.parametrize("people", [1, COUNT], ids=["one conversation", "one each"])
async def test_a_backlog_is_delivered_once_and_in_order(tmp_path: Path, people: int) -> None:
    async with Plant(tmp_path) as plant:
        name = plant.plain()
        await plant.processor.terminate()
        count = COUNT if people > 1 else COUNT // 10
        messages = [(f"wamid.backlog.{each}", f"1555{each % people:07}") for each in range(count)]
        for start in range(0, count, 100):
            await plant.store(name, webhook(*messages[start : start + 100]))
        await plant.processor.start()
        await eventually(lambda: len(plant.delivered(name)) >= count // 10)
        # In the middle: what was handed out and not delivered is taken over by the next one.
        await plant.processor.kill()
        await plant.processor.start()
        keys = [token(own) for own, _ in messages]
        await plant.wait_delivered(name, keys, within=20)
        delivered = plant.delivered(name)
        assert set(delivered) == set(keys)
        assert len(delivered) - len(keys) <= 64
        if people == 1:
            assert list(dict.fromkeys(delivered)) == keys


async def test_a_healthy_destination_gets_a_backlog_without_a_detour(tmp_path: Path) -> None:
    async with Plant(tmp_path) as plant:
        name = plant.plain()
        await plant.processor.terminate()
        messages = [(f"wamid.backlog.{each}", f"1555{each:07}") for each in range(COUNT)]
        for start in range(0, COUNT, 100):
            await plant.store(name, webhook(*messages[start : start + 100]))
        await plant.processor.start()
        await plant.wait_delivered(name, [token(own) for own, _ in messages], within=20)
        assert len(plant.delivered(name)) == COUNT
        parked = await plant.processor.metric(
            "forebay_processor_deliveries_total", endpoint=name, outcome="parked"
        )
        assert parked < COUNT / 10
