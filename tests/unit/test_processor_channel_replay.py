"""What was replayed waits for a place at its destination like everything else."""

from forebay.core.subjects import REPLAY, RetrySubject
from forebay.core.tables import Destination, HttpTarget, Retry
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.destinations.port import Delivered
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


def replayed(alone: QueueAlone, key: str) -> None:
    """Let a row come that a person sent again."""
    subject = RetrySubject("0", 0, REPLAY, NAME, "sink", "c0", key)
    sequence = alone.table.put(str(subject), ITEM, {"Forebay-Received-At": "0"})
    alone.queue.shown(alone.partitions[0], subject, sequence)


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
