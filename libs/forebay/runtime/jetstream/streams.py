"""The streams and consumers of a shard: made where they are missing, updated where they differ.

`forebay run` calls this on one machine, the operator on a cluster. Safe to call again and again,
and by several at once.
"""

import asyncio
from datetime import timedelta
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.errors import ConfigurationError
from forebay.core.subjects import (
    FORMAT_VERSION,
    Lane,
    StreamKind,
    consumer_name,
    index_stream,
    index_subject,
    lease_stream,
    lease_subject,
    partitions_of,
    stream_name,
    stream_subjects,
)
from forebay.runtime.jetstream.consumers import ensure_consumer, known_floors, list_consumers

__all__ = [
    "FORMAT_KEY",
    "ShardConfig",
    "consumer_config",
    "consumer_configs",
    "ensure_shard",
    "index_config",
    "lease_config",
    "missing_consumers",
    "stream_config",
]

_log = structlog.get_logger(__name__)

FORMAT_KEY: Final = "forebay.dev/format"
"""The key of a stream's metadata under which the version of the stored format stands."""

DUPLICATE_WINDOW: Final = timedelta(minutes=2)
"""RAW refuses a repeat of the same body within this time; later ones cost a store, and the claim
in EVENTS refuses their items."""

ACK_WAIT: Final = timedelta(seconds=60)
"""Longer than attempts usually take. What is still under way after it is handed out again, and the
processor that has it recognises the copy; one that starts takes over at once and does not wait."""

MAX_ACK_PENDING: Final = 5_000
"""Items of one lane and partition that one processor may hold unacked: several destinations at
their limits in flight have to fit, or a slow one would stop its neighbours."""

MEBIBYTE: Final = 1024 * 1024

LEASE_BYTES: Final = MEBIBYTE
"""For the table of the shard's processors, which is of some kilobytes."""


class ShardConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a shard's streams are kept. Sizes in bytes."""

    shard: str = "0"
    raw_max_age: timedelta = timedelta(hours=168)
    window: timedelta = timedelta(hours=192)
    """The age of EVENTS: how long a repeat is recognised. Longer than the providers' 7 days."""

    dead_max_age: timedelta = timedelta(hours=720)
    raw_max_bytes: int = 1024 * MEBIBYTE
    events_max_bytes: int = 1024 * MEBIBYTE
    retry_max_bytes: int = 512 * MEBIBYTE
    dead_max_bytes: int = 512 * MEBIBYTE
    index_max_age: timedelta = timedelta(hours=192)
    index_max_bytes: int = 256 * MEBIBYTE
    """Of what happened to each item: about 300 bytes each. The oldest goes where it is full."""

    replicas: int = 1


def stream_config(kind: StreamKind, config: ShardConfig) -> StreamConfig:
    """Return the settings that a stream of the shard has to have."""
    result = StreamConfig(
        name=stream_name(kind, config.shard),
        subjects=[stream_subjects(kind, config.shard)],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=config.replicas,
        allow_direct=True,
        discard=DiscardPolicy.NEW,
        metadata={FORMAT_KEY: FORMAT_VERSION},
    )
    match kind:
        case StreamKind.RAW:
            result.max_age = config.raw_max_age.total_seconds()
            result.max_bytes = config.raw_max_bytes
            # The server refuses a window that is longer than the age.
            window = min(DUPLICATE_WINDOW, config.raw_max_age)
            result.duplicate_window = window.total_seconds()
        case StreamKind.EVENTS:
            result.max_age = config.window.total_seconds()
            result.max_bytes = config.events_max_bytes
            # The store itself is the claim: the second message of a subject is refused.
            result.max_msgs_per_subject = 1
            result.discard_new_per_subject = True
        case StreamKind.RETRY:
            result.max_bytes = config.retry_max_bytes
            # A log of rows: what waits already is refused, so that a row keeps its place in the
            # order of its conversation (docs/design/0020).
            result.max_msgs_per_subject = 1
            result.discard_new_per_subject = True
        case StreamKind.DEAD:
            result.max_age = config.dead_max_age.total_seconds()
            result.max_bytes = config.dead_max_bytes
            result.max_msgs_per_subject = 1
    return result


def lease_config(config: ShardConfig) -> StreamConfig:
    """Return the stream in which the shard's processors agree who owns which partition."""
    return StreamConfig(
        name=lease_stream(config.shard),
        subjects=[lease_subject(config.shard)],
        retention=RetentionPolicy.LIMITS,
        # On disk: after a restart of NATS nobody may own what another still counts as its own.
        storage=StorageType.FILE,
        num_replicas=config.replicas,
        discard=DiscardPolicy.OLD,
        max_msgs_per_subject=1,
        max_bytes=LEASE_BYTES,
        metadata={FORMAT_KEY: FORMAT_VERSION},
    )


def index_config(config: ShardConfig) -> StreamConfig:
    """Return the stream that holds what happened to each item (docs/design/0031)."""
    return StreamConfig(
        name=index_stream(config.shard),
        subjects=[index_subject(config.shard, "*")],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=config.replicas,
        allow_direct=True,
        # Unlike the streams that hold items: it is better to forget what happened long ago.
        discard=DiscardPolicy.OLD,
        max_age=config.index_max_age.total_seconds(),
        max_bytes=config.index_max_bytes,
        metadata={FORMAT_KEY: FORMAT_VERSION},
    )


def consumer_config(step: str, shard: str, lane: Lane, partition: int) -> ConsumerConfig:
    """Return a durable consumer of one lane and partition; `step` is `split` or `deliver`."""
    stream = "raw" if step == "split" else "event"
    return ConsumerConfig(
        durable_name=consumer_name(step, lane, partition),
        filter_subject=f"forebay.{stream}.{shard}.{partition:02d}.{lane}.>",
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT.total_seconds(),
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
        metadata={FORMAT_KEY: FORMAT_VERSION},
    )


async def ensure_shard(client: Client, config: ShardConfig) -> None:
    """Make the shard's streams and their consumers, or bring them up to date.

    Raises:
        ConfigurationError: where a stream is of another format, or the server has no room for it.
        StoreError: where NATS refuses a consumer, or does not answer.
        nats.errors.Error: where NATS does not answer.
    """
    context = client.jetstream(timeout=10)
    for kind in StreamKind:
        await _ensure_stream(context, stream_config(kind, config))
    await _ensure_stream(context, lease_config(config))
    floors = await known_floors(client, config.shard)
    for step, kind in (("split", StreamKind.RAW), ("deliver", StreamKind.EVENTS)):
        await _ensure_consumers(client, stream_name(kind, config.shard), step, config, floors)
    # Last, and no reason to serve nobody: without it only `forebay events` knows nothing.
    try:
        await _ensure_stream(context, index_config(config))
    except ConfigurationError as error:
        _log.warning("index_not_made", shard=config.shard, reason=str(error))


async def missing_consumers(client: Client, shard: str) -> list[str]:
    """Return the consumers of a shard's streams that are not there.

    Raises:
        StoreError: where NATS does not answer, or a stream is missing.
    """
    missing: list[str] = []
    for step, kind in (("split", StreamKind.RAW), ("deliver", StreamKind.EVENTS)):
        found = await list_consumers(client, stream_name(kind, shard))
        missing += [each for each in consumer_configs(step, shard) if each not in found]
    return missing


def consumer_configs(step: str, shard: str) -> dict[str, ConsumerConfig]:
    """Return the durable consumers of one step, `split` or `deliver`, by name."""
    return {
        consumer_name(step, lane, partition): consumer_config(step, shard, lane, partition)
        for lane in Lane
        for partition in range(partitions_of(shard))
        # Items are never in the invalid lane, only bodies.
        if not (step == "deliver" and lane is Lane.INVALID)
    }


async def _ensure_consumers(
    client: Client, stream: str, step: str, config: ShardConfig, floors: dict[str, AckFloor]
) -> None:
    there = await list_consumers(client, stream)
    await asyncio.gather(
        *(
            ensure_consumer(client, stream, wanted, there.get(name), floors.get(name))
            for name, wanted in consumer_configs(step, config.shard).items()
        )
    )


async def _ensure_stream(context: JetStreamContext, wanted: StreamConfig) -> None:
    name = str(wanted.name)
    try:
        there = (await context.stream_info(name)).config
    except NotFoundError:
        there = None
    if there is not None:
        version = (there.metadata or {}).get(FORMAT_KEY)
        if version != FORMAT_VERSION:
            message = (
                f"stream {name} is of format {version}, this Forebay reads {FORMAT_VERSION}: "
                "use the Forebay that wrote it, or another NATS"
            )
            raise ConfigurationError(message)
    try:
        if there is None:
            await context.add_stream(wanted)
        else:
            await context.update_stream(wanted)
    except BadRequestError as error:
        message = f"NATS refuses stream {name}: {error.description}"
        raise ConfigurationError(message) from error
    except NatsError as error:
        text = getattr(error, "description", None) or type(error).__name__
        message = f"NATS could not make stream {name}: {text}"
        raise ConfigurationError(message) from error
