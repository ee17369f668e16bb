"""A destination that is back gets what it asked to get later when it said, and not before."""

import asyncio

from forebay.core import envelope
from forebay.core.subjects import dead_subject
from forebay.core.tables import Destination, LogTarget, Retry
from forebay_processor.delivery.circuit_breaker import FAILURES
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.destinations.port import Delivered, Failed, Result
from support.processor.queue_alone import NAME, QueueAlone
from support.timing.wait import eventually

WISH = 60.0


def answer_anew(alone: QueueAlone, result: Result) -> None:
    """Answer what comes from now on so."""
    alone.door.answer = asyncio.get_running_loop().create_future()
    alone.answer(result)


async def parked(alone: QueueAlone, key: str, result: Failed) -> None:
    """Let an item fail, and wait in RETRY, acked in EVENTS."""
    answer_anew(alone, result)
    alone.offer(0, key, conversation=key)
    work = alone.works[-1]
    await eventually(lambda: work.after_ack is not None, saying=f"{key} to be parked")
    assert work.after_ack is not None
    work.after_ack()


async def test_an_item_keeps_the_time_that_was_asked_for_when_the_breaker_closes() -> None:
    alone = QueueAlone()
    retry = Retry(initial_delay_seconds=0.01, max_delay_seconds=0.01)
    config = Destination(name="sink", retry=retry, log=LogTarget())
    alone.queue.configure(
        DestinationSettings(state=DestinationState.OPEN, config=config, port=alone.door)
    )
    await parked(alone, "asked", Failed("status 500", retry_after=WISH))
    others = [f"other{number}" for number in range(FAILURES)]
    for key in others:
        await parked(alone, key, Failed("status 500"))
    await eventually(lambda: not alone.queue.breaker.is_closed, saying="the breaker to open")
    answer_anew(alone, Delivered())
    await eventually(lambda: alone.queue.parked == 1, saying="the others to arrive")
    assert alone.queue.breaker.is_closed
    await alone.settled()
    assert alone.door.tried.count("asked") == 1
    alone.clock.gone_by += WISH
    alone.queue.wake_rows()
    await eventually(lambda: alone.queue.parked == 0, saying="the item to arrive")
    assert alone.door.tried.count("asked") == 2


async def test_the_last_attempt_is_made_when_the_age_ends() -> None:
    """Not a whole pause later: what is dead by then could have been replayed long ago."""
    alone = QueueAlone()
    retry = Retry(initial_delay_seconds=60, max_delay_seconds=60, max_age_seconds=10)
    config = Destination(name="sink", retry=retry, log=LogTarget())
    alone.queue.configure(
        DestinationSettings(state=DestinationState.OPEN, config=config, port=alone.door)
    )
    await parked(alone, "old", Failed("status 500"))
    alone.let_pass(8)
    await alone.settled()
    assert alone.door.tried == ["old"]
    alone.let_pass(3)
    await alone.tried("old", "old")
    letter = dead_subject("0", NAME, "sink", "old")
    await eventually(lambda: list(alone.table.rows) == [letter], saying="its dead letter")
    assert alone.table.rows[letter][1][envelope.REASON] == "Expired"
