"""How many items wait is counted once, whoever stored them and whenever they go."""

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay_processor.delivery.shares import row_bytes
from forebay_processor.destinations.port import Delivered
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

COUNT = 12


def taken(alone: QueueAlone) -> list[tuple[RetrySubject, int]]:
    """Take a partition with rows that an owner before left; returns them with their sequences."""
    rows = []
    for number in range(COUNT):
        subject = RetrySubject("0", 0, Lane.LIVE, NAME, "sink", f"p{number}", f"{number:04}")
        rows.append((subject, alone.table.put(str(subject), ITEM, {envelope.RECEIVED_AT: "0"})))
    alone.take_anew(0)
    return rows


async def test_rows_that_go_before_they_were_counted_are_not_counted_off() -> None:
    alone = QueueAlone()
    taken(alone)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    assert (alone.queue.parked, alone.queue.backlogs.share.rows) == (0, 0)


async def test_rows_that_were_counted_are_counted_off_when_they_go() -> None:
    alone = QueueAlone()
    rows = taken(alone)
    for subject, sequence in rows:
        alone.find(0, subject, sequence)
        alone.partitions[0].count_to(sequence)
    share = alone.queue.backlogs.share
    assert (alone.queue.parked, share.rows) == (COUNT, COUNT * row_bytes(len(ITEM)))
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    assert (alone.queue.parked, alone.queue.backlogs.share.rows) == (0, 0)


async def test_a_row_that_is_gone_is_not_counted_any_more() -> None:
    alone = QueueAlone()
    rows = taken(alone)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    # The pass over the headers had read it before.
    alone.find(0, *rows[0])
    assert alone.queue.parked == 0


async def test_rows_of_a_partition_that_somebody_else_has_now_count_no_more() -> None:
    alone = QueueAlone()
    for subject, sequence in taken(alone):
        alone.find(0, subject, sequence)
    assert alone.queue.backlogs.share.rows == COUNT * row_bytes(len(ITEM))
    alone.lose(0)
    assert (alone.queue.parked, alone.queue.backlogs.share.rows) == (0, 0)
