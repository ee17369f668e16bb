"""NATS: streams and consumers of the shards, what an endpoint has in them, and its removal."""

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Collection, Coroutine
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ConfigurationError
from forebay.core.subjects import (
    StreamKind,
    endpoint_partition,
    lease_stream,
    stream_name,
)
from forebay.runtime.certificate_expiry import connection_end
from forebay.runtime.jetstream.api import API_PREFIX, moment, request
from forebay.runtime.jetstream.errors import (
    CONSUMER_MISSING_CODE,
    MESSAGE_MISSING_CODE,
    STREAM_MISSING_CODE,
    StoreError,
    StoreUnavailable,
    StreamMissing,
    failure_words,
)
from forebay.runtime.jetstream.fast_subscriptions import QuickClient
from forebay.runtime.jetstream.link import NatsLink
from forebay.runtime.jetstream.message_places import read_places
from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard, missing_consumers
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.shard_contents import (
    NatsContents,
    endpoint_filters,
    lane_positions,
)
from forebay_operator.errors import StreamsRefused, StreamsUnavailable
from forebay_operator.models.stored_rows import RowPosition, StreamPosition
from forebay_operator.models.stream_state import StreamState

__all__ = ["JetStreams", "NoStreams", "StreamManager"]

_log = structlog.get_logger(__name__)

_MISSING: Final = {CONSUMER_MISSING_CODE, MESSAGE_MISSING_CODE, STREAM_MISSING_CODE}

REQUEST_SECONDS: Final = 5.0
_SILENCE: Final = "NATS did not answer"

ENSURE_SECONDS: Final = 60.0
"""For all streams and consumers of a shard: 116 answers, on a cluster of three under load."""


_Answer = TypeVar("_Answer")


class StreamManager(Protocol):
    """What the operator needs of NATS."""

    async def ensure(self, shard: ShardConfig) -> None:
        """Make a shard's streams and consumers, or bring them up to date.

        Raises:
            StreamsUnavailable: where NATS is away.
            StreamsRefused: where it refuses.
        """

    async def purge(self, shard: str, endpoint: EndpointName) -> None:
        """Remove an endpoint's messages from RAW, EVENTS and RETRY; dead letters stay."""

    async def place(self, shard: str, kind: StreamKind) -> StreamPosition | None:
        """Return what RAW, EVENTS or RETRY holds, and how far it is processed; None if it is gone.

        Raises:
            StreamsUnavailable: where NATS is away.
            StreamsRefused: where it refuses.
        """

    async def rows(self, shard: str, kind: StreamKind, start: int, most: int) -> list[RowPosition]:
        """Return the first messages from a sequence on, in their order; raises as `place`."""

    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        """Return when the latest webhook that is still kept was stored; None where none is."""

    async def states(self, shard: str) -> list[StreamState]:
        """Return the state of each stream of a shard; those that are missing are left out."""

    async def missing(self, shard: str, there: Collection[str]) -> list[str]:
        """Return the streams of a shard, and the consumers of its streams, that are not there.

        Args:
            shard: Which.
            there: The streams of which `states` just said how they are.

        Raises:
            StreamsUnavailable: where NATS is away.
            StreamsRefused: where it refuses.
        """


class JetStreams(StreamManager):
    """A real JetStream; `run` is its one task."""

    def __init__(
        self, settings: NatsSettings, on_answer: Callable[[float], None] = lambda _: None
    ) -> None:
        """Prepare.

        Args:
            settings: Where NATS is.
            on_answer: Called with the seconds that each answer took.
        """
        self._client: Client | None = None
        self._on_answer = on_answer
        self._authority = settings.tls_ca
        self.connections = asyncio.Event()
        """Set at every new connection: streams may be gone, or NATS another one."""

        self._link = NatsLink(settings, "forebay-operator", self)
        self.contents = NatsContents(self.ask)
        self._asking: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Keep the connection; until cancelled."""
        await self._link.run()

    def certificate_end(self) -> float | None:
        """Return when the server's certificate or its authority's ends; None without TLS."""
        client = self._client
        server = client.certificate if isinstance(client, QuickClient) else None
        return connection_end(server, self._authority)

    async def connected(self, client: Client) -> None:
        """Take a new client (`LinkListener`)."""
        self._client = client
        self.connections.set()

    def reconnected(self) -> None:
        """Check the streams again (`LinkListener`)."""
        self.connections.set()

    def disconnected(self) -> None:
        """End what waits for an answer: none will come (`LinkListener`)."""
        for task in self._asking:
            task.cancel()

    @override
    async def ensure(self, shard: ShardConfig) -> None:
        try:
            async with asyncio.timeout(ENSURE_SECONDS):
                await ensure_shard(self._connected(), shard)
        except ConfigurationError as error:
            raise StreamsRefused(str(error)) from error
        except StoreUnavailable as error:
            raise StreamsUnavailable(str(error)) from error
        except StoreError as error:
            raise StreamsRefused(str(error)) from error
        except APIError as error:
            message = f"NATS refuses: {error.description}"
            raise StreamsRefused(message) from error
        except (NatsError, OSError, TimeoutError) as error:
            raise StreamsUnavailable(_silent(error)) from error

    @override
    async def purge(self, shard: str, endpoint: EndpointName) -> None:
        for kind, subjects in endpoint_filters(shard, endpoint).items():
            await self.ask(f"STREAM.PURGE.{stream_name(kind, shard)}", {"filter": subjects})

    @override
    async def place(self, shard: str, kind: StreamKind) -> StreamPosition | None:
        name = stream_name(kind, shard)
        answer = await self.ask(f"STREAM.INFO.{name}", {})
        if answer is None:
            return None
        # After the stream: what comes in between is counted as waiting, and read at the next poll.
        lanes = () if kind is StreamKind.RETRY else await lane_positions(self.ask, name)
        state = answer["state"]
        return StreamPosition(
            int(state["first_seq"]), int(state["last_seq"]), int(state["messages"]), lanes
        )

    @override
    async def rows(self, shard: str, kind: StreamKind, start: int, most: int) -> list[RowPosition]:
        name = stream_name(kind, shard)
        try:
            places = await self._guarded(read_places(self._connected(), name, start, most))
        except StreamMissing:
            return []
        except StoreUnavailable as error:
            raise StreamsUnavailable(str(error)) from error
        except StoreError as error:
            raise StreamsRefused(str(error)) from error
        found = []
        for sequence, subject, stored_at in places:
            # The same places in the subjects of all three streams (`forebay.core.subjects`).
            _, _, _, partition, lane, namespace, own, *_ = subject.split(".")
            place = sys.intern(f"{partition}.{lane}")
            found.append(RowPosition(sequence, _shared_name(namespace, own), place, stored_at))
        return found

    @override
    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        name = f"{endpoint.namespace}.{endpoint.name}"
        subjects = f"forebay.raw.{shard}.{endpoint_partition(endpoint, shard):02d}.*.{name}"
        return await self._time_of(stream_name(StreamKind.RAW, shard), {"last_by_subj": subjects})

    @override
    async def states(self, shard: str) -> list[StreamState]:
        found = []
        for kind in StreamKind:
            name = stream_name(kind, shard)
            answer = await self.ask(f"STREAM.INFO.{name}", {})
            if answer is not None:
                found.append(StreamState.of(name, answer))
        return found

    @override
    async def missing(self, shard: str, there: Collection[str]) -> list[str]:
        # The index is not among them: nobody is served worse without it.
        names = [stream_name(kind, shard) for kind in StreamKind]
        missing = [name for name in names if name not in there]
        leases = lease_stream(shard)
        if await self.ask(f"STREAM.INFO.{leases}", {}) is None:
            missing.append(leases)
        if not missing:
            try:
                missing = await missing_consumers(self._connected(), shard)
            except StoreUnavailable as error:
                raise StreamsUnavailable(str(error)) from error
            except StoreError as error:
                raise StreamsRefused(str(error)) from error
        return missing

    async def _time_of(self, name: str, body: dict[str, Any]) -> datetime | None:
        answer = await self.ask(f"STREAM.MSG.GET.{name}", body)
        if answer is None:
            return None
        return moment(answer["message"]["time"]).replace(microsecond=0)

    # --- requests

    def _connected(self) -> Client:
        if self._client is None or not self._link.is_connected:
            message = "there is no connection to NATS"
            raise StreamsUnavailable(message)
        return self._client

    async def ask(self, call: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Call JetStream; None where the stream, consumer or message is not there."""
        began = time.monotonic()
        try:
            reply = await self._guarded(
                request(
                    self._connected(),
                    API_PREFIX + call,
                    msgspec.json.encode(body),
                    within=REQUEST_SECONDS,
                    silence=_SILENCE,
                )
            )
        except StoreUnavailable as error:
            raise StreamsUnavailable(str(error)) from error
        self._on_answer(time.monotonic() - began)
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        refused = answer.get("error")
        if refused is None:
            return answer
        if refused.get("err_code") in _MISSING:
            return None
        message = (
            f"NATS refuses {call.split('.FOREBAY', maxsplit=1)[0]}: {refused.get('description')}"
        )
        raise StreamsRefused(message)

    async def _guarded(self, asking: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Wait for an answer, but no longer than there is a connection on which it could come."""
        task = asyncio.create_task(asking)
        self._asking.add(task)
        # Also where nobody waits any more: its failure is no news then.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait([task])
        finally:
            self._asking.discard(task)
            task.cancel()
        if task.cancelled():
            message = "the connection to NATS was lost"
            raise StreamsUnavailable(message)
        try:
            return task.result()
        except OSError as error:
            raise StreamsUnavailable(_silent(error)) from error


# Of one endpoint there may be tens of thousands of rows.
@functools.lru_cache(maxsize=16_384)
def _shared_name(namespace: str, name: str) -> EndpointName:
    return EndpointName(namespace, name)


def _silent(error: Exception) -> str:
    return f"{_SILENCE}: {failure_words(error)}"


class NoStreams(StreamManager):
    """The double: remembers what was asked for; can be away, or refuse."""

    def __init__(self) -> None:
        self.is_away = False
        self.refusal: str | None = None
        self.gone: list[str] = []
        self.ensured: list[str] = []
        self.purged: list[tuple[str, EndpointName]] = []
        self.places: dict[StreamKind, StreamPosition] = {}
        self.stored: dict[StreamKind, list[RowPosition]] = {}
        self.read: list[tuple[StreamKind, int, int]] = []
        """Which rows were asked for: of which stream, from where on, and how many at most."""

        self.times: dict[EndpointName, datetime] = {}

    @override
    async def ensure(self, shard: ShardConfig) -> None:
        self._check()
        self.gone = []
        self.ensured.append(shard.shard)

    @override
    async def purge(self, shard: str, endpoint: EndpointName) -> None:
        self._check()
        self.purged.append((shard, endpoint))

    @override
    async def place(self, shard: str, kind: StreamKind) -> StreamPosition | None:
        self._check()
        return self.places.get(kind)

    @override
    async def rows(self, shard: str, kind: StreamKind, start: int, most: int) -> list[RowPosition]:
        self._check()
        self.read.append((kind, start, most))
        return [each for each in self.stored.get(kind, ()) if each.sequence >= start][:most]

    @override
    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        self._check()
        return self.times.get(endpoint)

    @override
    async def states(self, shard: str) -> list[StreamState]:
        self._check()
        return []

    @override
    async def missing(self, shard: str, there: Collection[str]) -> list[str]:
        self._check()
        return self.gone

    def _check(self) -> None:
        if self.is_away:
            message = "there is no connection to NATS"
            raise StreamsUnavailable(message)
        if self.refusal is not None:
            raise StreamsRefused(self.refusal)
