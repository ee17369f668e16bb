"""Keeps the streams of all shards as the settings say, and knows whether they are there."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.streams import ShardConfig
from forebay_operator.adapters.streams import StreamManager
from forebay_operator.errors import StreamsMissing, StreamsRefused, StreamsUnavailable
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.services.reconcile_queue import Enqueuer
from forebay_operator.settings.config import OperatorConfig, Shard

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


def shard_config(shard: Shard) -> ShardConfig:
    """Return a shard's settings as the provisioner takes them."""
    return ShardConfig(
        shard=shard.name,
        raw_max_age=shard.raw_max_age,
        window=shard.window,
        dead_max_age=shard.dead_max_age,
        raw_max_bytes=shard.raw_max_bytes,
        events_max_bytes=shard.events_max_bytes,
        retry_max_bytes=shard.retry_max_bytes,
        dead_max_bytes=shard.dead_max_bytes,
        index_max_age=shard.index_max_age,
        index_max_bytes=shard.index_max_bytes,
        replicas=shard.replicas,
    )


class Shards:
    """All shards of an installation; `run` is its one task."""

    def __init__(
        self,
        config: OperatorConfig,
        streams: StreamManager,
        connections: asyncio.Event,
        metrics: OperatorMetrics,
        chance: random.Random,
        queue: Enqueuer,
    ) -> None:
        """Prepare.

        Args:
            config: The settings.
            streams: NATS.
            connections: Set at each new connection to NATS.
            metrics: Where to record how full streams are.
            chance: Spreads the checks.
            queue: Has every endpoint reconciled when the state of a shard changes.
        """
        self._config = config
        self._streams = streams
        self._connections = connections
        self._metrics = metrics
        self._chance = chance
        self._queue = queue
        self._states: dict[str, ShardHealth] = {}
        self.known = asyncio.Event()
        """Set once every shard was tried: before that a status could only say that nothing is
        known, and each restart would write that into every status."""

    def state(self, shard: str) -> ShardHealth:
        """Return how a shard is."""
        return self._states.get(shard, UNKNOWN)

    async def run(self) -> None:
        """Ensure all shards at each connection and now and then; until cancelled."""
        loop = asyncio.get_running_loop()
        ensure_at = 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connections.wait()
        while True:
            limits = self._config.limits
            if self._connections.is_set() or loop.time() >= ensure_at or self._has_trouble():
                self._connections.clear()
                ensure_at = loop.time() + limits.resync_seconds * (
                    0.8 + 0.4 * self._chance.random()
                )
                await self._each(self._ensure)
            else:
                await self._each(self._check)
            self.known.set()
            try:
                async with asyncio.timeout(self._pause()):
                    await self._connections.wait()
            except TimeoutError:
                continue

    def _has_trouble(self) -> bool:
        return any(self.state(shard.name).reason is not None for shard in self._config.shards)

    def _pause(self) -> float:
        seconds = self._config.limits.status_seconds
        return min(seconds, 2.0) if self._has_trouble() else seconds

    async def _each(self, action: Callable[[Shard], Awaitable[None]]) -> None:
        for shard in self._config.shards:
            state = ShardHealth(None, "")
            try:
                await action(shard)
            except StreamsUnavailable as error:
                state = ShardHealth(ConditionReason.NATS_UNREACHABLE, str(error))
            except StreamsRefused as error:
                state = ShardHealth(ConditionReason.STREAM_REFUSED, str(error))
            except StreamsMissing as error:
                state = ShardHealth(ConditionReason.STREAM_MISSING, str(error))
            if state.reason is not None:
                # The last state would pass for health.
                self._metrics.forget_streams(stream_name(kind, shard.name) for kind in StreamKind)
            if state != self._states.get(shard.name):
                self._states[shard.name] = state
                _log.info("shard_state", shard=shard.name, reason=state.reason, why=state.message)
                self._queue.enqueue_all()

    async def _ensure(self, shard: Shard) -> None:
        await self._streams.ensure(shard_config(shard))
        await self._check(shard)

    async def _check(self, shard: Shard) -> None:
        missing = await self._streams.missing(shard.name)
        if missing:
            # Reported first: the next check, in two seconds, makes it again.
            raise StreamsMissing(_missing_text(missing))
        for each in await self._streams.states(shard.name):
            self._metrics.stream(each.name, each.size, each.limit, each.missing_replicas)


def _missing_text(missing: list[str]) -> str:
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"gone from NATS: {', '.join(sorted(missing)[:NAMED])}{more}; being made again"
