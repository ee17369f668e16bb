"""Room for new webhooks: removes what is processed, oldest first, when a stream fills up.

Room goes before retention: above 80 % of `max_bytes`, messages that every consumer has
acked go before their age ends. What is not split or not delivered is never removed.

A check costs one call for each stream; only where one is nearly full, the state of each of its
consumers is asked for. If the process dies, the next one checks again: nothing is kept here.
"""

from collections.abc import Callable
from typing import Final

import structlog

from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.log_once import AGAIN_SECONDS, LogOnce
from forebay.runtime.periodic import periodically
from forebay_processor.adapters.streams import Streams
from forebay_processor.maintenance.consumer_progress import processed_below
from forebay_processor.metrics import ProcessorMetrics

__all__ = ["StreamRetention"]

_log = structlog.get_logger(__name__)

FULL: Final = 0.8
"""Of `max_bytes`: above it, processed messages go."""

FILLING: Final = 0.5
HURRY: Final = 0.1
"""Above that share of `max_bytes` the pause between two checks is so much of the usual: 0.5 s as
shipped, so that a stream of 50 MB takes 5 MB/s of what is processed, and larger ones more."""

ENOUGH: Final = 0.7
"""Of `max_bytes`: down to it."""


class StreamRetention:
    """Makes room in RAW and EVENTS of one shard."""

    def __init__(
        self,
        streams: Streams,
        shard: str,
        metrics: ProcessorMetrics,
        pause: float,
        is_mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make room in a shard's streams.

        Args:
            streams: Over the connection of now.
            shard: Which.
            metrics: Where it is counted.
            pause: Seconds between two checks, while there is much room.
            is_mine: Whether it is this processor that checks: one of a shard is enough, and two
                would do no harm.
        """
        self._is_mine = is_mine
        self._streams = streams
        self._shard = shard
        self._metrics = metrics
        self._pause = pause
        self._is_filling = False
        self._failing = LogOnce(AGAIN_SECONDS)

    async def run(self) -> None:
        """Check again and again; until cancelled."""
        await periodically(self._check, lambda: self._pause * (HURRY if self._is_filling else 1))

    async def _check(self) -> None:
        self._is_filling = False
        if not self._is_mine():
            return
        for kind in (StreamKind.RAW, StreamKind.EVENTS):
            try:
                await self.make_room(kind)
            except StoreError as error:
                if self._failing.is_due():
                    _log.warning("retention_failed", shard=self._shard, reason=str(error))

    async def make_room(self, kind: StreamKind) -> int:
        """Remove processed messages if the stream is nearly full; returns how many.

        Raises:
            StoreError: where NATS does not answer.
        """
        stream = stream_name(kind, self._shard)
        info = await self._streams.stream_info(stream)
        state, limit = info.state, info.config.max_bytes or 0
        self._is_filling = self._is_filling or state.bytes > FILLING * limit > 0
        if limit <= 0 or state.bytes <= FULL * limit or not state.messages:
            return 0
        average = state.bytes / state.messages
        wanted = int((state.bytes - ENOUGH * limit) / average) + 1
        processed = await processed_below(self._streams, self._shard, kind, state.last_seq + 1)
        # Sequences can have gaps: then less is removed now and more at the next check.
        below = min(state.first_seq + wanted, processed)
        if below <= state.first_seq:
            return 0
        removed = await self._streams.purge_below(stream, below)
        self._metrics.purged(stream, removed)
        _log.info("stream_purged", stream=stream, messages=removed)
        return removed
