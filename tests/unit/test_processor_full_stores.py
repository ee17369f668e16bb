"""RETRY or DEAD has no room: nothing is forgotten for it, whoever writes, and it goes on by itself.

A first attempt whose letter DEAD refuses, and a row whose letter it refuses, are in
`test_processor_dead_letters`; what a splitter stores, in `test_splitter_order_and_claims` (EVENTS)
and `test_splitter_large_bodies` (RAW).
"""

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject, dead_subject
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.retry_queue import ROW_PAUSE_SECONDS
from forebay_processor.destinations.port import Delivered, Failed, Rejected
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

DEAD = "forebay.dead."
RETRY = "forebay.retry."

LETTER = dead_subject("0", NAME, "sink", "poison")


async def refused(alone: QueueAlone, more: int = 1) -> None:
    """Wait until something found no room, so many times more."""
    wanted = alone.table.refused + more
    await eventually(lambda: alone.table.refused >= wanted, saying="a store that is full")


def waiting(alone: QueueAlone, *keys: str) -> list[str]:
    """Let the queue find items that were parked before, by an owner of before; their subjects."""
    subjects = [str(RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c0", key)) for key in keys]
    for subject in subjects:
        alone.table.put(subject, ITEM, {envelope.RECEIVED_AT: "0"})
    alone.take_anew(0)
    return subjects


# What is parked


async def test_what_retry_has_no_room_for_stays_in_events_until_it_is_stored() -> None:
    alone = QueueAlone()
    alone.table.full = {RETRY}
    alone.offer(0, "a")
    alone.answer(Failed("503"))
    await refused(alone, more=2)
    assert alone.done == []
    alone.table.full = set()
    await eventually(lambda: alone.done == ["a"], saying="the item to be parked")
    ((subject, (_, headers, _)),) = alone.table.rows.items()
    assert subject.startswith(RETRY)
    assert int(headers[envelope.ATTEMPTS]) >= 1


async def test_what_retry_has_no_room_for_is_delivered_from_memory_and_only_once() -> None:
    alone = QueueAlone()
    alone.table.full = {RETRY}
    alone.offer(0, "a")
    alone.answer(Failed("503"))
    await refused(alone)
    alone.answer_anew(Delivered())
    await eventually(lambda: alone.done == ["a"], saying="the item to be delivered")
    tried = len(alone.door.tried)
    alone.table.full = set()
    # What comes later in the same conversation finds nothing of it in its way.
    alone.offer(0, "b")
    await eventually(lambda: alone.done == ["a", "b"], saying="the next one")
    assert alone.door.tried[tried:] == ["b"]
    assert alone.table.rows == {}


async def test_nothing_overtakes_what_retry_has_no_room_for() -> None:
    alone = QueueAlone()
    alone.table.full = {RETRY}
    alone.offer(0, "a")
    alone.offer(0, "bb")
    alone.answer(Failed("503"))
    await refused(alone, more=2)
    assert set(alone.door.tried) == {"a"}
    alone.answer_anew(Delivered())
    await eventually(lambda: sorted(alone.done) == ["a", "bb"], saying="both to be delivered")
    assert alone.door.tried[-1] == "bb"
    assert alone.door.tried.count("bb") == 1


# What is put off


async def test_a_row_that_is_tried_again_while_retry_is_full_needs_no_room() -> None:
    alone = QueueAlone()
    alone.answer(Failed("503"))
    waiting(alone, "first", "second")
    before = dict(alone.table.rows)
    alone.table.full = {RETRY}
    await alone.tried("first", "first")
    assert alone.table.rows == before
    assert alone.table.refused == 0
    alone.answer_anew(Delivered())
    await eventually(lambda: alone.table.rows == {}, saying="both rows to go")
    assert alone.door.tried[-1] == "second"
    assert alone.door.tried.count("second") == 1


# What is given up


async def test_what_neither_retry_nor_dead_has_room_for_stays_in_events() -> None:
    alone = QueueAlone()
    alone.table.full = {DEAD, RETRY}
    alone.offer(0, "poison")
    alone.answer(Rejected("422"))
    # The letter, the row, and the letter once more.
    await refused(alone, more=3)
    await alone.settled()
    assert alone.done == []
    assert alone.table.rows == {}
    alone.table.full = {RETRY}
    alone.let_pass(ROW_PAUSE_SECONDS)
    await eventually(lambda: alone.done == ["poison"], saying="the letter to be stored")
    assert list(alone.table.rows) == [LETTER]
    assert alone.table.rows[LETTER][1][envelope.ERROR] == "422"
    # What the destination said once counts: it is not asked again for want of room.
    assert alone.door.tried == ["poison"]


async def test_what_events_is_about_to_forget_stays_until_dead_has_room_for_it() -> None:
    alone = QueueAlone()
    alone.ages.events = 8000.0
    alone.table.full = {DEAD, RETRY}
    alone.offer(0, "poison")
    alone.answer(Failed("503"))
    await refused(alone)
    alone.clock.gone_by = 7900.0
    await eventually(
        lambda: [each for each in alone.table.refusals if each.startswith(DEAD)],
        saying="DEAD to refuse the letter",
    )
    await alone.settled()
    assert alone.done == []
    alone.table.full = {RETRY}
    await eventually(lambda: alone.done == ["poison"], saying="the letter to be stored")
    assert list(alone.table.rows) == [LETTER]
    assert alone.table.rows[LETTER][1][envelope.REASON] == "Expired"


async def test_a_row_of_a_removed_destination_stays_while_dead_letters_have_no_room() -> None:
    alone = QueueAlone()
    (row,) = waiting(alone, "poison")
    alone.queue.configure(DestinationSettings(state=DestinationState.PAUSED))
    alone.table.full = {DEAD}
    alone.remove_destination()
    await refused(alone)
    await alone.settled()
    assert alone.table.refusals == [LETTER]
    assert list(alone.table.rows) == [row]
    assert alone.door.tried == []
    # Its pause before the next try ends with the partition.
    alone.lose(0)
    await alone.settled()
    assert list(alone.table.rows) == [row]
