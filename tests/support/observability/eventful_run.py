"""A run in which all happens that dashboards and rules are there for, over real parts.

Traffic that is delivered, repeated, unreadable, unsigned and refused for overload; destinations
that are well, fail and let items expire; a paused endpoint; a stream that fills up and is purged; a
consumer that somebody deletes; a processor that stands still; dead letters that are replayed.
"""

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from nats.js.errors import NotFoundError
from typing_extensions import override

from forebay.core.signatures import sign
from forebay.core.tables import Batch, Retry
from support.cluster.rules import groups
from support.destinations.sink import Sink
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import endpoint, http_destination, route
from support.observability.history import lay_out
from support.observability.operator_part import operator_part
from support.observability.prometheus import Prometheus, Target
from support.operator.operator_alone import OperatorAlone
from support.processor.processor_harness import webhook
from support.programs.dead_command import forebay_dead
from support.programs.ports import free_port
from support.programs.processes import Part
from support.programs.scope import Scope
from support.programs.stack import SHARD, Stack
from support.receiver.raw_http import connect, request_bytes
from support.timing.wait import eventually

__all__ = ["BUSY", "PAUSED", "SHOP", "EventfulRun"]

_MEBIBYTE: Final = 1024 * 1024

_SHARD: Final = msgspec.structs.replace(
    SHARD,
    raw_max_bytes=8 * _MEBIBYTE,
    events_max_bytes=8 * _MEBIBYTE,
    retry_max_bytes=4 * _MEBIBYTE,
)
"""Small enough to fill up in seconds."""

SHOP: Final = "demo/shop"
"""Everything happens to this one."""

PAUSED: Final = "demo/paused"
BUSY: Final = "acme/busy"
"""Takes one request at a time."""

_LARGE: Final = "x" * 60_000
"""A text that fills streams."""

_PATIENT: Final = Retry(initial_delay_seconds=0.2, max_delay_seconds=1.0, max_age_seconds=7200)
_SHORT: Final = Retry(initial_delay_seconds=0.2, max_delay_seconds=0.4, max_age_seconds=1.5)

_FAILURES: Final = 0.3
"""How often a destination that is well fails once all the same."""

SNAPSHOTS: Final = 8
"""Of what parts show, for the time before the run."""


class EventfulRun(Scope):
    """NATS, a receiver, two processors, an operator, destinations, and a Prometheus."""

    def __init__(self, folder: Path, *, every: str = "1s") -> None:
        """Lay out; `every` is between two scrapes."""
        super().__init__()
        self.stack = Stack(folder, shard=_SHARD)
        self.failing = Sink()
        self.prometheus = Prometheus(folder / "prometheus")
        self.operator: OperatorAlone
        self.targets: tuple[Target, ...] = ()
        self._every = every
        self._numbers = itertools.count()
        self._chance = random.Random(1)

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start everything, let it all happen, and give Prometheus what was before."""
        stack = self.stack
        await cleanup.enter_async_context(stack)
        await cleanup.enter_async_context(self.failing)
        self.failing.status = 503
        self._serve()
        settings = {
            "FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS": "0.3",
            "FOREBAY_PROCESSOR_STREAM_CHECK_SECONDS": "0.5",
            "FOREBAY_PROCESSOR_STOP_SECONDS": "1",
        }
        self.receiver = stack.part("receiver")
        self.processors = [stack.part("processor", **settings) for _ in range(2)]
        for part in (self.receiver, *self.processors):
            # Much is broken on purpose here; what must not be logged is judged elsewhere.
            part.expect_errors()
        port = free_port()
        self.operator = await cleanup.enter_async_context(operator_part(stack, port))
        await asyncio.gather(*(each.start() for each in (self.receiver, *self.processors)))
        self.targets = (
            Target(part="receivers", pod="receivers-1", port=self.receiver.admin_port),
            *(
                Target(part="processors", pod=f"processors-{number}", port=part.admin_port)
                for number, part in enumerate(self.processors, start=1)
            ),
            Target(part="operator", pod="operator-1", port=port),
        )
        self.prometheus.configure(self.targets, groups(), every=self._every)
        snapshots = [await self._snapshot()]
        await self.happen()
        for _ in range(SNAPSHOTS):
            await self.traffic(seconds=0.5)
            snapshots.append(await self._snapshot())
        await lay_out(self.prometheus, snapshots, groups())
        await cleanup.enter_async_context(self.prometheus)

    # What goes on

    async def traffic(self, *, seconds: float, rate: float = 40) -> None:
        """Send webhooks of all kinds for a while; `rate` in a second."""
        end = time.monotonic() + seconds
        async with connect(self.receiver.port) as connection:
            while time.monotonic() < end:
                if self._chance.random() < _FAILURES:
                    self.stack.sink.answer_next(503)
                for name in (SHOP, SHOP, SHOP, BUSY):
                    await connection.send(self._request(name, self._body()))
                    await connection.response()
                await asyncio.sleep(4 / rate)

    async def go_on(self, *, seconds: float) -> None:
        """Keep all of it going; the destination that is down comes back for a while."""
        end, half = time.monotonic() + seconds, time.monotonic() + seconds / 2
        while time.monotonic() < end:
            is_well = half <= time.monotonic() < half + seconds / 6
            self.failing.status = 200 if is_well else 503
            await self.traffic(seconds=min(10, seconds / 6), rate=20 + 40 * self._chance.random())
            await self._odd_requests()
            await asyncio.gather(*(self._post(BUSY, self._body()) for _ in range(4)))

    async def go_wrong(self) -> None:
        """Let what providers and strangers do wrong happen once more."""
        await self._odd_requests()
        await self._overload()

    async def happen(self) -> None:
        """Let each thing happen once, and wait until the parts show that it did."""
        await self.traffic(seconds=1)
        await self._odd_requests()
        await self._overload()
        await self._fill_up()
        await self._delete_consumer()
        await self._lose_a_processor()
        await self._reconcile()
        first, _ = self.processors
        await eventually(
            lambda: self._shown("forebay_processor_dead_letters_total"),
            within=20,
            saying="dead letters",
        )
        await eventually(
            lambda: self._shown("forebay_processor_breaker_state", state="Open"),
            within=20,
            saying="a breaker that opens",
        )
        done = await forebay_dead(
            "replay", "--endpoint", SHOP, "--yes", nats_url=self.stack.nats_server.url
        )
        assert done.code == 0, done
        await eventually(
            lambda: self._shown("forebay_processor_replayed_items_total"),
            within=20,
            saying="replayed items",
        )
        assert first.running

    async def _shown(self, name: str, **labels: str) -> bool:
        return any([await part.metric(name, **labels) > 0 for part in self.processors])

    def _serve(self) -> None:
        tables, sink, failing = self.stack.tables, self.stack.sink, self.failing
        tables.write_routes(route(SHOP), route(PAUSED), route(BUSY, max_in_flight=1))
        tables.write_endpoints(
            endpoint(
                http_destination(sink.url("/crm"), name="crm"),
                http_destination(failing.url("/erp"), name="erp", retry=_PATIENT),
                http_destination(failing.url("/archive"), name="archive", retry=_SHORT),
                http_destination(
                    sink.url("/lake"), name="lake", batch=Batch(max_items=20, max_wait_seconds=0.2)
                ),
                http_destination(sink.url("/stops"), name="stops", filter='kind == "statuses"'),
                http_destination(sink.url("/odd"), name="odd", filter="data.no_such_field == 1"),
                name=SHOP,
            ),
            endpoint(
                http_destination(sink.url("/paused"), name="crm", retry=_PATIENT),
                name=PAUSED,
                paused=True,
            ),
            endpoint(http_destination(sink.url("/busy"), name="crm"), name=BUSY),
        )

    def _body(self, text: str = "Hello") -> bytes:
        person = f"1555{self._chance.randrange(1000):07d}"
        return webhook((f"wamid.{next(self._numbers)}", person), text=text)

    def _request(self, name: str, body: bytes, *, secret: str = APP_SECRET) -> bytes:
        headers = {"X-Hub-Signature-256": f"sha256={sign(secret, body)}"}
        return request_bytes("POST", f"/v1/webhooks/{name}", headers=headers, body=body)

    async def _post(self, name: str, *bodies: bytes, secret: str = APP_SECRET) -> list[int]:
        statuses = []
        async with connect(self.receiver.port) as connection:
            for body in bodies:
                await connection.send(self._request(name, body, secret=secret))
                statuses.append((await connection.response()).status)
        return statuses

    async def _odd_requests(self) -> None:
        """Send what is repeated, unreadable, wrongly signed, and of other kinds."""
        twice = self._body()
        assert await self._post(SHOP, twice, twice) == [200, 200]
        assert await self._post(SHOP, b"no JSON") == [200]
        assert set(await self._post(SHOP, *[self._body()] * 12, secret="of last year")) == {401}
        status = {
            "id": "wamid.status",
            "status": "delivered",
            "timestamp": "1795165201",
            "recipient_id": "15550001234",
        }
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550009000", "phone_number_id": "1"},
            "statuses": [status],
        }
        entry = [{"id": "1", "changes": [{"field": "messages", "value": value}]}]
        body = {"object": "whatsapp_business_account", "entry": entry}
        assert await self._post(SHOP, json.dumps(body).encode()) == [200]

    async def _overload(self) -> None:
        """Send many at once to an endpoint that takes one at a time, until some are refused."""

        async def has_refused() -> bool:
            answers = await asyncio.gather(*(self._post(BUSY, self._body()) for _ in range(30)))
            await asyncio.gather(*(self._post(SHOP, self._body()) for _ in range(3)))
            return [503] in answers

        await eventually(has_refused, within=20, saying="answers 503 of an overload")

    async def _fill_up(self) -> None:
        """Fill RETRY by a paused endpoint, and RAW until it is purged."""
        await self._post(PAUSED, *(self._body(_LARGE) for _ in range(30)))

        async def is_purged() -> bool:
            await self._post(BUSY, *(self._body(_LARGE) for _ in range(10)))
            return await self._shown("forebay_processor_purged_messages_total")

        await eventually(is_purged, within=25, saying="a stream that is purged")

    async def _delete_consumer(self) -> None:
        """Delete consumers, as somebody does by mistake, until a processor has missed one."""
        async with self.stack.nats_server.client() as client:
            stream = client.jetstream()

            async def is_restored() -> bool:
                for each in await stream.consumers_info("FOREBAY_RAW_0"):
                    with contextlib.suppress(NotFoundError):
                        await stream.delete_consumer("FOREBAY_RAW_0", each.name)
                return await self._shown("forebay_processor_consumers_restored_total")

            await eventually(is_restored, within=20, saying="a consumer to be restored")

    async def _lose_a_processor(self) -> None:
        """Let a processor stand still for longer than its lease."""
        one, other = self.processors

        async def has_all() -> bool:
            return await one.metric("forebay_processor_partitions_owned", kind="raw") == 16

        other.freeze()
        try:
            await eventually(has_all, within=25, saying="one processor to have all partitions")
        finally:
            other.thaw()
        await eventually(
            lambda: self._shown("forebay_processor_partitions_lost_total"),
            within=20,
            saying="partitions that were lost",
        )

    async def _reconcile(self) -> None:
        """Make endpoints at the operator."""
        operator = self.operator
        for number in range(3):
            operator.apply(f"shop-{number}")
        operator.queue.enqueue_all()

    async def _snapshot(self) -> dict[Target, str]:
        parts: Sequence[Part] = (self.receiver, *self.processors)
        shown = {
            target: (await part.admin("/metrics")).body.decode()
            for target, part in zip(self.targets, parts, strict=False)
        }
        shown[self.targets[-1]] = (await self.operator.metrics.exposition()).content.decode()
        return shown
