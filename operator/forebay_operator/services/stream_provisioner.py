"""Keeps the streams of all shards as the settings say, and knows whether they are there.

Those of the installation, and those of endpoints that have their own: these come and go
(docs/design/0042). How many of them there may be is decided here, in one place and at once, so that
two endpoints never take the last one both.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

import structlog

from forebay.core.subjects import StreamKind, dedicated_shard, stream_name
from forebay.runtime.jetstream.streams import ShardConfig
from forebay.runtime.supervise import end_tasks
from forebay_operator.adapters.shard_contents import ShardContents
from forebay_operator.adapters.streams import StreamManager
from forebay_operator.errors import StreamsMissing, StreamsRefused, StreamsUnavailable
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.services.reconcile_queue import Enqueuer
from forebay_operator.settings.config import OperatorConfig
from forebay_operator.settings.processors import ShardStreams

__all__ = ["ShardHealth", "Shards", "shard_config"]

_log = structlog.get_logger(__name__)


class ShardHealth(NamedTuple):
    """Why a shard's streams cannot be used; no reason where they can."""

    reason: ConditionReason | None
    message: str


CONNECT_SECONDS: Final = 5.0
"""How long the first connection may take until NATS counts as away."""

NAMED: Final = 3
"""So many streams or consumers are named in a condition."""

UNKNOWN: Final = ShardHealth(ConditionReason.NATS_UNREACHABLE, "NATS was not reached yet")
BEING_MADE: Final = ShardHealth(ConditionReason.STREAM_MISSING, "they are being made")
"""Of an endpoint's own, which was asked for a moment ago."""


def shard_config(shard: str, sizes: ShardStreams) -> ShardConfig:
    """Return a shard's settings as the provisioner takes them."""
    return ShardConfig(
        shard=shard,
        raw_max_age=sizes.raw_max_age,
        window=sizes.window,
        dead_max_age=sizes.dead_max_age,
        raw_max_bytes=sizes.raw_max_bytes,
        events_max_bytes=sizes.events_max_bytes,
        retry_max_bytes=sizes.retry_max_bytes,
        dead_max_bytes=sizes.dead_max_bytes,
        index_max_age=sizes.index_max_age,
        index_max_bytes=sizes.index_max_bytes,
        replicas=sizes.replicas,
    )


class Shards:
    """All shards of an installation; `run` is its one task."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        config: OperatorConfig,
        streams: StreamManager,
        connections: asyncio.Event,
        metrics: OperatorMetrics,
        chance: random.Random,
        queue: Enqueuer,
        contents: ShardContents,
        owned: Callable[[], Iterable[str]],
    ) -> None:
        """Prepare.

        Args:
            config: The settings.
            streams: NATS.
            connections: Set at each new connection to NATS.
            metrics: Where to record how full streams are.
            chance: Spreads the checks.
            queue: Has every endpoint reconciled when the state of a shard changes.
            contents: What shards hold.
            owned: Returns the shards that the endpoints that there are have or could have.
        """
        self._config = config
        self._streams = streams
        self._connections = connections
        self._metrics = metrics
        self._chance = chance
        self._queue = queue
        self._contents = contents
        self._owned = owned
        self._dedicated: set[str] = set()
        """Shards of endpoints' own that are wanted."""

        self._left: frozenset[str] = frozenset()
        """Those of which NATS had a stream at the last look, wanted or not."""

        self._wake = asyncio.Event()
        """Set where one more is wanted."""

        self._states: dict[str, ShardHealth] = {}
        self.known = asyncio.Event()
        """Set once every shard was tried: before that a status could only say that nothing is
        known, and each restart would write that into every status."""

    def state(self, shard: str) -> ShardHealth:
        """Return how a shard is."""
        return self._states.get(shard, BEING_MADE if shard in self._dedicated else UNKNOWN)

    # --- shards of endpoints' own

    def knows(self, shard: str) -> bool:
        """Say whether a shard of an endpoint's own is wanted, or was there at the last look."""
        return shard in self._dedicated or shard in self._left

    def of(self, endpoint: ClusterEndpoint) -> list[str]:
        """Return the shards in which something of an endpoint may be."""
        own = dedicated_shard(endpoint.endpoint)
        has_own = endpoint.wants_own_streams or self.knows(own)
        return [endpoint.shard, own] if has_own else [endpoint.shard]

    def require(self, shard: str) -> bool:
        """Have the streams of an endpoint's own made and kept; False where there are too many.

        What is there already counts, and may go on.
        """
        if shard not in self._dedicated:
            dedicated = self._config.dedicated
            most = 0 if dedicated is None else dedicated.max_dedicated_shards
            if not self.knows(shard) and len(self._dedicated | self._left) >= most:
                return False
            self._dedicated.add(shard)
            self._wake.set()
        return True

    def adopt(self, shards: Iterable[str]) -> None:
        """Take those that an operator before us made, however many they are."""
        self._dedicated.update(shards)

    def release(self, shard: str) -> None:
        """Take it that nobody needs the streams of an endpoint's own: they are not made again."""
        self._dedicated.discard(shard)
        if self._states.pop(shard, None) is not None:
            self._metrics.forget_streams(stream_name(kind, shard) for kind in StreamKind)

    async def remove(self, shard: str) -> bool:
        """Remove the streams of an endpoint's own that nobody needs; says whether all are gone.

        As long as one of them holds something, all of them stay.
        """
        # First: they must not be made again meanwhile.
        self._dedicated.discard(shard)
        if not await self._contents.remove_empty(shard, together=True):
            self._dedicated.add(shard)
            return False
        self.release(shard)
        self._left -= {shard}
        return True

    async def _sweep(self) -> None:
        """Remove the empty streams of endpoints that are gone; what holds something stays."""
        if self._config.dedicated is None:
            return
        try:
            self._left = await self._contents.dedicated_shards()
            for shard in sorted(self._left - self._dedicated - frozenset(self._owned())):
                if await self._contents.remove_empty(shard, together=False):
                    self._left -= {shard}
                    _log.info("dedicated_streams_removed", shard=shard)
        except (StreamsUnavailable, StreamsRefused) as error:
            _log.debug("dedicated_streams_not_seen", reason=str(error))

    # --- all shards

    async def run(self) -> None:
        """Ensure all shards at each connection and now and then; until cancelled."""
        loop = asyncio.get_running_loop()
        ensure_at = 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connections.wait()
        while True:
            limits = self._config.limits
            self._wake.clear()
            if self._connections.is_set() or loop.time() >= ensure_at or self._has_trouble():
                self._connections.clear()
                await self._sweep()
                ensure_at = loop.time() + limits.resync_seconds * (
                    0.8 + 0.4 * self._chance.random()
                )
                await self._each(self._ensure)
            else:
                await self._each(self._check)
            self.known.set()
            await self._wait(self._pause())

    async def _wait(self, seconds: float) -> None:
        """Wait for the next look; a new connection or a new shard ends it early."""
        waiting = {
            asyncio.create_task(each.wait(), name="shards wait")
            for each in (self._connections, self._wake)
        }
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks(waiting)

    def names(self) -> list[str]:
        """Return all shards that are to be there."""
        return list(self._all())

    def _all(self) -> dict[str, ShardStreams]:
        found: dict[str, ShardStreams] = {each.name: each for each in self._config.shards}
        if self._config.dedicated is not None:
            found |= dict.fromkeys(sorted(self._dedicated), self._config.dedicated.streams)
        return found

    def _has_trouble(self) -> bool:
        return any(self.state(shard).reason is not None for shard in self._all())

    def _pause(self) -> float:
        seconds = self._config.limits.status_seconds
        return min(seconds, 2.0) if self._has_trouble() else seconds

    async def _each(self, action: Callable[[str, ShardStreams], Awaitable[None]]) -> None:
        for shard, sizes in self._all().items():
            state = ShardHealth(None, "")
            try:
                await action(shard, sizes)
            except StreamsUnavailable as error:
                state = ShardHealth(ConditionReason.NATS_UNREACHABLE, str(error))
            except StreamsRefused as error:
                state = ShardHealth(ConditionReason.STREAM_REFUSED, str(error))
            except StreamsMissing as error:
                state = ShardHealth(ConditionReason.STREAM_MISSING, str(error))
            if shard not in self._all():
                # Nobody needs it any more since it was begun with.
                continue
            if state.reason is not None:
                # The last state would pass for health.
                self._metrics.forget_streams(stream_name(kind, shard) for kind in StreamKind)
            if state != self._states.get(shard):
                self._states[shard] = state
                _log.info("shard_state", shard=shard, reason=state.reason, why=state.message)
                self._queue.enqueue_all()

    async def _ensure(self, shard: str, sizes: ShardStreams) -> None:
        await self._streams.ensure(shard_config(shard, sizes))
        await self._check(shard, sizes)

    async def _check(self, shard: str, sizes: ShardStreams) -> None:
        del sizes
        states = await self._streams.states(shard)
        missing = await self._streams.missing(shard, [each.name for each in states])
        if missing:
            # Reported first: the next check, in two seconds, makes it again.
            raise StreamsMissing(_missing_text(missing))
        for each in states:
            self._metrics.stream(each.name, each.size, each.limit, each.missing_replicas)


def _missing_text(missing: list[str]) -> str:
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"gone from NATS: {', '.join(sorted(missing)[:NAMED])}{more}; being made again"
