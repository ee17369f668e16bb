"""A receiver's store without the receiver, and webhooks that record what came of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from typing_extensions import override

from forebay.core.envelope import MESSAGE_ID
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.nats_wire import encode_headers
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.settings import NatsSettings
from forebay_receiver.adapters.store import JetStreamStore
from forebay_receiver.adapters.storing import Storing
from forebay_receiver.metrics import ReceiverMetrics
from support.timing.wait import eventually

__all__ = ["RecordedResults", "storing"]

MAX_BODY_BYTES = 1024


@contextlib.asynccontextmanager
async def storing(
    settings: NatsSettings, metrics: ReceiverMetrics | None = None
) -> AsyncIterator[JetStreamStore]:
    """Give a receiver's store that is connected and probes, without the receiver around it."""
    metrics = metrics or ReceiverMetrics(pool="test")
    store = JetStreamStore(settings, ("0",), metrics, max_body_bytes=MAX_BODY_BYTES)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(store.run())]
        await eventually(lambda: store.was_reached, saying="NATS to be reached")
        running.append(tasks.create_task(store.probe()))
        try:
            yield store
        finally:
            for task in running:
                task.cancel()


class RecordedResults(Storing):
    """A webhook that records each result that it is given."""

    __slots__ = ("results",)

    def __init__(
        self, store: JetStreamStore, body: bytes, seconds: float, *, message_id: str = ""
    ) -> None:
        """Prepare one; `seconds` are what is left of its budget."""
        now = asyncio.get_running_loop().time()
        subject = "forebay.raw.0.00.live.demo.shop"
        headers = encode_headers({MESSAGE_ID: message_id} if message_id else {})
        super().__init__(store, "0", subject, body, headers, now, now + seconds)
        self.results: list[PubAck | StoreError] = []

    @override
    def done(self, result: PubAck | StoreError) -> None:
        self.results.append(result)
