"""What the streams hold of each endpoint, as its status is to say it: backlog and latest webhook.

One sweep at a time finds it out for all (`stream_sweep`); here is decided what of it is news.
Asking changes nothing, so a pass and the one who decides whether there is to be one see the same.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import dedicated_shard, is_dedicated
from forebay_operator.adapters.streams import StreamManager
from forebay_operator.errors import StreamsRefused, StreamsUnavailable
from forebay_operator.models.backlog_steps import shown_backlog
from forebay_operator.models.endpoint import ClusterEndpoint, read_time
from forebay_operator.models.status import Backlog
from forebay_operator.models.stored_rows import Waiting
from forebay_operator.services.stream_sweep import AskProcessors, ShardSweep

__all__ = ["EndpointFigures"]

_log = structlog.get_logger(__name__)

LATEST_SECONDS: Final = 60.0
"""Between two values of `lastEventTime`: an endpoint with steady traffic would else have its status
written at every poll."""

POLLS: Final = 6
"""Between two changes of a backlog."""


class _Standing(NamedTuple):
    """What stood in a status, and since when it did, by our clock."""

    value: Any
    since: float


class EndpointFigures:
    """Figures of all endpoints; `poll` is called now and then."""

    def __init__(
        self,
        shards: Callable[[], Iterable[str]],
        streams: StreamManager,
        ask_processors: AskProcessors,
        ask_dedicated: AskProcessors,
        poll_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            shards: Returns all shards that there are, those of endpoints' own among them.
            streams: NATS.
            ask_processors: What they count in RETRY.
            ask_dedicated: The same of endpoints' own processors.
            poll_seconds: Between two polls.
            clock: Seconds that never go back, as the event loop's.
        """
        self._shards = shards
        self._streams = streams
        self._ask = {False: ask_processors, True: ask_dedicated}
        self._sweeps: dict[str, ShardSweep] = {}
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._standing: dict[tuple[EndpointName, str], _Standing] = {}

    async def poll(self, endpoints: Iterable[ClusterEndpoint]) -> None:
        """Find out how all shards are; one that gives no answer is not known until the next poll.

        Args:
            endpoints: All that there are.
        """
        by_shard: dict[str, list[EndpointName]] = {shard: [] for shard in self._shards()}
        self._sweeps = {
            shard: self._sweeps.get(shard)
            or ShardSweep(shard, self._streams, self._ask[is_dedicated(shard)])
            for shard in by_shard
        }
        for each in endpoints:
            for shard in _shards_of(each):
                by_shard.get(shard, []).append(each.endpoint)
        for shard, sweep in self._sweeps.items():
            try:
                await sweep.poll(by_shard[shard])
            except (StreamsUnavailable, StreamsRefused) as error:
                _log.debug("streams_unknown", shard=shard, reason=str(error))

    def backlog(self, endpoint: ClusterEndpoint) -> Backlog | None:
        """Return what waits, in steps; as it stands where nothing is known."""
        shown = endpoint.status.get("backlog")
        before = None
        if shown:
            before = Backlog(items=shown["items"], oldest_seconds=shown["oldestSeconds"])
        sweeps = self._sweeps_of(endpoint)
        found: list[Waiting] = []
        for sweep in sweeps:
            if sweep.waiting is None:
                return before
            mine = sweep.waiting.get(endpoint.endpoint)
            found += [] if mine is None else [mine]
        if not sweeps:
            return before
        times = [each.oldest for each in found if each.oldest is not None]
        age = 0
        if times:
            age = max(0, int((datetime.now(UTC) - min(times)).total_seconds()))
        return shown_backlog(
            Backlog(items=sum(each.items for each in found), oldest_seconds=age),
            before,
            poll_seconds=self._poll_seconds,
            may_change=self._is_old(endpoint, "backlog", before, POLLS * self._poll_seconds),
        )

    def latest(self, endpoint: ClusterEndpoint) -> datetime | None:
        """Return when the latest webhook was stored, a minute old at most; None where none was.

        A new value comes a minute after the one before at the earliest, also across a restart, and
        it never goes back: what is purged or too old was stored nevertheless.
        """
        shown = endpoint.status.get("lastEventTime")
        known = read_time(shown) if isinstance(shown, str) else None
        times = [sweep.latest(endpoint.endpoint) for sweep in self._sweeps_of(endpoint)]
        found = max((each for each in times if each is not None), default=None)
        is_old = self._is_old(endpoint, "latest", known, LATEST_SECONDS)
        if found is None or known is None:
            return found or known
        is_young = (datetime.now(UTC) - known).total_seconds() < LATEST_SECONDS
        return known if is_young or not is_old or found <= known else found

    def forget(self, name: EndpointName) -> None:
        """Take it that an endpoint is gone."""
        for figure in ("backlog", "latest"):
            self._standing.pop((name, figure), None)
        for sweep in self._sweeps.values():
            sweep.forget(name)

    def _sweeps_of(self, endpoint: ClusterEndpoint) -> list[ShardSweep]:
        """Return the sweeps of all streams that something of an endpoint can be in."""
        return [self._sweeps[shard] for shard in _shards_of(endpoint) if shard in self._sweeps]

    def _is_old(
        self, endpoint: ClusterEndpoint, figure: str, value: object, seconds: float
    ) -> bool:
        """Say whether a figure stands in the status for so long; at the start nobody knows."""
        key, now = (endpoint.endpoint, figure), self._clock()
        standing = self._standing.get(key)
        if standing is None:
            standing = self._standing[key] = _Standing(value, -math.inf)
        elif standing.value != value:
            since = -math.inf if standing.value is None else now
            standing = self._standing[key] = _Standing(value, since)
        return now - standing.since >= seconds


def _shards_of(endpoint: ClusterEndpoint) -> tuple[str, str]:
    """Return the shard of the installation and that of its own, be it there or not."""
    return endpoint.shard, dedicated_shard(endpoint.endpoint)
