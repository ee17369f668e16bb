"""A processor seen from outside: webhooks go straight into RAW, items come out at a sink.

Tests that share a processor are kept apart by their endpoints: each has one of its own, and
the path of its destination at the sink is the endpoint's name.
"""

import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RawSubject, endpoint_partition
from forebay.core.tables import (
    Batch,
    Destination,
    HttpTarget,
    HttpTls,
    LogTarget,
    ProcessorEndpoint,
    Retry,
)
from forebay.runtime.jetstream.streams import ShardConfig
from support.destinations.sink import Arrival
from support.inputs.tables import QUICK_RETRY, endpoint
from support.programs.processes import Part
from support.programs.scope import Scope
from support.programs.stack import SHARD, Stack
from support.timing.wait import eventually

__all__ = ["CHANNEL", "DEAD", "EVENTS", "RAW", "RETRY", "ProcessorHarness", "token", "webhook"]

RAW: Final = "FOREBAY_RAW_0"
EVENTS: Final = "FOREBAY_EVENTS_0"
RETRY: Final = "FOREBAY_RETRY_0"
DEAD: Final = "FOREBAY_DEAD_0"

PLAIN_ENDPOINTS: Final = 100
"""More than there are tests that want one."""

CHANNEL: Final = "108200000000301"
"""The phone number id of made-up webhooks."""


def webhook(
    *messages: tuple[str, str],
    channel: str = CHANNEL,
    text: str = "Hello",
    kind: str = "text",
) -> bytes:
    """Return a webhook of messages, each given by its id and the number of its sender."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009000", "phone_number_id": channel},
        "messages": [
            {
                "from": person,
                "id": own,
                "timestamp": "1795165201",
                "type": kind,
                "text": {"body": text},
            }
            for own, person in messages
        ],
    }
    change = {"field": "messages", "value": value}
    entry = {"id": "104700000000701", "changes": [change]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def token(message: str, channel: str = CHANNEL) -> str:
    """Return the `webhook-id` of a text message, as the corpus' table says."""
    return hashlib.sha256(f"msg:{channel}:{message}".encode()).hexdigest()[:32]


class ProcessorHarness(Scope):
    """NATS, a sink and one processor."""

    def __init__(self, folder: Path, *, shard: ShardConfig = SHARD, **settings: str) -> None:
        """Lay out the stack; settings go to the processor."""
        super().__init__()
        self.stack = Stack(folder, shard=shard)
        self.sink = self.stack.sink
        # Many tests change the tables; as shipped each would wait up to half a second for it.
        quick = {"FOREBAY_TABLE_POLL_SECONDS": "0.05", **settings}
        self.part: Part = self.stack.part("processor", **quick)
        self.client: Client
        self._names = (f"endpoint-{number}" for number in itertools.count(1))
        self._plain = (f"plain-{number}" for number in range(1, PLAIN_ENDPOINTS + 1))

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start NATS, the sink and the processor."""
        self.stack.tables.write_endpoints(
            *(
                endpoint(self.http(name), name=f"demo/{name}")
                for name in (f"plain-{number}" for number in range(1, PLAIN_ENDPOINTS + 1))
            ),
            file="plain.json",
        )
        await cleanup.enter_async_context(self.stack)
        self.client = await cleanup.enter_async_context(self.stack.nats_server.client())
        await self.part.start()

    # Endpoints

    def new_name(self) -> str:
        """Return the name of an endpoint that no other test uses."""
        return next(self._names)

    def plain(self) -> str:
        """Return the name of an endpoint that is served already, with one destination.

        A change of the tables is seen within half a second: too long for each of many tests.
        """
        return next(self._plain)

    def http(  # noqa: PLR0913  # each is one setting of a destination
        self,
        path: str,
        *,
        name: str = "sink",
        url: str | None = None,
        retry: Retry = QUICK_RETRY,
        max_in_flight: int = 64,
        timeout_seconds: float = 5.0,
        signing_secrets: tuple[str, ...] = (),
        events: tuple[str, ...] = (),
        channels: tuple[str, ...] = (),
        format: Literal["Event", "Raw"] = "Event",  # noqa: A002  # the field's own name
        rate_per_second: float = 0.0,
        headers: Mapping[str, str] | None = None,
        tls: HttpTls | None = None,
        batch: Batch | None = None,
        content_type: Literal["application/cloudevents+json", "application/json"] = (
            "application/cloudevents+json"
        ),
    ) -> Destination:
        """Return a destination that posts to a path of the sink, or to another address."""
        target = HttpTarget(
            url=url or self.sink.url(f"/{path}"),
            format=format,
            content_type=content_type,
            headers=dict(headers or {}),
            max_in_flight=max_in_flight,
            timeout_seconds=timeout_seconds,
            rate_per_second=rate_per_second,
            signing_secrets=signing_secrets,
            tls=tls,
            batch=batch,
        )
        return Destination(name=name, http=target, retry=retry, events=events, channels=channels)

    @staticmethod
    def log(name: str = "log") -> Destination:
        """Return a destination that logs."""
        return Destination(name=name, log=LogTarget())

    async def serve(self, name: str, *destinations: Destination, **settings: Any) -> None:  # noqa: ANN401  # any field of an endpoint
        """Serve an endpoint of namespace `demo` from now on, or change it."""
        own = ProcessorEndpoint(
            namespace="demo",
            name=name,
            provider=settings.pop("provider", "meta"),
            destinations=destinations,
            **settings,
        )
        await self.follow(self.stack.tables.write_endpoints(own, file=f"{name}.json"), name)

    async def delete(self, name: str) -> None:
        """Delete an endpoint."""
        generation = self.stack.tables.write_endpoints(
            deleted=(f"demo/{name}",), file=f"{name}.json"
        )
        await self.follow(generation, name)

    async def follow(self, generation: str, name: str) -> None:
        """Wait until the processor has a file of the table in force."""
        await self.part.follows(f"{name}.json", generation)

    # What goes in

    async def store(
        self,
        name: str,
        body: bytes,
        *,
        lane: Lane = Lane.LIVE,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Store a webhook as the receiver does, and return its sequence."""
        own = EndpointName("demo", name)
        subject = RawSubject("0", endpoint_partition(own, "0"), lane, own)
        fields = {
            "Forebay-Received-At": str(int(time.time() * 1000)),
            "Forebay-Endpoint": str(own),
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            **(headers or {}),
        }
        ack = await self.client.jetstream().publish(str(subject), body, headers=fields)
        return ack.seq

    async def send(self, name: str, *messages: str, person: str = "15550001234") -> list[str]:
        """Store one webhook for each message, all of one person; returns their `webhook-id`s."""
        for message in messages:
            await self.store(name, webhook((message, person)))
        return [token(message) for message in messages]

    # What comes out

    def arrivals(self, path: str) -> list[Arrival]:
        """Return all arrivals at a path of the sink."""
        return [each for each in self.sink.arrivals if each.path == f"/{path}"]

    def delivered(self, path: str) -> list[str]:
        """Return the `webhook-id`s that a path of the sink accepted, in order of arrival."""
        return [item for each in self.arrivals(path) if each.accepted for item in each.items]

    async def wait_delivered(self, path: str, keys: Sequence[str], *, within: float = 10) -> None:
        """Wait until a path has accepted these, in any order."""
        await eventually(
            lambda: set(self.delivered(path)) >= set(keys),
            within=within,
            saying=f"{len(keys)} items at /{path}",
        )

    # What the streams hold

    async def rows(self, name: str) -> int:
        """Return how many items of an endpoint wait in RETRY."""
        return await self.count(RETRY, f"forebay.retry.0.*.*.demo.{name}.>")

    async def row(self, name: str, attempts: int = 1) -> RawStreamMsg:
        """Wait for an endpoint's row of RETRY that was tried so often, and return it."""
        subject = f"forebay.retry.0.*.*.demo.{name}.>"

        async def read() -> RawStreamMsg | None:
            try:
                found = await self.client.jetstream().get_last_msg(RETRY, subject)
            except NotFoundError:
                return None
            return found if (found.headers or {})["Forebay-Attempts"] == str(attempts) else None

        found = await eventually(read, saying=f"a row of {name}")
        assert found is not None
        return found

    async def letters(self, name: str) -> int:
        """Return how many dead letters an endpoint has."""
        return await self.count(DEAD, f"forebay.dead.0.demo.{name}.>")

    async def letter(self, name: str, key: str, destination: str = "sink") -> RawStreamMsg:
        """Wait for a dead letter and return it."""
        subject = f"forebay.dead.0.demo.{name}.{destination}.{key}"

        async def read() -> RawStreamMsg | None:
            try:
                return await self.client.jetstream().get_last_msg(DEAD, subject)
            except NotFoundError:
                return None

        found = await eventually(read, saying=f"a dead letter of {name}")
        assert found is not None
        return found

    async def unacked(self, stream: str) -> int:
        """Return how many messages of a stream are handed out and not acked."""
        infos = await self.client.jetstream().consumers_info(stream)
        return sum(info.num_ack_pending or 0 for info in infos)

    async def count(self, stream: str, subjects: str) -> int:
        """Return how many messages a stream holds under these subjects."""
        answer = await self.client.request(
            f"$JS.API.STREAM.INFO.{stream}",
            msgspec.json.encode({"subjects_filter": subjects}),
            timeout=5,
        )
        state = json.loads(answer.data)["state"]
        return sum((state.get("subjects") or {}).values())

    # Ending and coming back

    async def restart(self) -> int:
        """Stop the processor in order, start it again, and return how it ended."""
        code = await self.part.terminate()
        await self.part.start()
        return code

    @contextlib.asynccontextmanager
    async def sink_answers(self, status: int, **headers: str) -> AsyncIterator[None]:
        """Let the sink answer everything so within the block."""
        self.sink.status, self.sink.headers = status, headers
        try:
            yield
        finally:
            self.sink.status, self.sink.headers = 200, {}
