"""A receiver and a processor: from a webhook's POST to what destinations get.

Tests share it, each with endpoints of its own.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from forebay.core.providers.names import ProviderName
from forebay.core.signatures import sign
from forebay.core.tables import Authentication, ReceiverRoute
from support.destinations.sink import Arrival
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import META_SIGNATURE
from support.processor.processor_harness import EVENTS, RAW, ProcessorHarness
from support.programs.processes import Part
from support.programs.scope import Scope
from support.receiver.raw_http import RawResponse, exchange, request_bytes
from support.timing.wait import eventually

__all__ = ["WholePath"]


class WholePath(Scope):
    """NATS, a receiver, a processor, and endpoints with two destinations: `items` and `bodies`."""

    def __init__(self, folder: Path) -> None:
        """Lay out both parts."""
        super().__init__()
        self.processor = ProcessorHarness(folder)
        self.receiver: Part = self.processor.stack.part(
            "receiver",
            FOREBAY_TABLE_POLL_SECONDS="0.05",
            # Nothing balances load here: it may leave as soon as it is told to.
            FOREBAY_RECEIVER_DRAIN_SECONDS="0",
        )

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start both parts."""
        await cleanup.enter_async_context(self.processor)
        self.processor.stack.tables.write_routes()
        await self.receiver.start()

    async def endpoint(
        self,
        provider: ProviderName = "meta",
        *,
        authentication: Authentication = META_SIGNATURE,
        id_headers: tuple[str, ...] = (),
    ) -> str:
        """Serve an endpoint whose items go to one destination, and whose bodies to another."""
        processor, name = self.processor, self.processor.new_name()
        await processor.serve(
            name,
            processor.http(f"{name}-items", name="items"),
            processor.http(f"{name}-bodies", name="bodies", format="Raw"),
            provider=provider,
            id_headers=id_headers,
        )
        own = ReceiverRoute(
            namespace="demo",
            name=name,
            provider=provider,
            authentication=authentication,
            id_headers=id_headers,
        )
        generation = processor.stack.tables.write_routes(own, file=f"{name}.json")
        await self.receiver.follows(f"{name}.json", generation)
        return name

    async def send(self, request: bytes) -> RawResponse:
        """Send a request of the test's own making to the receiver, and return the answer."""
        return await exchange(self.receiver.port, request)

    async def post(
        self, name: str, *bodies: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Post webhooks, one after the other, signed as Meta does; all have to be stored."""
        for body in bodies:
            fields = {
                "Content-Type": "application/json",
                "X-Hub-Signature-256": f"sha256={sign(APP_SECRET, body)}",
                **(headers or {}),
            }
            request = request_bytes("POST", self.path(name), headers=fields, body=body)
            assert (await self.send(request)).status == 200

    @staticmethod
    def path(name: str) -> str:
        """Return the path at which an endpoint's webhooks come in."""
        return f"/v1/webhooks/demo/{name}"

    def items(self, name: str) -> list[Arrival]:
        """Return what arrived of an endpoint's webhooks as items so far."""
        return self.processor.arrivals(f"{name}-items")

    def bodies(self, name: str) -> list[Arrival]:
        """Return what arrived of an endpoint's webhooks as they came so far."""
        return self.processor.arrivals(f"{name}-bodies")

    async def arrived(self, name: str) -> tuple[list[Arrival], list[Arrival]]:
        """Return what came of an endpoint's webhooks, as items and as bodies, once all is done."""
        await eventually(self._is_all_done, within=20, saying="all to be delivered")
        return self.items(name), self.bodies(name)

    async def _is_all_done(self) -> bool:
        for stream in (RAW, EVENTS):
            infos = await self.processor.client.jetstream().consumers_info(stream)
            if any(info.num_pending or info.num_ack_pending for info in infos):
                return False
        return True
