"""What NATS knows of an endpoint, for its status: its backlog, and its latest webhook."""

import asyncio
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.streams import StreamManager, Waiting
from forebay_operator.errors import StreamsRefused, StreamsUnavailable
from forebay_operator.models.endpoint import ClusterEndpoint, read_time
from forebay_operator.models.status import Backlog

__all__ = ["StreamBacklogReader"]

_log = structlog.get_logger(__name__)

LATEST_SECONDS: Final = 60.0
"""Between two values of `lastEventTime`: an endpoint with steady traffic would else have its status
written at every pass."""

COUNT_SHARE: Final = 0.02
"""Of NATS' time at most, for the counts of one endpoint's backlog: what a count costs grows with
the backlog, and receivers wait for the same server."""


class _Count(NamedTuple):
    """What was counted last of an endpoint."""

    waiting: Waiting | None
    """None where NATS gave no answer."""

    again_at: float
    """By the loop's clock: not counted again before."""


class StreamBacklogReader:
    """Reads it from NATS; what is not answered is left as it was."""

    def __init__(self, streams: StreamManager) -> None:
        self._streams = streams
        self._not_before: dict[EndpointName, float] = {}
        self._counts: dict[EndpointName, _Count] = {}

    async def backlog(self, shard: str, name: EndpointName) -> Backlog | None:
        """Return what waits, as it was counted last; None where it is not known.

        After a count that took long, or was not answered for long, the next one waits
        (`COUNT_SHARE`).
        """
        clock = asyncio.get_running_loop().time
        began, last = clock(), self._counts.get(name)
        if last is not None and began < last.again_at:
            return _as_backlog(last.waiting)
        waiting = None
        try:
            waiting = await self._streams.waiting(shard, name)
        except (StreamsUnavailable, StreamsRefused) as error:
            _log.debug("backlog_unknown", endpoint=str(name), reason=str(error))
        now = clock()
        self._counts[name] = _Count(waiting, again_at=now + (now - began) / COUNT_SHARE)
        return _as_backlog(waiting)

    async def latest(self, shard: str, endpoint: ClusterEndpoint) -> datetime | None:
        """Return when the latest webhook was stored, a minute old at most; None where none was.

        A new value comes a minute after the one before at the earliest, also across a restart, and
        it never goes back: what is purged or too old was stored nevertheless.
        """
        shown = endpoint.status.get("lastEventTime")
        known = read_time(shown) if isinstance(shown, str) else None
        now = asyncio.get_running_loop().time()
        if known is not None:
            is_young = (datetime.now(UTC) - known).total_seconds() < LATEST_SECONDS
            if is_young or now < self._not_before.get(endpoint.endpoint, now):
                return known
        try:
            found = await self._streams.latest(shard, endpoint.endpoint)
        except (StreamsUnavailable, StreamsRefused) as error:
            _log.debug("latest_unknown", endpoint=str(endpoint.endpoint), reason=str(error))
            return known
        self._not_before[endpoint.endpoint] = now + LATEST_SECONDS
        if found is None or (known is not None and found <= known):
            return known
        return found

    def forget(self, name: EndpointName) -> None:
        """Take it that an endpoint is gone."""
        self._not_before.pop(name, None)
        self._counts.pop(name, None)


def _as_backlog(waiting: Waiting | None) -> Backlog | None:
    if waiting is None:
        return None
    age = 0
    if waiting.oldest is not None:
        age = max(0, int((datetime.now(UTC) - waiting.oldest).total_seconds()))
    return Backlog(items=waiting.items, oldest_seconds=age)
