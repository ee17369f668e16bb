"""An item is forgotten only when its dead letter is stored, wherever it waited until then."""

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject, dead_subject
from forebay_processor.delivery.retry_queue import ROW_PAUSE_SECONDS
from forebay_processor.destinations.port import Rejected
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

DEAD = "forebay.dead."


def waiting(alone: QueueAlone, key: str) -> str:
    """Let the queue find an item that was parked before; its subject."""
    subject = str(RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c0", key))
    alone.table.put(subject, ITEM, {envelope.RECEIVED_AT: "0"})
    alone.take_anew(0)
    return subject


async def test_a_row_stays_while_dead_letters_have_no_room() -> None:
    alone = QueueAlone()
    alone.table.full = {DEAD}
    row = waiting(alone, "poison")
    alone.answer(Rejected("422"))
    await eventually(lambda: alone.table.refused, saying="DEAD to refuse the letter")
    await alone.settled()
    assert list(alone.table.rows) == [row]


async def test_a_row_goes_when_there_is_room_for_its_letter_and_is_not_tried_again() -> None:
    alone = QueueAlone()
    alone.table.full = {DEAD}
    waiting(alone, "poison")
    alone.answer(Rejected("422"))
    await eventually(lambda: alone.table.refused, saying="DEAD to refuse the letter")
    await alone.settled()
    alone.table.full = set()
    # The pause before the next try is over.
    alone.let_pass(ROW_PAUSE_SECONDS)
    letter = dead_subject("0", NAME, "sink", "poison")
    await eventually(lambda: list(alone.table.rows) == [letter], saying="the letter alone")
    assert alone.door.tried == ["poison"]
    headers = alone.table.rows[letter][1]
    assert (headers[envelope.REASON], headers[envelope.ERROR]) == ("Rejected", "422")


async def test_a_first_attempt_waits_in_retry_while_dead_letters_have_no_room() -> None:
    alone = QueueAlone()
    alone.table.full = {DEAD}
    alone.offer(0, "poison")
    alone.answer(Rejected("422"))
    await eventually(lambda: alone.table.refused, saying="DEAD to refuse the letter")
    await eventually(lambda: alone.done == ["poison"], saying="the item to be parked")
    assert len(alone.table.rows) == 1
    alone.table.full = set()
    # As the one who acks does it, once EVENTS has the ack.
    after_ack = alone.works[0].after_ack
    assert after_ack is not None
    after_ack()
    letter = dead_subject("0", NAME, "sink", "poison")
    await eventually(lambda: list(alone.table.rows) == [letter], saying="the letter alone")
    assert alone.door.tried == ["poison"]
