"""EVENTS gets the ack of an item before what was parked of it may be tried."""

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

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    async def ack(self) -> None:
        """Note that it is acked."""
        await asyncio.sleep(0)
        self._calls.append("acked")


async def test_an_item_is_acked_before_its_row_may_be_tried() -> None:
    calls = list[str]()
    subject = RetrySubject("0", 0, Lane.LIVE, NAME, "sink", "c0", "k")
    work = PendingDelivery(QueueAlone().partitions[0], subject, 1, ITEM, {}, lambda: None)
    work.after_ack = lambda: calls.append("released")
    acker = Acker()
    running = asyncio.create_task(acker.run())
    acker.put(cast("PulledMessage", Message(calls)), [work])
    await acker.join()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert calls == ["acked", "released"]
