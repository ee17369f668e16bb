"""What may be done with a partition in which of its states."""

import asyncio

import pytest

from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.shared.lease import Lease, lease_clock
from forebay_processor.shared.lease_table import Assignment
from support.processor.memory_table import MemoryTable
from support.processor.partition_alone import owned_partition

ROW = "forebay.retry.0.00.live.demo.shop.sink.c.k"


def partition(*, lease_is_valid: bool = True) -> OwnedPartition:
    lease = Lease()
    if lease_is_valid:
        lease.renew(lease_clock())
    return owned_partition("event.00", lease, MemoryTable())


async def test_rows_are_worked_only_while_it_runs() -> None:
    one = partition()
    assert one.is_started
    one.lose()
    assert not one.is_started


async def test_who_has_lost_it_does_not_come_back() -> None:
    one = partition()
    one.lose()
    one.found(Assignment(), 0, is_vacant=True)
    one.start()
    assert one.is_lost
    assert one.remaining == 0
    assert not await one.held()


async def test_nothing_is_written_when_the_lease_is_over() -> None:
    with pytest.raises(StoreUnavailable):
        await partition(lease_is_valid=False).publish(ROW, b"", {})


async def test_waiting_for_a_partition_ends_when_it_is_lost() -> None:
    one = partition(lease_is_valid=False)
    waiting = asyncio.create_task(one.held())
    await asyncio.sleep(0)  # so that it has begun
    one.lose()
    assert not await waiting


async def test_a_pause_ends_when_it_is_lost() -> None:
    one = partition()
    pausing = asyncio.create_task(one.pause(30.0))
    await asyncio.sleep(0)  # so that it has begun
    one.lose()
    assert not await pausing
