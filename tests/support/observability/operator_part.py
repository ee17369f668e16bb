"""The operator's own code on a cluster that is played, with its metrics and the run's NATS."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.admin import admin_application, serve_admin
from forebay.runtime.process_start import listen
from forebay.runtime.settings import NatsSettings
from forebay.runtime.supervise import end_tasks
from forebay_operator.adapters.streams import JetStreams
from forebay_operator.metrics import Age
from forebay_operator.services.pass_places import PassPlaces
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.workers import Workers
from forebay_operator.settings.processors import Shard
from support.operator.operator_alone import OperatorAlone
from support.programs.ports import HOST
from support.programs.stack import Stack

__all__ = ["operator_part"]

_DAY = 86400.0
_CHECK_SECONDS = 1
"""Between two looks at the streams."""


@contextlib.asynccontextmanager
async def operator_part(stack: Stack, port: int) -> AsyncIterator[OperatorAlone]:
    """Run an operator beside the other parts; its metrics are at the port."""
    alone = OperatorAlone()
    shard = stack.shard
    alone.config = alone.config.model_copy(
        update={
            "shards": (
                Shard(
                    raw_max_bytes=shard.raw_max_bytes,
                    events_max_bytes=shard.events_max_bytes,
                    retry_max_bytes=shard.retry_max_bytes,
                    dead_max_bytes=shard.dead_max_bytes,
                    index_max_bytes=shard.index_max_bytes,
                ),
            ),
            "limits": alone.config.limits.model_copy(update={"status_seconds": _CHECK_SECONDS}),
        }
    )
    await alone.start()
    begun = asyncio.get_running_loop().time()
    alone.metrics.follow_queue(lambda: len(alone.queue))
    alone.metrics.follow_conditions(alone.cache.conditions)
    alone.metrics.follow_watch_age(lambda: asyncio.get_running_loop().time() - begun)
    streams = JetStreams(NatsSettings(url=stack.nats_server.url), alone.metrics.nats_answered)
    now = time.time()
    alone.cluster.secrets_changed = now - 100 * _DAY
    # This NATS has no TLS, and no destination here an authority: what would be read is played.
    authority = Age(EndpointName(alone.namespace, "shop"), None, now + 90 * _DAY)
    alone.metrics.follow_ages(
        lambda: [*alone.reconciler.ages(), authority], lambda: now + 90 * _DAY
    )
    shards = Shards(
        alone.config,
        streams,
        streams.connections,
        alone.metrics,
        random.Random(1),
        alone.queue,
        streams.contents,
        list,
    )
    workers = Workers(
        PassPlaces(alone.config.limits.workers),
        alone.cache,
        alone.reconciler,
        alone.shared,
        alone.metrics,
        alone.queue,
    )
    with listen(HOST, port, "the operator's port") as listener:
        async with serve_admin(admin_application(list, alone.metrics.exposition), listener):
            tasks = [
                asyncio.create_task(each)
                for each in (
                    streams.run(),
                    shards.run(),
                    workers.run(),
                    alone.metrics.measure_lag(),
                )
            ]
            try:
                yield alone
            finally:
                await end_tasks(tasks)
