"""Warns of webhooks that wait long for their split, before RAW forgets them.

Such a webhook is of an endpoint that no table knows, or nobody can store its items. What it holds
is not known yet, so it cannot be given up item by item: a person has to act. It is reported
when half of its age is over, by a metric to alert on and by a line in the log.
"""

import math
from collections.abc import Callable
from typing import Final

import structlog

from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.log_once import LogOnce
from forebay.runtime.periodic import periodically
from forebay_processor.adapters.streams import Streams
from forebay_processor.maintenance.consumer_progress import processed_below
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["UnsplitMonitor"]

_log = structlog.get_logger(__name__)

OVERDUE: Final = 0.5
"""Of RAW's age: webhooks that wait longer are warned of."""

CHECKS_AN_AGE: Final = 50
LONGEST_PAUSE_SECONDS: Final = 600.0
"""A check asks for the state of each consumer, so it is made that often in an age, or as often as
this where the age is long."""


class UnsplitMonitor:
    """Watches the oldest webhook of one shard that is not split."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        streams: Streams,
        shard: str,
        metrics: ProcessorMetrics,
        ages: RetentionAges,
        time: StreamTime,
        shortest_pause: float,
        is_mine: Callable[[], bool],
    ) -> None:
        """Watch a shard.

        Args:
            streams: Over the connection of now.
            shard: Which.
            metrics: Where it is reported.
            ages: Of the shard's streams.
            time: What time it is for webhooks.
            shortest_pause: Seconds between two checks, where RAW's age is short.
            is_mine: Whether it is this processor that checks.
        """
        self._streams = streams
        self._shard = shard
        self._metrics = metrics
        self._ages = ages
        self._time = time
        self._shortest_pause = shortest_pause
        self._is_mine = is_mine
        self._checked_at = -math.inf
        self._unsplit = LogOnce()

    async def run(self) -> None:
        """Check again and again; until cancelled, which leaves no figure that is not true."""
        try:
            await periodically(self._check_where_due, self._shortest_pause)
        finally:
            self._metrics.unsplit(self._shard, 0.0)

    async def _check_where_due(self) -> None:
        # The ages are not known from the start, and can change.
        pause = min(self._ages.raw / CHECKS_AN_AGE, LONGEST_PAUSE_SECONDS)
        if self._time.steady() - self._checked_at < pause or not self._has_to_check():
            return
        self._checked_at = self._time.steady()
        try:
            await self.check()
        except StoreError as error:
            _log.warning("unsplit_not_seen", shard=self._shard, reason=str(error))

    def _has_to_check(self) -> bool:
        if self._is_mine() and self._ages.raw < math.inf:
            return True
        # Another processor reports them, or they are kept forever.
        self._metrics.unsplit(self._shard, 0.0)
        return False

    async def check(self) -> None:
        """Find the oldest webhook that is not split, and warn of it.

        Raises:
            StoreError: where NATS does not answer.
        """
        age = await self._oldest_age()
        share = age / self._ages.raw
        self._metrics.unsplit(self._shard, share)
        if share < OVERDUE:
            self._unsplit.reset()
        elif self._unsplit.is_due():
            _log.warning(
                "webhooks_unsplit_for_long",
                shard=self._shard,
                oldest_seconds=round(age),
                lost_after_seconds=round(self._ages.raw),
            )

    async def _oldest_age(self) -> float:
        stream = stream_name(StreamKind.RAW, self._shard)
        end = (await self._streams.stream_info(stream)).state.last_seq + 1
        oldest = await processed_below(self._streams, self._shard, StreamKind.RAW, end)
        if oldest == end:
            return 0.0
        stored_at = await self._streams.stored_at(stream, oldest)
        return 0.0 if stored_at is None else max(0.0, self._time.now() - stored_at)
