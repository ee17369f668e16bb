"""Durable consumers: what they are like at the server, and making one again where it is missing.

A consumer is only a cursor, and it can go: deleted by hand, or set back with a backup. Whoever
makes it again begins behind what is known to be processed (`AckFloor`), so that neither anything
is left out nor eight days of items come again. Where the stream is not the one that the floor was
written down for, the floor does not count, and all that the stream holds comes.

If the process dies while it makes one: it is there, or it is not and the next check makes
it. Several may do it at once: the server makes one of equal ones.
"""

import contextlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DeliverPolicy

from forebay.core.consumer_ack_floors import AckFloor, consumer_floors
from forebay.core.subjects import lease_stream, lease_subject
from forebay.runtime.jetstream.api import API_PREFIX, call, find_message, moment, request
from forebay.runtime.jetstream.errors import (
    ConsumerMissing,
    StoreRefused,
    StreamMissing,
    store_error,
)

__all__ = [
    "ConsumerState",
    "StreamView",
    "difference",
    "ensure_consumer",
    "known_floors",
    "list_consumers",
    "nanoseconds",
    "view_stream",
]

_OWN: Final = frozenset({"name", "durable_name", "metadata", "num_replicas", "mem_storage"})
"""What is no matter of ours in a consumer that is there."""

_START: Final = frozenset({"deliver_policy", "opt_start_seq"})
"""Where a consumer began, which cannot be changed."""

_FOREIGN: Final = (
    "backoff",
    "deliver_group",
    "deliver_subject",
    "filter_subjects",
    "headers_only",
    "inactive_threshold",
    "max_batch",
    "max_bytes",
    "max_expires",
    "pause_until",
    "priority_policy",
    "rate_limit_bps",
)
"""Settings that ours do not have and that somebody may have added: each makes that nothing is
delivered, or not all, or to somebody else."""


class ConsumerState(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer as the server has it."""

    name: str
    config: dict[str, Any]
    ack_floor: "Position"
    delivered: "Position"
    created: str
    ts: str
    """The server's time of the answer."""

    @property
    def floor(self) -> AckFloor:
        """Up to where all is acked, at the time of the answer."""
        return AckFloor(self.ack_floor.stream_seq, nanoseconds(moment(self.ts)))


class Position(msgspec.Struct, frozen=True):
    """Where a consumer is."""

    stream_seq: int = 0
    consumer_seq: int = 0
    """Counts all that it handed out, what it handed out again included."""


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes one stream from another of the same name."""

    created: int
    """Nanoseconds since the epoch."""

    last_sequence: int

    def is_of(self, floor: AckFloor) -> bool:
        """Say whether a floor can be of this stream, as far as that is seen from here."""
        return floor.sequence <= self.last_sequence and self.created <= floor.at


class _ConsumerPage(msgspec.Struct, frozen=True):
    total: int = 0
    consumers: list[ConsumerState] | None = None
    error: dict[str, Any] | None = None


def nanoseconds(when: datetime) -> int:
    """Return nanoseconds since the epoch, rounded up to the microsecond behind."""
    return (int(when.timestamp() * 1_000_000) + 1) * 1_000


async def list_consumers(client: Client, stream: str) -> dict[str, ConsumerState]:
    """Return a stream's durable consumers by name.

    On a cluster one whose leader is silent can be left out: ask for it before it is taken for gone.

    Raises:
        StreamMissing: where there is no such stream.
        StoreUnavailable: where NATS does not answer.
    """
    found: dict[str, ConsumerState] = {}
    offset, total = 0, 1
    while offset < total:
        body = msgspec.json.encode({"offset": offset})
        answer = await request(client, f"{API_PREFIX}CONSUMER.LIST.{stream}", body)
        page = msgspec.json.decode(answer.data, type=_ConsumerPage)
        if page.error is not None:
            raise store_error(page.error)
        consumers, total = page.consumers or [], page.total
        offset += max(len(consumers), 1)
        found |= {each.name: each for each in consumers if each.config.get("durable_name")}
    return found


async def view_stream(client: Client, stream: str) -> StreamView:
    """Return what distinguishes a stream from others of its name.

    Raises:
        StreamMissing: where there is no such stream.
        StoreUnavailable: where NATS does not answer.
    """
    answer = await call(client, f"STREAM.INFO.{stream}", {})
    created = moment(answer["created"])
    return StreamView(
        created=int(created.timestamp() * 1_000_000) * 1_000,
        last_sequence=int(answer["state"]["last_seq"]),
    )


def difference(wanted: ConsumerConfig, found: ConsumerState) -> str | None:
    """Return which setting of a consumer is not as ours are; None where all are."""
    have = found.config
    for name, value in wanted.as_dict().items():
        if name not in _OWN | _START and (have.get(name) or None) != (value or None):
            return str(name)
    if _begins_elsewhere(have):
        return "deliver_policy"
    return next((name for name in _FOREIGN if have.get(name)), None)


async def known_floors(client: Client, shard: str) -> dict[str, AckFloor]:
    """Return what a shard's table of leases says of its consumers; nothing where there is none.

    Raises:
        StoreError: where NATS refuses, or does not answer.
    """
    wanted = {"last_by_subj": lease_subject(shard)}
    try:
        table = await find_message(client, lease_stream(shard), wanted)
    except StreamMissing:
        table = None
    return {} if table is None else consumer_floors(table.payload)


async def ensure_consumer(
    client: Client,
    stream: str,
    wanted: ConsumerConfig,
    found: ConsumerState | None,
    floor: AckFloor | None,
) -> str:
    """Make a consumer that is missing, or give one its settings back.

    Returns what was done, in words; an empty text where there was nothing to be done.

    Raises:
        StreamMissing: where there is no such stream.
        StoreError: where NATS refuses, or does not answer.
    """
    if found is None:
        start = await _make(client, stream, wanted, floor)
        return "made, from the beginning" if start is None else f"made, from {start} on"
    setting = difference(wanted, found)
    if setting is None:
        return ""
    await _repair(client, stream, wanted, found, floor)
    return f"{setting} was changed"


async def _make(
    client: Client, stream: str, wanted: ConsumerConfig, floor: AckFloor | None
) -> int | None:
    """Make a consumer; return where it begins, None for the stream's beginning."""
    start = await _start(client, stream, str(wanted.filter_subject), floor)
    if start is not None:
        wanted = wanted.evolve(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start)
    try:
        await _create(client, stream, wanted)
    except StoreRefused:
        # Somebody else was quicker, and knew of another beginning.
        if wanted.durable_name not in await list_consumers(client, stream):
            raise
    return start


async def _repair(
    client: Client,
    stream: str,
    wanted: ConsumerConfig,
    found: ConsumerState,
    floor: AckFloor | None,
) -> None:
    """Give a consumer its settings back; one that begins elsewhere, or is paused, is made anew."""
    leaves_out = _leaves_out(wanted, found.config)
    if found.config.get("pause_until") and not leaves_out:
        # The server keeps a pause whatever settings it is given, and to end one is a call of its
        # own, for which processors would need another permission.
        floor = found.floor
    elif not leaves_out:
        # Not every setting can be changed, such as how it is acked.
        with contextlib.suppress(StoreRefused):
            await _create(client, stream, _started_as(wanted, found))
            return
    with contextlib.suppress(ConsumerMissing):
        await call(client, f"CONSUMER.DELETE.{stream}.{found.name}", {})
    await _make(client, stream, wanted, floor)


def _started_as(wanted: ConsumerConfig, found: ConsumerState) -> ConsumerConfig:
    """Return our settings with the beginning of a consumer that is there."""
    start = found.config.get("opt_start_seq")
    if not start:
        return wanted
    return wanted.evolve(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start)


def _leaves_out(wanted: ConsumerConfig, have: dict[str, Any]) -> bool:
    """Say whether a consumer may have passed by what ours would have handed out."""
    is_same = have.get("filter_subject") == wanted.filter_subject
    return not is_same or bool(have.get("deliver_subject")) or _begins_elsewhere(have)


def _begins_elsewhere(config: dict[str, Any]) -> bool:
    """Say whether a consumer began neither where its stream does nor where we said."""
    return config.get("deliver_policy") not in {
        DeliverPolicy.ALL.value,
        DeliverPolicy.BY_START_SEQUENCE.value,
    }


async def _start(client: Client, stream: str, subjects: str, floor: AckFloor | None) -> int | None:
    """Return where to begin: behind the floor, or at the first message that it does not mean.

    Sequences count from 1 again in a stream that was made anew, and from where a backup ended in
    one that was restored; its messages are younger than the floor.
    """
    if floor is None or not floor.sequence:
        return None
    if not (await view_stream(client, stream)).is_of(floor):
        return None
    first_later = await _first_after(client, stream, subjects, floor.at)
    return min(floor.sequence + 1, first_later or floor.sequence + 1)


async def _first_after(client: Client, stream: str, subjects: str, at: int) -> int | None:
    seconds, fraction = divmod(at, 1_000_000_000)
    # Python's times have no nanoseconds.
    time = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    wanted = {"start_time": f"{time}.{fraction:09d}Z", "next_by_subj": subjects}
    found = await find_message(client, stream, wanted)
    return None if found is None else found.sequence


async def _create(client: Client, stream: str, config: ConsumerConfig) -> None:
    subject = f"CONSUMER.CREATE.{stream}.{config.durable_name}.{config.filter_subject}"
    settings = {**config.as_dict(), "name": config.durable_name}
    await call(client, subject, {"stream_name": stream, "config": settings})
