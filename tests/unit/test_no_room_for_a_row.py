"""RETRY has no room for more of a destination: what comes for it is in nobody's way for long."""

import pytest
from structlog.testing import capture_logs

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject, dead_subject
from forebay_processor.delivery.queue import CHAIN_ITEMS
from forebay_processor.delivery.row_storing import NO_ROOM_SECONDS
from forebay_processor.delivery.shares import row_bytes
from forebay_processor.destinations.port import Delivered, Failed, Rejected
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

RETRY = "forebay.retry."
DEAD = "forebay.dead."

ROW = row_bytes(len(ITEM))

KEPT_ROWS = 4
"""So many rows are 85 % of what the streams of these tests hold."""


def letter(key: str) -> str:
    """Return the subject of an item's dead letter."""
    return dead_subject("0", NAME, "sink", key)


def bound(alone: QueueAlone, *, retry: int = 0, dead: tuple[int, int] = (0, 0)) -> None:
    """Let RETRY and DEAD hold so many bytes; of DEAD, so many are taken."""
    shares = alone.shares.of("0")
    used = sum(ROW for each in alone.table.rows if each.startswith(RETRY))
    shares.retry.end_poll(shares.retry.begin_poll(), used, retry)
    shares.dead.end_poll(shares.dead.begin_poll(), *dead)


def of_share(rows: int) -> int:
    """Return what RETRY has to hold for a lone destination to have so many rows."""
    return int((rows + 0.5) * ROW / (0.9 * 0.95))


async def down(rows: int = KEPT_ROWS) -> QueueAlone:
    """Return a queue whose destination is down, and may have so many rows of RETRY."""
    alone = QueueAlone()
    bound(alone, retry=of_share(rows))
    alone.answer(Failed("503"))
    return alone


def waits(alone: QueueAlone, key: str) -> bool:
    """Say whether an item has a row."""
    return any(each.startswith(RETRY) and each.endswith(f".{key}") for each in alone.table.rows)


def offer(alone: QueueAlone, *keys: str) -> None:
    """Let items of different people come."""
    for key in keys:
        alone.offer(0, key, conversation=f"person-{key}")


async def test_what_is_beyond_the_share_is_a_dead_letter_after_some_seconds() -> None:
    alone = await down(rows=2)
    offer(alone, "a", "b", "c")
    await eventually(lambda: sorted(alone.done) == ["a", "b"], saying="two rows")
    assert not alone.table.refused  # it was not even tried
    alone.clock.gone_by += NO_ROOM_SECONDS
    await eventually(lambda: sorted(alone.done) == ["a", "b", "c"], saying="the letter")
    assert not waits(alone, "c")
    _, headers, _ = alone.table.rows[letter("c")]
    assert headers[envelope.REASON] == "NoRoom"
    assert alone.queue.parked == 2


async def test_room_that_comes_in_time_is_taken() -> None:
    alone = await down(rows=2)
    offer(alone, "a", "b", "c")
    await eventually(lambda: sorted(alone.done) == ["a", "b"], saying="two rows")
    bound(alone, retry=of_share(3))
    await eventually(lambda: waits(alone, "c"), saying="the third row")
    assert letter("c") not in alone.table.rows


async def test_what_finds_no_room_is_tried_from_memory_meanwhile() -> None:
    alone = await down(rows=0)
    offer(alone, "a")
    await eventually(lambda: len(alone.door.tried) > 1, saying="another attempt")
    alone.answer_anew(Delivered())
    await eventually(lambda: alone.done == ["a"], saying="the delivery")
    assert alone.table.rows == {}


async def test_an_item_whose_ack_was_lost_is_no_letter_while_its_row_is_there() -> None:
    alone = await down(rows=1)
    subject = str(RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "person-a0", "a"))
    alone.table.put(subject, ITEM, {envelope.RECEIVED_AT: "0"})
    alone.take_anew(0)
    bound(alone, retry=ROW)
    offer(alone, "a")
    alone.clock.gone_by += NO_ROOM_SECONDS
    await eventually(lambda: alone.done == ["a"], saying="EVENTS to be let go")
    await alone.settled()
    assert list(alone.table.rows) == [subject]


async def test_what_is_under_way_is_not_given_up() -> None:
    alone = await down(rows=0)
    alone.door.hanging = {"a"}
    offer(alone, "a")
    await alone.tried("a")
    # More comes behind it than is held: it is to be stored before that, and finds no room.
    behind = [f"b{number}" for number in range(CHAIN_ITEMS + 1)]
    for key in behind:
        alone.offer(0, key, conversation="person-a")
    offer(alone, "z")
    await eventually(lambda: alone.queue.parked == len(behind) + 2, saying="all to wait")
    await alone.settled()
    alone.clock.gone_by += 10 * NO_ROOM_SECONDS
    # That one is asked for room after the first one.
    await eventually(lambda: letter("z") in alone.table.rows, saying="another's letter")
    assert letter("a") not in alone.table.rows
    await alone.end()


async def test_a_full_stream_keeps_nothing_in_the_way_either() -> None:
    alone = QueueAlone()
    alone.table.full = {RETRY}
    alone.answer(Failed("503"))
    offer(alone, "a")
    await eventually(lambda: alone.table.refused, saying="RETRY to refuse it")
    alone.clock.gone_by += NO_ROOM_SECONDS
    await eventually(lambda: alone.done == ["a"], saying="the letter")
    assert alone.table.rows[letter("a")][1][envelope.REASON] == "NoRoom"


async def test_what_may_be_there_is_not_given_up() -> None:
    alone = QueueAlone()
    alone.answer(Failed("503"))
    alone.table.silent = {RETRY}
    offer(alone, "a")
    await eventually(lambda: alone.table.unanswered, saying="no answer")
    alone.table.silent, alone.table.full = set(), {RETRY}
    alone.clock.gone_by += NO_ROOM_SECONDS
    await eventually(lambda: alone.done == ["a"], saying="the row to be recognised")
    assert letter("a") not in alone.table.rows
    assert waits(alone, "a")


# DEAD


@pytest.mark.parametrize("failure", [Failed("503"), Rejected("422")])
async def test_one_that_is_down_leaves_the_last_fifth_of_dead_to_others(
    failure: Failed | Rejected,
) -> None:
    alone = QueueAlone()
    bound(alone, retry=ROW, dead=(81 * ROW, 100 * ROW))
    alone.answer(failure)
    with capture_logs() as lines:
        offer(alone, "a", "b")
        await eventually(
            lambda: any(each["event"] == "backlog_beyond_share" for each in lines),
            saying="one that finds no room",
        )
        alone.clock.gone_by += NO_ROOM_SECONDS
        await eventually(
            lambda: any(each.get("step") == "dead_letter" for each in lines),
            saying="a letter that is not taken",
        )
    await alone.settled()
    letters = [each for each in alone.table.rows if each.startswith(DEAD)]
    assert len(letters) == (isinstance(failure, Rejected))
    bound(alone, retry=ROW, dead=(0, 100 * ROW))
    alone.let_pass(NO_ROOM_SECONDS)
    await eventually(lambda: sorted(alone.done) == ["a", "b"], within=20, saying="both letters")
