"""What one destination's queue holds in memory, and in which order what waits gets its turn."""

from collections.abc import AsyncIterator

import pytest

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay_processor.delivery.queue import CHAIN_ITEMS, ITEM_BYTES, LINE_ITEMS
from forebay_processor.destinations.port import Delivered, Failed
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

OVER = 5


@pytest.fixture
async def full() -> AsyncIterator[QueueAlone]:
    """Give a queue whose destination takes one item at a time, and has one that hangs."""
    alone = QueueAlone()
    alone.limit(1)
    alone.door.hanging.add("hangs")
    alone.offer(1, "hangs")
    await alone.tried("hangs")
    yield alone
    await alone.end()


async def test_no_more_items_are_held_than_there_is_room_for(full: QueueAlone) -> None:
    for number in range(LINE_ITEMS + OVER):
        full.offer(0, f"k{number}", conversation=f"c{number}-")
    await full.settled()
    assert len(full.table.rows) == OVER


async def test_large_items_count_by_their_size(full: QueueAlone) -> None:
    as_many = 64
    payload = ITEM + b" " * (ITEM_BYTES * (as_many - 1))
    fit = LINE_ITEMS // as_many
    for number in range(fit + OVER):
        full.offer(0, f"k{number}", conversation=f"c{number}-", payload=payload)
    await full.settled()
    assert len(full.table.rows) == OVER


async def test_one_conversation_holds_no_more_than_its_part(full: QueueAlone) -> None:
    for number in range(CHAIN_ITEMS):
        full.offer(1, f"k{number}")
    await full.settled()
    assert not full.table.rows
    full.offer(1, "one more")
    await full.settled()
    # In their order: what was held goes before it.
    keys = [subject.rpartition(".")[2] for subject in full.table.rows]
    assert keys[-1] == "one more"
    assert [key for key in keys if key != "hangs"] == [
        *(f"k{number}" for number in range(CHAIN_ITEMS)),
        "one more",
    ]


async def test_what_comes_again_while_it_waits_is_known_and_not_stored_again() -> None:
    alone = QueueAlone()
    alone.answer(Failed("status 500", retry_after=3600))
    alone.offer(0, "item")
    await eventually(lambda: alone.done == ["item"], saying="it to be parked")
    asked: list[str] = []

    async def note(operation: str) -> None:
        asked.append(operation)

    alone.table.before = note
    alone.offer(0, "item")
    assert alone.done == ["item", "item"]
    await alone.settled()
    assert asked == []
    assert alone.queue.parked == 1


async def test_a_row_is_tried_when_events_has_forgotten_its_item_and_not_before() -> None:
    """Else EVENTS may hand it out once more, when its row is gone."""
    alone = QueueAlone()
    alone.answer(Failed("status 500"))
    alone.offer(0, "not acked", conversation="one")
    alone.offer(0, "acked", conversation="other")
    first, second = alone.works
    await eventually(
        lambda: all(work.after_ack is not None for work in (first, second)),
        saying="both to be parked",
    )
    assert second.after_ack is not None
    second.after_ack()
    await eventually(lambda: alone.door.tried.count("acked") > 3, saying="the other's attempts")
    assert alone.door.tried.count("not acked") == 1
    assert first.after_ack is not None
    first.after_ack()
    await eventually(lambda: alone.door.tried.count("not acked") > 1, saying="its own")
    await alone.end()


async def test_at_a_limit_replies_go_before_statuses_and_these_before_history() -> None:
    alone = QueueAlone()
    alone.limit(1)
    alone.offer(1, "busy")
    await alone.tried("busy")
    for lane in (Lane.BULK, Lane.STATUS, Lane.LIVE):
        subject = RetrySubject("0", 0, lane, NAME, "sink", f"c-{lane}", str(lane))
        alone.table.put(str(subject), ITEM, {envelope.RECEIVED_AT: "0"})
    alone.take_anew(0)
    await eventually(lambda: len(list(alone.queue.conversations)) == 4, saying="all to be read")
    await alone.settled()
    assert alone.door.tried == ["busy"]
    alone.answer(Delivered())
    await alone.tried("busy", "live", "status", "bulk")
    await alone.end()


async def test_what_was_parked_is_forgotten_with_its_partition() -> None:
    """Somebody else had it, and may have worked off its row: what comes again is to be tried."""
    alone = QueueAlone()
    alone.answer(Failed("status 500", retry_after=3600))
    alone.offer(0, "item")
    await eventually(lambda: alone.done == ["item"], saying="it to be parked")
    alone.lose(0)
    alone.table.rows.clear()
    alone.take_anew(0)
    await alone.settled()
    alone.answer_anew(Delivered())
    alone.offer(0, "item")
    await alone.tried("item", "item")
    await eventually(lambda: alone.done == ["item", "item"], saying="it to be delivered")
    await alone.end()
