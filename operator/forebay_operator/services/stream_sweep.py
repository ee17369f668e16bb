"""One poll at a shard's streams for all endpoints: what waits for each, and its latest webhook.

At rest that is five questions, whatever the number of endpoints. Where something waits, its rows
are read once, headers only and bounded (`lane_rows`): so the numbers are exact while no more than
some thousand rows are new at a poll, and estimates beyond. In RETRY rows go from the middle, so
there all are read again while they are few; many are counted by the processors anyway, which are
asked, and believed where they come to what the stream holds (docs/design/0041).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind
from forebay_operator.adapters.streams import StreamManager
from forebay_operator.models.stored_rows import ParkedItems, RowPosition, StreamPosition, Waiting
from forebay_operator.services.lane_rows import READ_MOST, LaneRows, Shares

__all__ = ["AskProcessors", "ShardSweep"]

_log = structlog.get_logger(__name__)

ASKED_AT_A_POLL: Final = 50
"""Endpoints whose latest webhook is asked for one by one, since the rows were not all read."""

NEAR: Final = 0.02
NEAR_ITEMS: Final = 100
"""So far may what processors count be from what RETRY holds: the two are read at other moments."""

AskProcessors = Callable[[], Awaitable[Sequence[ParkedItems] | None]]
"""Asks all processors what waits in RETRY; None where one of them did not answer."""


class ShardSweep:
    """What is known of one shard's streams."""

    def __init__(self, shard: str, streams: StreamManager, ask_processors: AskProcessors) -> None:
        """Prepare; nothing is asked yet."""
        self._shard = shard
        self._streams = streams
        self._ask_processors = ask_processors
        self._lanes = {
            StreamKind.RAW: LaneRows(reads_all=True),
            StreamKind.EVENTS: LaneRows(reads_all=False),
        }
        self._parked: list[tuple[EndpointName, int, float]] | None = None
        """What processors counted last: endpoint, items, and since when the oldest waits."""

        self._to_ask: dict[EndpointName, None] = {}
        self._latest: dict[EndpointName, float] = {}
        self.waiting: dict[EndpointName, Waiting] | None = None
        """By endpoint, those that have something; None where it is not known."""

    def latest(self, endpoint: EndpointName) -> datetime | None:
        """Return when an endpoint's latest webhook was stored; None where that is not known."""
        found = self._latest.get(endpoint)
        return None if found is None else datetime.fromtimestamp(int(found), UTC)

    def forget(self, endpoint: EndpointName) -> None:
        """Take it that an endpoint is gone."""
        self._latest.pop(endpoint, None)
        self._to_ask.pop(endpoint, None)

    async def poll(self, endpoints: Collection[EndpointName]) -> None:
        """Find out how things are now.

        Args:
            endpoints: All of the shard's.

        Raises:
            StreamsUnavailable: where NATS is away; then nothing is known.
            StreamsRefused: where it refuses.
        """
        shares = Shares()
        before, self.waiting = self.waiting, None
        received = await self._poll_lanes(StreamKind.RAW, shares)
        await self._poll_lanes(StreamKind.EVENTS, shares)
        await self._poll_retry(shares, set(endpoints))
        for row in received:
            self._latest[row.endpoint] = row.stored_at
            self._to_ask.pop(row.endpoint, None)
        if self._lanes[StreamKind.RAW].has_skipped or before is None:
            seen = {row.endpoint for row in received}
            self._to_ask |= dict.fromkeys(each for each in endpoints if each not in seen)
        self.waiting = dict(shares.waiting())
        await self._ask_latest()

    async def _poll_lanes(self, kind: StreamKind, shares: Shares) -> list[RowPosition]:
        """Add what waits in RAW or EVENTS; returns the rows that were read."""
        known, found = self._lanes[kind], list[RowPosition]()
        place = await self._streams.place(self._shard, kind)
        if place is None:
            return found
        for start, end in known.plan(place):
            rows = await self._streams.rows(self._shard, kind, start, end - start + 1)
            found += [row for row in rows if row.sequence <= end]
        known.take(found, place)
        known.add_to(shares)
        await asyncio.sleep(0)
        return found

    async def _poll_retry(self, shares: Shares, ours: set[EndpointName]) -> None:
        place = await self._streams.place(self._shard, StreamKind.RETRY)
        if place is None or not place.messages:
            self._parked = None
            return
        if place.messages > READ_MOST:
            await self._ask_what_is_parked(place, ours)
            if self._parked is not None:
                for endpoint, items, since in self._parked:
                    shares.add_items(endpoint, items, since)
                return
        rows = await self._streams.rows(self._shard, StreamKind.RETRY, place.first, READ_MOST)
        shares.add(rows, max(place.messages, len(rows)))

    async def _ask_what_is_parked(self, place: StreamPosition, ours: set[EndpointName]) -> None:
        """Take what processors count where it is all; a new owner of a partition counts first."""
        answers = await self._ask_processors()
        if answers is None:
            return
        # A processor may work several shards.
        found = [each for each in answers if each.endpoint in ours]
        counted = sum(each.items for each in found)
        if abs(counted - place.messages) <= NEAR * place.messages + NEAR_ITEMS:
            now = datetime.now(UTC).timestamp()
            self._parked = [
                (each.endpoint, each.items, now - each.oldest_seconds) for each in found
            ]

    async def _ask_latest(self) -> None:
        for endpoint in list(self._to_ask)[:ASKED_AT_A_POLL]:
            found = await self._streams.latest(self._shard, endpoint)
            self._to_ask.pop(endpoint, None)
            if found is not None:
                known = self._latest.get(endpoint, 0.0)
                self._latest[endpoint] = max(known, found.timestamp())
