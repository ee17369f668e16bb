"""How much of a backlog is in memory, and whose it is."""

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import Destination, HttpTarget, Retry
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.destinations.port import Delivered, Failed, Trouble
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

MANY = 150
WINDOW = 20
NEVER = Retry(initial_delay_seconds=3000.0, max_delay_seconds=3000.0, max_age_seconds=1e6)


def put(
    alone: QueueAlone, count: int, people: int, lane: Lane = Lane.LIVE, first_tried: int = 0
) -> None:
    """Let RETRY hold items of so many people, by turns."""
    first = len(alone.table.rows)
    headers = {envelope.RECEIVED_AT: "0", envelope.FIRST_TRIED_AT: str(first_tried)}
    for number in range(first, first + count):
        person = f"p{number % people}"
        subject = RetrySubject("0", 0, lane, NAME, "sink", person, f"{number:04}")
        alone.table.put(str(subject), ITEM, headers)


def opened(alone: QueueAlone, retry: Retry = NEVER) -> DestinationSettings:
    """Return the settings of a destination that takes two at a time."""
    target = HttpTarget(url="http://sink", max_in_flight=2)
    config = Destination(name="sink", retry=retry, http=target)
    return DestinationSettings(state=DestinationState.OPEN, config=config, port=alone.door)


def narrow(retry: Retry = NEVER) -> QueueAlone:
    """Return a queue with a small window, whose destination hangs."""
    alone = QueueAlone()
    alone.bounds.window, alone.bounds.of_conversation = WINDOW, 4
    alone.queue.configure(opened(alone, retry))
    return alone


async def test_no_more_is_in_memory_than_the_window_however_much_waits() -> None:
    alone = narrow()
    put(alone, MANY, people=MANY)
    alone.take_anew(0)
    await eventually(lambda: len(alone.door.tried) == 2, saying="two attempts")
    await alone.settled()
    assert len(alone.queue.conversations.entries) == WINDOW
    assert alone.bounds.payload_bytes == WINDOW * len(ITEM)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    assert len(alone.door.tried) == MANY
    assert (alone.queue.conversations.entries, alone.bounds.payload_bytes) == ({}, 0)


async def test_one_conversation_takes_a_part_of_the_window_and_keeps_its_order() -> None:
    alone = narrow()
    put(alone, MANY, people=1)
    alone.take_anew(0)
    await eventually(lambda: alone.door.tried, saying="an attempt")
    await alone.settled()
    assert len(alone.queue.conversations.entries) == 4
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    assert alone.door.tried == [f"{number:04}" for number in range(MANY)]


async def test_a_failing_conversation_leaves_the_window_to_others() -> None:
    alone = narrow()
    put(alone, MANY, people=1)
    put(alone, 5, people=MANY * 2)
    alone.answer(Failed("status 500"))
    alone.take_anew(0)
    await eventually(lambda: "0000" in alone.door.tried, saying="the first to be tried")
    await eventually(lambda: f"{MANY + 4:04}" in alone.door.tried, saying="the others, too")
    assert "0001" not in alone.door.tried
    assert alone.bounds.blocked <= 6
    assert len(alone.queue.conversations.entries) <= 6


async def test_a_destination_that_is_away_has_one_entry_of_a_lane_in_memory() -> None:
    alone = narrow()
    put(alone, MANY, people=MANY)
    alone.take_anew(0)
    await eventually(lambda: len(alone.door.tried) == 2, saying="two attempts")
    alone.answer(Failed("status 401", trouble=Trouble.REFUSED))
    await eventually(lambda: not alone.queue.breaker.is_closed, saying="the breaker to open")
    await alone.settled()
    # Those that were tried, and one for a probe; none of them with what it carries.
    assert len(alone.queue.conversations.entries) == 3
    assert alone.bounds.payload_bytes == 0


async def test_a_paused_endpoint_goes_on_where_it_was() -> None:
    alone = narrow()
    put(alone, MANY, people=7)
    alone.take_anew(0)
    await eventually(lambda: len(alone.door.tried) == 2, saying="two attempts")
    alone.queue.configure(DestinationSettings(state=DestinationState.PAUSED))
    alone.answer(Delivered())
    await alone.settled()
    assert len(alone.table.rows) == MANY - 2
    alone.queue.configure(opened(alone))
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    for person in range(7):
        own = [key for key in alone.door.tried if int(key) % 7 == person]
        assert own == sorted(own)
    assert len(alone.door.tried) == MANY


async def test_with_too_many_failing_conversations_it_stands_still_and_goes_on() -> None:
    alone = narrow()
    alone.bounds.max_blocked_of_one = 30
    put(alone, MANY, people=MANY)
    alone.answer(Failed("status 500"))
    alone.queue.breaker.note = lambda *_: None  # type: ignore[method-assign]
    alone.take_anew(0)
    await eventually(lambda: alone.queue.backlogs.stands_still, saying="it to stand still")
    await alone.settled()
    assert len(alone.door.tried) <= 30 + WINDOW
    tried = len(alone.door.tried)
    alone.answer_anew(Delivered())
    alone.let_pass(4000)
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    assert len(alone.door.tried) == tried + MANY


async def test_what_is_too_old_behind_a_destination_that_is_away_goes_page_by_page() -> None:
    alone = narrow(Retry(max_age_seconds=60.0))
    put(alone, MANY, people=MANY, first_tried=1)
    breaker = alone.queue.breaker
    breaker.note("x", Failed("status 401", trouble=Trouble.REFUSED), breaker.generation)
    alone.take_anew(0)
    await eventually(
        lambda: all("dead" in each for each in alone.table.rows), saying="all to be dead letters"
    )
    assert len(alone.table.rows) == MANY
    # In pages, and not one row after the other, as they are read while a door is closed.
    assert alone.table.reads > 1
    assert alone.door.tried == []


async def test_what_is_urgent_goes_first_though_it_waits_behind_a_backlog() -> None:
    alone = narrow()
    put(alone, 40, people=MANY, lane=Lane.BULK)
    put(alone, 40, people=MANY, lane=Lane.STATUS)
    put(alone, 10, people=MANY, lane=Lane.LIVE)
    alone.take_anew(0)
    await eventually(lambda: len(alone.door.tried) == 2, saying="two attempts")
    await alone.settled()
    began = set(alone.door.tried)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    later = [key for key in alone.door.tried if key not in began]
    live = [place for place, key in enumerate(later) if int(key) >= 80]
    status = [place for place, key in enumerate(later) if 40 <= int(key) < 80]
    bulk = [place for place, key in enumerate(later) if int(key) < 40]
    assert sum(live) / len(live) < sum(status) / len(status) < sum(bulk) / len(bulk)


async def test_what_comes_behind_a_failing_item_is_only_noted() -> None:
    alone = narrow()
    alone.answer(Failed("status 500"))
    for number in range(10):
        alone.offer(0, f"{number:04}")
    await eventually(lambda: len(alone.done) == 10, saying="all to be parked")
    for work in alone.works:
        assert work.after_ack is not None
        work.after_ack()
    assert [each.subject.key for each in alone.queue.conversations.entries.values()] == ["0000"]
    alone.answer_anew(Delivered())
    alone.let_pass(4000)
    await eventually(lambda: not alone.table.rows, saying="all to be delivered")
    assert alone.door.tried == ["0000", *(f"{number:04}" for number in range(10))]
