"""Asks how full RETRY and DEAD of a shard are, for those who share them (`shares`).

Each processor asks for itself, once a second, and more often where RETRY fills. While NATS does not
answer, what was known and what was stored since count. If the process dies, the next one asks.
"""

from typing import Final

import structlog

from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.log_once import AGAIN_SECONDS, LogOnce
from forebay.runtime.periodic import periodically
from forebay_processor.adapters.streams import Streams
from forebay_processor.delivery.shares import ShardShares

__all__ = ["StreamSizes"]

_log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0

FILLING: Final = 0.5
HURRY: Final = 0.2
"""Above that share of RETRY the pause between two polls is so much of the usual. What other
processors store in it is not known here: by so much a destination may have more than its share."""


class StreamSizes:
    """Asks how full RETRY and DEAD of one shard are."""

    def __init__(self, streams: Streams, shard: str, shares: ShardShares) -> None:
        self._streams = streams
        self._shard = shard
        self._shares = shares
        self._unseen = LogOnce(AGAIN_SECONDS)

    async def run(self) -> None:
        """Ask again and again; until cancelled."""
        await periodically(self._poll, self._pause, at_once=True)

    def _pause(self) -> float:
        is_filling = not self._shares.retry.has_room(0, 1 - FILLING)
        return POLL_SECONDS * HURRY if is_filling else POLL_SECONDS

    async def _poll(self) -> None:
        try:
            await self.poll()
        except StoreError as error:
            if self._unseen.is_due():
                _log.warning("stream_sizes_not_seen", shard=self._shard, reason=str(error))
        else:
            self._unseen.reset()

    async def poll(self) -> None:
        """Ask once.

        Raises:
            StoreError: where NATS does not answer.
        """
        shares = self._shares
        for kind, fill in ((StreamKind.RETRY, shares.retry), (StreamKind.DEAD, shares.dead)):
            begun = fill.begin_poll()
            info = await self._streams.stream_info(stream_name(kind, self._shard))
            fill.end_poll(begun, info.state.bytes, info.config.max_bytes or 0)
