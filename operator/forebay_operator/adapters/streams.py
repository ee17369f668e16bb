"""NATS: streams and consumers of the shards, what an endpoint has in them, and its removal."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

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
    MESSAGE_MISSING_CODE,
    STREAM_MISSING_CODE,
    StoreError,
    StoreUnavailable,
    failure_words,
)
from forebay.runtime.jetstream.fast_subscriptions import QuickClient
from forebay.runtime.jetstream.link import NatsLink
from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard, missing_consumers
from forebay.runtime.settings import NatsSettings
from forebay_operator.errors import StreamsRefused, StreamsUnavailable
from forebay_operator.models.stream_state import StreamState

__all__ = ["JetStreams", "NoStreams", "StreamManager", "Waiting", "endpoint_filters"]

_log = structlog.get_logger(__name__)

REQUEST_SECONDS: Final = 5.0
_SILENCE: Final = "NATS did not answer"

ENSURE_SECONDS: Final = 60.0
"""For all streams and consumers of a shard: 116 answers, on a cluster of three under load."""


class Waiting(NamedTuple):
    """What is stored for an endpoint and not delivered yet."""

    items: int
    oldest: datetime | None


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

    async def waiting(self, shard: str, endpoint: EndpointName) -> Waiting:
        """Return an endpoint's backlog."""

    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        """Return when the latest webhook that is still kept was stored; None where none is."""

    async def states(self, shard: str) -> list[StreamState]:
        """Return the state of each stream of a shard; those that are missing are left out."""

    async def missing(self, shard: str) -> list[str]:
        """Return the streams of a shard, and the consumers of its streams, that are not there.

        Raises:
            StreamsUnavailable: where NATS is away.
            StreamsRefused: where it refuses.
        """


def endpoint_filters(shard: str, endpoint: EndpointName) -> dict[StreamKind, str]:
    """Return the subjects of an endpoint in each stream that is purged with it."""
    name = f"{endpoint.namespace}.{endpoint.name}"
    return {
        StreamKind.RAW: f"forebay.raw.{shard}.*.*.{name}",
        StreamKind.EVENTS: f"forebay.event.{shard}.*.*.{name}.>",
        StreamKind.RETRY: f"forebay.retry.{shard}.*.*.{name}.>",
    }


class _Consumer(NamedTuple):
    """One consumer that is behind."""

    filter: str
    floor: int
    """The highest sequence below which all is acked."""


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
        self._behind: dict[tuple[str, StreamKind], tuple[float, list[_Consumer]]] = {}
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
            await self._ask(f"STREAM.PURGE.{stream_name(kind, shard)}", {"filter": subjects})

    @override
    async def waiting(self, shard: str, endpoint: EndpointName) -> Waiting:
        filters = endpoint_filters(shard, endpoint)
        # In RETRY each message that is there still waits.
        parked = await self._count_after(shard, StreamKind.RETRY, filters[StreamKind.RETRY], 0)
        counts = [parked]
        for kind in (StreamKind.RAW, StreamKind.EVENTS):
            name = f"{endpoint.namespace}.{endpoint.name}"
            tail = name if kind is StreamKind.RAW else f"{name}.>"
            behind = await self._consumers_behind(shard, kind)
            if kind is StreamKind.RAW:
                mark = f".{shard}.{endpoint_partition(endpoint):02d}."
                behind = [each for each in behind if mark in each.filter]
            for each in behind:
                subjects = each.filter.removesuffix(">") + tail
                counts.append(await self._count_after(shard, kind, subjects, each.floor))
        times = [when for _, when in counts if when is not None]
        return Waiting(sum(count for count, _ in counts), min(times, default=None))

    @override
    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        name = f"{endpoint.namespace}.{endpoint.name}"
        subjects = f"forebay.raw.{shard}.{endpoint_partition(endpoint):02d}.*.{name}"
        return await self._time_of(stream_name(StreamKind.RAW, shard), {"last_by_subj": subjects})

    @override
    async def states(self, shard: str) -> list[StreamState]:
        found = []
        for kind in StreamKind:
            name = stream_name(kind, shard)
            answer = await self._ask(f"STREAM.INFO.{name}", {})
            if answer is not None:
                found.append(StreamState.of(name, answer))
        return found

    @override
    async def missing(self, shard: str) -> list[str]:
        # The index is not among them: nobody is served worse without it.
        names = [*(stream_name(kind, shard) for kind in StreamKind), lease_stream(shard)]
        missing = [name for name in names if await self._ask(f"STREAM.INFO.{name}", {}) is None]
        if not missing:
            try:
                missing = await missing_consumers(self._connected(), shard)
            except StoreUnavailable as error:
                raise StreamsUnavailable(str(error)) from error
            except StoreError as error:
                raise StreamsRefused(str(error)) from error
        return missing

    # --- what the backlog is made of

    async def _consumers_behind(self, shard: str, kind: StreamKind) -> list[_Consumer]:
        """Return the consumers of a stream that have something to do; asked once a second."""
        now = asyncio.get_running_loop().time()
        known = self._behind.get((shard, kind))
        if known is not None and now - known[0] < 1.0:
            return known[1]
        name = stream_name(kind, shard)
        behind: list[_Consumer] = []
        offset, total = 0, 1
        while offset < total:
            answer = await self._ask(f"CONSUMER.LIST.{name}", {"offset": offset})
            if answer is None:
                break
            page = answer.get("consumers") or []
            total = int(answer.get("total", 0))
            offset += max(len(page), 1)
            behind += [
                _Consumer(each["config"]["filter_subject"], int(each["ack_floor"]["stream_seq"]))
                for each in page
                if each["config"].get("durable_name")
                and each.get("num_pending", 0) + each.get("num_ack_pending", 0) > 0
            ]
        self._behind[shard, kind] = (now, behind)
        return behind

    async def _count_after(
        self, shard: str, kind: StreamKind, subjects: str, floor: int
    ) -> tuple[int, datetime | None]:
        """Count an endpoint's messages above a sequence.

        The creation of a consumer that nobody reads is answered with how many messages wait for it:
        the only count by subject and sequence that the server has. (`STREAM.INFO` with a filter
        lists every subject, 100,000 of them at most, and RETRY and RAW have one for each message:
        with 230,000 in RETRY one such answer held nats-server for 2 to 3 seconds, in which it
        confirmed nothing that was published.)
        """
        name = stream_name(kind, shard)
        since = await self._time_after(name, subjects, floor + 1)
        if since is None:
            return 0, None
        config = {
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": floor + 1,
            "filter_subject": subjects,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 5_000_000_000,
        }
        answer = await self._ask(f"CONSUMER.CREATE.{name}", {"stream_name": name, "config": config})
        if answer is None:
            return 0, None
        await self._ask(f"CONSUMER.DELETE.{name}.{answer['name']}", {})
        return int(answer.get("num_pending", 0)), since

    async def _time_after(self, name: str, subjects: str, sequence: int) -> datetime | None:
        """Return when the first message of some subjects from a sequence on was stored."""
        return await self._time_of(name, {"seq": sequence, "next_by_subj": subjects})

    async def _time_of(self, name: str, body: dict[str, Any]) -> datetime | None:
        answer = await self._ask(f"STREAM.MSG.GET.{name}", body)
        if answer is None:
            return None
        return moment(answer["message"]["time"]).replace(microsecond=0)

    # --- requests

    def _connected(self) -> Client:
        if self._client is None or not self._link.is_connected:
            message = "there is no connection to NATS"
            raise StreamsUnavailable(message)
        return self._client

    async def _ask(self, call: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Call JetStream; None where the stream or message is not there."""
        asking = request(
            self._connected(),
            API_PREFIX + call,
            msgspec.json.encode(body),
            within=REQUEST_SECONDS,
            silence=_SILENCE,
        )
        began = time.monotonic()
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
            reply = task.result()
        except StoreUnavailable as error:
            raise StreamsUnavailable(str(error)) from error
        except OSError as error:
            raise StreamsUnavailable(_silent(error)) from error
        self._on_answer(time.monotonic() - began)
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        refused = answer.get("error")
        if refused is None:
            return answer
        if refused.get("err_code") in {MESSAGE_MISSING_CODE, STREAM_MISSING_CODE}:
            return None
        message = (
            f"NATS refuses {call.split('.FOREBAY', maxsplit=1)[0]}: {refused.get('description')}"
        )
        raise StreamsRefused(message)


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
        self.backlogs: dict[EndpointName, Waiting] = {}
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
    async def waiting(self, shard: str, endpoint: EndpointName) -> Waiting:
        self._check()
        return self.backlogs.get(endpoint, Waiting(0, None))

    @override
    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        self._check()
        return self.times.get(endpoint)

    @override
    async def states(self, shard: str) -> list[StreamState]:
        self._check()
        return []

    @override
    async def missing(self, shard: str) -> list[str]:
        self._check()
        return self.gone

    def _check(self) -> None:
        if self.is_away:
            message = "there is no connection to NATS"
            raise StreamsUnavailable(message)
        if self.refusal is not None:
            raise StreamsRefused(self.refusal)
