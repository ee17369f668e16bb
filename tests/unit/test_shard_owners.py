"""What one owner of a partition does neither overtakes nor undoes what another one did."""

import asyncio

import pytest

from forebay_processor.destinations.port import Delivered, Failed
from support.processor.shard_alone import ShardAlone
from support.timing.wait import eventually


async def settled() -> None:
    """Let everything run that needs no time."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_what_waits_in_retry_is_worked_after_what_was_left_before_it() -> None:
    alone = ShardAlone()
    alone.door.answer.set_result(Delivered())
    # An owner that died had parked both, and not acked the older one.
    alone.streams.left["deliver-live-00"] = 1
    await alone.park(1, "older")
    await alone.park(2, "newer")
    async with alone.working():
        await settled()
        assert alone.door.tried == []
        alone.hand_out(1, "older", delivered=2)
        await eventually(lambda: len(alone.door.tried) == 2, saying="both to be tried")
        assert alone.door.tried == ["older", "newer"]
        await eventually(lambda: not alone.streams.rows, saying="RETRY to be empty")
        # EVENTS got the acks, and nothing came twice.
        assert alone.acked == [1]
        assert alone.door.tried == ["older", "newer"]


@pytest.mark.parametrize("is_lost", [False, True], ids=["ours", "lost"])
async def test_what_fails_while_it_is_handed_over_is_parked_only_where_it_is_still_ours(
    is_lost: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    alone = ShardAlone()
    async with alone.working():
        alone.hand_out(1, "item")
        await eventually(lambda: alone.door.tried == ["item"], saying="an attempt")
        leaving = asyncio.create_task(alone.shard.leave())
        await eventually(lambda: alone.owned == {"event.00"}, saying="all else to be given back")
        if is_lost:
            alone.leases.give_to_another("event.00")
            await eventually(lambda: not alone.owned, saying="the loss to be seen")
        alone.door.answer.set_result(Failed("status 503"))
        assert await leaving
        # It is the next owner's then, who may have delivered it already.
        written = [] if is_lost else ["item"]
        assert [subject.split(".")[-1] for subject in alone.streams.published] == written
        assert alone.acked == ([] if is_lost else [1])
