"""How many series parts show: many endpoints with traffic, as real parts count it."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from forebay.core.signatures import sign
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import status_template, text_template
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import endpoint, http_destination, route
from support.observability.operator_part import operator_part
from support.programs.ports import free_port
from support.programs.stack import Stack
from support.receiver.raw_http import connect, exchange, request_bytes
from support.timing.wait import eventually

__all__ = ["DESTINATIONS", "MOST_OWN", "PLAIN", "ManyEndpoints", "Shown", "shown_at"]

DESTINATIONS: Final = 2
"""Of each endpoint."""

PLAIN: Final = {"receiver": (2, 0), "processor": (4, 9)}
"""Series of an endpoint, and of a destination, that gets texts and statuses and takes them:
requests stored and the last webhook; items and webhooks of two lanes; deliveries, attempts and
answers by their one outcome, and what each destination always shows (waiting, their bytes, its
share of RETRY, blocked, breaker, its state)."""

MOST_OWN: Final = 200
"""Series of the process itself."""

KEEP_SECONDS: Final = 2.0

SENDERS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a part shows at one scrape."""

    series: int
    of_endpoints: int
    """Of them, those that name an endpoint."""

    size: int
    """Bytes."""

    seconds: float

    @property
    def own(self) -> int:
        """Series of the process itself."""
        return self.series - self.of_endpoints


class ManyEndpoints:
    """A receiver and a processor that serve so many endpoints, with two destinations each."""

    def __init__(self, stack: Stack, sink: QuickSink) -> None:
        self.stack = stack
        self.sink = sink
        self._round = 0

    async def start(self, count: int) -> None:
        """Start both parts with so many endpoints, and wait until they are served."""
        self.receiver = self.stack.part("receiver", FOREBAY_TABLE_POLL_SECONDS="0.1")
        self.processor = self.stack.part(
            "processor",
            FOREBAY_TABLE_POLL_SECONDS="0.1",
            FOREBAY_PROCESSOR_KEEP_GONE_SECONDS=str(KEEP_SECONDS),
        )
        self._write(range(count))
        await asyncio.gather(self.receiver.start(), self.processor.start())

    async def serve(self, numbers: range) -> None:
        """Serve these endpoints and no others, and wait until both parts do."""
        routes, endpoints = self._write(numbers)
        await self.receiver.follows("0.json", routes)
        await self.processor.follows("0.json", endpoints)

    async def traffic(self, numbers: range) -> None:
        """Send a text and a status to each endpoint, and wait until destinations have all items."""
        await self.sink.forget()
        self._round += 1
        bodies = [
            (name, template.webhook(number).body)
            for template in (
                text_template(f"TEXT{self._round}", 100),
                status_template("delivered", f"STATUS{self._round}", 100),
            )
            for number, name in ((number, _name(number)) for number in numbers)
        ]
        await asyncio.gather(*(self._send(bodies[place::SENDERS]) for place in range(SENDERS)))
        expected = len(bodies) * DESTINATIONS

        async def all_there() -> bool:
            return await self.sink.count() >= expected

        await eventually(all_there, within=120, saying=f"{expected} items at the destinations")

    async def operator(self, count: int, times: int = 1) -> Shown:
        """Return what an operator shows that has reconciled so many, on a played cluster."""
        port = free_port()
        async with operator_part(self.stack, port) as alone:
            for number in range(count):
                alone.apply(f"endpoint-{number:04d}")
            alone.queue.enqueue_all()

            async def all_accepted() -> bool:
                return f'condition="Accepted",status="True"}} {count}\n' in await scraped(port)

            await eventually(all_accepted, within=60, saying=f"{count} endpoints to be accepted")
            return await shown_at(port, times)

    def _write(self, numbers: Iterable[int]) -> tuple[str, str]:
        names = [_name(number) for number in numbers]
        url = self.sink.url()
        return (
            self.stack.tables.write_routes(*(route(name) for name in names)),
            self.stack.tables.write_endpoints(
                *(
                    endpoint(
                        *(
                            http_destination(url, name=f"destination-{number}")
                            for number in range(DESTINATIONS)
                        ),
                        name=name,
                    )
                    for name in names
                )
            ),
        )

    async def _send(self, bodies: list[tuple[str, bytes]]) -> None:
        async with connect(self.receiver.port) as connection:
            for name, body in bodies:
                headers = {"X-Hub-Signature-256": f"sha256={sign(APP_SECRET, body)}"}
                path = f"/v1/webhooks/{name}"
                await connection.send(request_bytes("POST", path, headers=headers, body=body))
                answer = await connection.response()
                assert answer.status == 200, answer


async def shown_at(port: int, times: int = 1) -> Shown:
    """Return what a part shows at a port; the time is the least of so many scrapes."""
    seconds, text = float("inf"), ""
    for _ in range(times):
        begun = time.perf_counter()
        text = await scraped(port)
        seconds = min(seconds, time.perf_counter() - begun)
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    of_endpoints = sum(1 for each in samples if each.labels.get("endpoint"))
    return Shown(series=len(samples), of_endpoints=of_endpoints, size=len(text), seconds=seconds)


async def scraped(port: int) -> str:
    """Return the text of `/metrics`."""
    request = request_bytes("GET", "/metrics", headers={"Connection": "close"})
    return (await exchange(port, request)).body.decode()


def _name(number: int) -> str:
    return f"many/endpoint-{number:04d}"
