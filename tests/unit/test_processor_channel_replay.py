"""What was replayed waits for a place at its destination like everything else."""

import pytest

from forebay.core.subjects import REPLAY, RetrySubject
from forebay.core.tables import Destination, HttpTarget, Retry
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.destinations.port import Delivered
from forebay_processor.metrics import REPLAYED
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually


def with_one_place() -> QueueAlone:
    alone = QueueAlone()
    serve(alone)
    return alone


def serve(alone: QueueAlone) -> None:
    """Let the destination take one item at a time."""
    target = HttpTarget(url="http://127.0.0.1/", max_in_flight=1)
    config = Destination(name="sink", http=target, retry=Retry(initial_delay_seconds=0.01))
    settings = DestinationSettings(state=DestinationState.OPEN, config=config, port=alone.door)
    alone.queue.configure(settings)


def stored(alone: QueueAlone, key: str) -> tuple[RetrySubject, int]:
    """Store a row that a person sent again; nobody has polled it yet."""
    subject = RetrySubject("0", 0, REPLAY, NAME, "sink", "c0", key)
    return subject, alone.table.put(str(subject), ITEM, {"Forebay-Received-At": "0"})


def replayed(alone: QueueAlone, key: str) -> None:
    """Let a row come that a person sent again, and that was polled."""
    subject, sequence = stored(alone, key)
    alone.show(0, subject, sequence)


async def test_a_replayed_item_is_tried_when_a_place_is_free() -> None:
    alone = with_one_place()
    alone.offer(0, "new")
    await alone.tried("new")
    replayed(alone, "old")
    await alone.settled()
    assert alone.door.tried == ["new"]
    alone.answer(Delivered())
    await alone.tried("new", "old")
    await eventually(lambda: not alone.table.rows, saying="its row to be deleted")


async def test_what_is_new_goes_before_what_was_replayed() -> None:
    alone = with_one_place()
    alone.offer(0, "first")
    await alone.tried("first")
    replayed(alone, "old")
    alone.offer(0, "second", conversation="other")
    alone.answer(Delivered())
    await alone.tried("first", "second", "old")


async def test_an_item_that_waits_is_not_forgotten_when_it_is_replayed() -> None:
    alone = with_one_place()
    alone.queue.configure(DestinationSettings(state=DestinationState.PAUSED))
    alone.offer(0, "x")
    await eventually(lambda: alone.done == ["x"], saying="it to be parked")
    (work,) = alone.works
    assert work.after_ack is not None
    work.after_ack()
    replayed(alone, "x")
    assert alone.queue.parked == 2
    serve(alone)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="both rows to be worked off")
    assert alone.door.tried == ["x", "x"]
    assert alone.queue.parked == 0


async def counted(alone: QueueAlone) -> int:
    """Return how many replayed items the metric has counted."""
    name = REPLAYED.name.encode()
    lines = (await alone.metrics.exposition()).content.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(name + b"{"))


@pytest.mark.parametrize("is_shown_late", [True, False])
async def test_a_replayed_row_that_the_reader_meets_first_is_counted_once(
    is_shown_late: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    alone = with_one_place()
    replayed(alone, "first")
    second, sequence = stored(alone, "second")
    await alone.tried("first")
    assert (alone.queue.parked, await counted(alone)) == (2, 2), "the page held both"
    if is_shown_late:
        alone.show(0, second, sequence)
        assert (alone.queue.parked, await counted(alone)) == (2, 2)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="both rows to be worked off")
    assert (alone.queue.parked, await counted(alone)) == (0, 2)
    await alone.end()


async def test_a_replayed_row_that_is_shown_first_is_counted_once() -> None:
    alone = with_one_place()
    replayed(alone, "first")
    replayed(alone, "second")
    assert (alone.queue.parked, await counted(alone)) == (2, 2)
    alone.answer(Delivered())
    await eventually(lambda: not alone.table.rows, saying="both rows to be worked off")
    assert (alone.queue.parked, await counted(alone)) == (0, 2)
    await alone.end()


async def test_a_row_that_was_replayed_before_the_partition_was_taken_is_not_counted_anew() -> None:
    alone = with_one_place()
    subject, sequence = stored(alone, "old")
    alone.take_anew(0)
    alone.show(0, subject, sequence)
    await alone.tried("old")
    # Whoever had the partition before counted it; that it waits is for the pass over all rows.
    assert (alone.queue.parked, await counted(alone)) == (0, 0)
    await alone.end()
