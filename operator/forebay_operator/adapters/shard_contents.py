"""What a shard still holds: of one endpoint, for a move; of anybody, before its streams go.

Every answer is asked for anew: a move goes on by it, and an old one would let something be
overtaken, or lost.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, Protocol

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    Lane,
    StreamKind,
    endpoint_partition,
    index_stream,
    is_dedicated,
    lease_stream,
    partitions_of,
    stream_name,
)
from forebay_operator.errors import StreamsUnavailable
from forebay_operator.models.stored_rows import LanePosition

__all__ = [
    "Holding",
    "NatsContents",
    "NoContents",
    "ShardContents",
    "endpoint_filters",
    "lane_positions",
]

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any] | None]]
"""Calls JetStream; None where the stream, consumer or message is not there."""


class Holding(NamedTuple):
    """What a shard holds of one endpoint, worked off or not."""

    has_claims: bool
    """Whether EVENTS holds anything: a repeat would be recognised there."""

    has_parked: bool
    """Whether RETRY holds anything."""

    has_any: bool
    """Whether any of RAW, EVENTS, RETRY and DEAD holds anything."""


class ShardContents(Protocol):
    """Asks NATS. All raise StreamsUnavailable where it is away, StreamsRefused where it refuses."""

    async def is_unfinished(self, shard: str, endpoint: EndpointName) -> bool:
        """Say whether a webhook of an endpoint is unsplit, or an item neither done nor parked."""

    async def waiting_for(
        self, shard: str, endpoint: EndpointName, destinations: Iterable[str]
    ) -> frozenset[str]:
        """Return those of an endpoint's destinations for which something waits in RETRY."""

    async def holding(self, shard: str, endpoint: EndpointName) -> Holding:
        """Return what a shard holds of an endpoint at all."""

    async def dedicated_shards(self) -> frozenset[str]:
        """Return the shards of endpoints' own of which any stream is there."""

    async def remove_empty(self, shard: str, *, together: bool) -> bool:
        """Remove a shard's streams that hold nothing; says whether all are gone.

        Args:
            shard: One of an endpoint's own, into which nobody stores any more.
            together: Whether all of them stay as long as one holds something.
        """


def endpoint_filters(shard: str, endpoint: EndpointName) -> dict[StreamKind, str]:
    """Return the subjects of an endpoint in each stream that is purged with it."""
    name = f"{endpoint.namespace}.{endpoint.name}"
    return {
        StreamKind.RAW: f"forebay.raw.{shard}.*.*.{name}",
        StreamKind.EVENTS: f"forebay.event.{shard}.*.*.{name}.>",
        StreamKind.RETRY: f"forebay.retry.{shard}.*.*.{name}.>",
    }


async def lane_positions(ask: Ask, stream: str) -> tuple[LanePosition, ...]:
    """Return how far each of our consumers of a stream is: all are in one answer, or two."""
    found: list[LanePosition] = []
    offset, total = 0, 1
    while offset < total:
        answer = await ask(f"CONSUMER.LIST.{stream}", {"offset": offset})
        if answer is None:
            break
        page = answer.get("consumers") or []
        total = int(answer.get("total", 0))
        offset += max(len(page), 1)
        for each in page:
            # Named by `consumer_name`; somebody else's is no measure of what is processed.
            step, _, rest = str(each["config"].get("durable_name")).partition("-")
            lane, _, partition = rest.partition("-")
            if step in {"split", "deliver"} and partition:
                waiting = each.get("num_pending", 0) + each.get("num_ack_pending", 0)
                floor = int(each["ack_floor"]["stream_seq"])
                found.append(LanePosition(f"{partition}.{lane}", floor, int(waiting)))
    return tuple(found)


class NatsContents(ShardContents):
    """Asks a real JetStream."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @override
    async def is_unfinished(self, shard: str, endpoint: EndpointName) -> bool:
        name, partition = ".".join(endpoint), endpoint_partition(endpoint, shard)
        raw = [f"{partition:02d}.{lane}" for lane in Lane]
        events = [
            f"{number:02d}.{lane}"
            for lane in Lane
            if lane is not Lane.INVALID
            for number in range(partitions_of(shard))
        ]
        # RAW first: what is split after the question is in EVENTS before the next one.
        return await self._is_behind(shard, StreamKind.RAW, raw, name) or await self._is_behind(
            shard, StreamKind.EVENTS, events, f"{name}.>"
        )

    async def _is_behind(
        self, shard: str, kind: StreamKind, lanes: Iterable[str], rest: str
    ) -> bool:
        """Say whether any lane has a message above what is processed, of subjects that end so.

        How many messages wait for a consumer is no measure: the server counts what is stored a
        moment after it said that it is stored.
        """
        stream = stream_name(kind, shard)
        positions = await lane_positions(self._ask, stream)
        floors = {each.lane: each.floor for each in positions}
        for lane in lanes:
            # Without its consumer nothing is known to be worked off.
            start = floors.get(lane, 0) + 1
            if await self._has(stream, f"forebay.{kind}.{shard}.{lane}.{rest}", start):
                return True
        return False

    @override
    async def waiting_for(
        self, shard: str, endpoint: EndpointName, destinations: Iterable[str]
    ) -> frozenset[str]:
        stream, name = stream_name(StreamKind.RETRY, shard), ".".join(endpoint)
        return frozenset(
            [
                each
                for each in destinations
                if await self._has(stream, f"forebay.retry.{shard}.*.*.{name}.{each}.>")
            ]
        )

    @override
    async def holding(self, shard: str, endpoint: EndpointName) -> Holding:
        subjects = endpoint_filters(shard, endpoint)
        subjects[StreamKind.DEAD] = f"forebay.dead.{shard}.{'.'.join(endpoint)}.>"
        found = {
            kind: await self._has(stream_name(kind, shard), subjects[kind]) for kind in subjects
        }
        return Holding(found[StreamKind.EVENTS], found[StreamKind.RETRY], any(found.values()))

    @override
    async def dedicated_shards(self) -> frozenset[str]:
        found: set[str] = set()
        offset, total = 0, 1
        while offset < total:
            answer = await self._ask("STREAM.NAMES", {"offset": offset, "subject": "forebay.>"})
            page = (answer or {}).get("streams") or []
            total = int((answer or {}).get("total", 0))
            offset += max(len(page), 1)
            found.update(each.rpartition("_")[2] for each in page if each.startswith("FOREBAY_"))
        return frozenset(each for each in found if is_dedicated(each))

    @override
    async def remove_empty(self, shard: str, *, together: bool) -> bool:
        if not is_dedicated(shard):
            message = f"shard {shard!r} is the installation's: its streams are never removed"
            raise AssertionError(message)
        counts = {
            name: int(answer["state"]["messages"])
            for name in _streams(shard)
            if (answer := await self._ask(f"STREAM.INFO.{name}", {})) is not None
        }
        if together and any(counts.values()):
            return False
        is_left = False
        for name, count in counts.items():
            if count or not await self._remove(name, shard):
                is_left = True
        if is_left:
            return False
        # Last: it says who owns what of the others, and is no data of anybody.
        await self._ask(f"STREAM.DELETE.{lease_stream(shard)}", {})
        return True

    async def _remove(self, name: str, shard: str) -> bool:
        """Remove an empty stream; says whether: one that got something in the meantime stays."""
        answer = await self._ask(f"STREAM.INFO.{name}", {})
        if answer is None:
            return True
        config: dict[str, Any] = answer["config"]
        subjects = config["subjects"]
        for consumer in await self._consumers(name):
            await self._ask(f"CONSUMER.DELETE.{name}.{consumer}", {})
        # Closed first, so that whoever stores there after the look gets an error and no PubAck.
        closed = {**config, "subjects": [f"forebay.closed.{shard}.{name}"]}
        answer = await self._ask(f"STREAM.UPDATE.{name}", closed)
        if answer is not None and int(answer["state"]["messages"]):
            await self._ask(f"STREAM.UPDATE.{name}", {**config, "subjects": subjects})
            return False
        await self._ask(f"STREAM.DELETE.{name}", {})
        return True

    async def _consumers(self, name: str) -> list[str]:
        answer = await self._ask(f"CONSUMER.NAMES.{name}", {})
        return list((answer or {}).get("consumers") or ())

    async def _has(self, stream: str, subjects: str, start: int = 1) -> bool:
        """Say whether a stream has a message of some subjects from a sequence on."""
        wanted = {"seq": start, "next_by_subj": subjects}
        return await self._ask(f"STREAM.MSG.GET.{stream}", wanted) is not None


def _streams(shard: str) -> list[str]:
    """Return the streams of a shard that hold data, that of dead letters last."""
    return [
        index_stream(shard),
        *(stream_name(kind, shard) for kind in StreamKind),
    ]


class NoContents(ShardContents):
    """The double: holds what a test says."""

    def __init__(self) -> None:
        self.unfinished: set[tuple[str, EndpointName]] = set()
        self.waiting: dict[tuple[str, EndpointName], frozenset[str]] = {}
        self.holdings: dict[tuple[str, EndpointName], Holding] = {}
        self.there: set[str] = set()
        """Shards of endpoints' own of which streams are there."""

        self.full: set[str] = set()
        """Those of them that hold something."""

        self.removed: list[str] = []
        self.is_away = False

    def _check(self) -> None:
        if self.is_away:
            message = "there is no connection to NATS"
            raise StreamsUnavailable(message)

    @override
    async def is_unfinished(self, shard: str, endpoint: EndpointName) -> bool:
        self._check()
        return (shard, endpoint) in self.unfinished

    @override
    async def waiting_for(
        self, shard: str, endpoint: EndpointName, destinations: Iterable[str]
    ) -> frozenset[str]:
        self._check()
        return self.waiting.get((shard, endpoint), frozenset()) & frozenset(destinations)

    @override
    async def holding(self, shard: str, endpoint: EndpointName) -> Holding:
        self._check()
        waits = bool(self.waiting.get((shard, endpoint)))
        is_any = waits or (shard, endpoint) in self.unfinished
        standard = Holding(has_claims=False, has_parked=waits, has_any=is_any)
        return self.holdings.get((shard, endpoint), standard)

    @override
    async def dedicated_shards(self) -> frozenset[str]:
        self._check()
        return frozenset(self.there)

    @override
    async def remove_empty(self, shard: str, *, together: bool) -> bool:
        self._check()
        if shard in self.full:
            return False
        self.there.discard(shard)
        self.removed.append(shard)
        return True
