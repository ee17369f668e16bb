"""EVENTS is told of an item before what was parked of it may be tried."""

import asyncio
import contextlib
from typing import cast

from forebay.core.subjects import Lane, RetrySubject
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay_processor.delivery.dispatcher import Acker
from forebay_processor.delivery.entry import PendingDelivery
from support.processor.queue_alone import ITEM, NAME, QueueAlone


class Message:
    """A message of EVENTS whose ack takes its time."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    async def ack(self) -> None:
        """Note that it is acked."""
        await asyncio.sleep(0)
        self._told.append("acked")


async def test_an_item_is_acked_before_its_row_may_be_tried() -> None:
    told = list[str]()
    subject = RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c0", "k")
    work = PendingDelivery(QueueAlone().partitions[0], subject, 1, ITEM, {}, lambda: None)
    work.after_ack = lambda: told.append("released")
    acker = Acker()
    running = asyncio.create_task(acker.run())
    acker.put(cast("PulledMessage", Message(told)), [work])
    await acker.join()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert told == ["acked", "released"]
