"""What stands on a row is all that the next owner of its partition knows of an item."""

import pytest

from forebay.core import envelope
from forebay.core.subjects import RetrySubject
from forebay.core.tables import Retry
from forebay_processor.delivery.entry import RetryEntry
from forebay_processor.delivery.retry_row_reader import entry_of
from forebay_processor.destinations.port import Failed
from forebay_processor.shared.partition_view import StoredRow
from support.processor.queue_alone import QueueAlone
from support.timing.wait import eventually

WISH = 60.0
EXACT = 1.0


def as_the_next_owner_reads_it(alone: QueueAlone) -> RetryEntry:
    ((subject, (payload, headers, sequence)),) = alone.table.rows.items()
    row = StoredRow(subject, sequence, alone.time.now(), headers, payload)
    parsed = RetrySubject.parse(subject)
    entry = entry_of(alone.partitions[0], parsed, row, Retry(), alone.time)
    assert entry is not None
    return entry


async def test_the_next_owner_goes_on_where_the_last_one_was() -> None:
    alone = QueueAlone()
    began = alone.time.steady()
    alone.answer(Failed("status 500", retry_after=WISH))
    alone.offer(0, "item")
    (work,) = alone.works
    await eventually(lambda: work.after_ack is not None, saying="the item to be parked")
    first = as_the_next_owner_reads_it(alone)
    assert (first.attempts, first.order) == (1, work.order)
    assert first.since == pytest.approx(began, abs=EXACT)
    assert first.due == pytest.approx(began + WISH, abs=EXACT)


async def test_an_age_is_that_of_the_item_and_not_of_its_row() -> None:
    alone = QueueAlone()
    began = alone.time.steady()
    alone.answer(Failed("status 500"))
    alone.offer(0, "item")
    (work,) = alone.works
    await eventually(lambda: work.after_ack is not None, saying="the item to be parked")
    # As if RETRY had had no room for an hour.
    alone.clock.gone_by += 3600
    assert as_the_next_owner_reads_it(alone).since == pytest.approx(began, abs=EXACT)


async def test_a_row_is_not_written_again_when_it_fails_again() -> None:
    alone = QueueAlone()
    alone.answer(Failed("status 500"))
    alone.offer(0, "item")
    (work,) = alone.works
    await eventually(lambda: work.after_ack is not None, saying="the item to be parked")
    before = dict(alone.table.rows)
    assert work.after_ack is not None
    work.after_ack()
    await alone.tried("item", "item", "item")
    assert alone.table.rows == before
    ((_, headers, _),) = before.values()
    assert headers[envelope.EPOCH] == "7"


async def test_nothing_is_tried_from_memory_that_may_stand_in_retry() -> None:
    """Who is not answered may have stored it: it would be delivered once more from there."""
    alone = QueueAlone()
    alone.table.silent = {"forebay.retry."}
    alone.answer(Failed("status 500"))
    alone.offer(0, "item")
    await eventually(lambda: alone.table.unanswered >= 3, saying="three writes without an answer")
    assert alone.door.tried == ["item"]
    await alone.end()


async def test_what_is_parked_behind_an_attempt_is_stored_behind_what_is_tried() -> None:
    alone = QueueAlone()
    alone.door.hanging.add("hangs")
    alone.offer(0, "hangs")
    alone.offer(0, "behind")
    # If the process died now, the next owner would have to try them in this order.
    await eventually(lambda: len(alone.table.rows) == 2, saying="both to be stored")
    assert [each.rpartition(".")[2] for each in alone.table.rows] == ["hangs", "behind"]
    await alone.end()
