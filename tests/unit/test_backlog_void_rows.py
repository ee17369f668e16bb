"""A row that an owner stored when the partition was not its own does not stand for the item."""

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay_processor.destinations.port import Delivered, Failed
from forebay_processor.shared.lease_table import Assignment
from support.processor.partition_alone import owned_partition
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

SUBJECT = str(RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c0", "item"))


def put(alone: QueueAlone, epoch: int) -> int:
    """Let RETRY have a row of the item that an owner of this epoch stored."""
    return alone.table.put(SUBJECT, ITEM, {envelope.RECEIVED_AT: "0", envelope.EPOCH: str(epoch)})


async def parked(alone: QueueAlone) -> None:
    """Offer the item, and wait until EVENTS may forget it."""
    alone.answer(Failed("status 503"))
    alone.offer(0, "item")
    await eventually(lambda: alone.done == ["item"], saying="the item to be parked")


async def test_an_item_is_stored_though_a_void_row_of_it_is_there() -> None:
    alone = QueueAlone()
    late = put(alone, epoch=6)
    await parked(alone)
    ((_, headers, sequence),) = alone.table.rows.values()
    assert (headers[envelope.EPOCH], sequence > late) == ("7", True)


async def test_a_row_of_the_owner_before_counts_as_the_item() -> None:
    alone = QueueAlone()
    known = put(alone, epoch=6)
    alone.lose(0)
    alone.partitions[0] = alone.partition(0)
    await parked(alone)
    ((_, headers, sequence),) = alone.table.rows.values()
    assert (headers[envelope.EPOCH], sequence) == ("6", known)
    assert alone.door.tried == []


async def test_a_void_row_is_deleted_where_it_is_read() -> None:
    alone = QueueAlone()
    put(alone, epoch=3)
    partition = owned_partition("event.00", alone.lease, alone.table, epoch=7)
    # The owner of epoch 5 had asked RETRY before the row came.
    partition.found(Assignment(epoch=6, loaded=5, floor=0), alone.table.last, is_vacant=False)
    alone.answer(Delivered())
    alone.queue.read_lane(partition, "0", Lane.LIVE)
    await eventually(lambda: not alone.table.rows, saying="the row to go")
    await alone.settled()
    assert alone.door.tried == []
