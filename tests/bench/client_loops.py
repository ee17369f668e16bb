"""What `bench.client` compares: items posted by a destination, and bytes posted by a bare protocol.

    python -m bench.client_loops aiohttp|own|bare URL COUNT AT_ONCE CA

`aiohttp` and `own` are the destination as the processor has it, over either client: an item is
made a CloudEvent of about 1 KB, signed by one secret, and posted. `bare` writes the same bytes
again and again and waits by a callback for each answer's end: no item, no future, no time limit.
Each prints a line of JSON: items, seconds, its processor time, the bytes of a body.
"""

import asyncio
import ipaddress
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem
from forebay.core.subjects import Lane
from forebay.core.tables import HttpTarget, HttpTls
from forebay.runtime.process_start import settle_garbage_collector
from forebay_processor.destinations.cloudevents import encode_event
from forebay_processor.destinations.http.client import HttpClient
from forebay_processor.destinations.http.destination import HttpDestination
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.port import Attempt, Delivered, DestinationPort
from support.destinations.aiohttp_destination import AiohttpDestination, aiohttp_session
from support.programs.ports import HOST

__all__ = ["WARM_UP"]

WARM_UP: Final = 2_000
"""Posts before those that count: connections are open then."""

_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def _attempt() -> Attempt:
    data = {
        "id": "102290129340398",
        "time": 1_790_000_000,
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": "10654035224"},
            "contacts": [{"profile": {"name": "Kerry Fisher"}, "wa_id": "16505551234"}],
            "messages": [
                {
                    "from": "16505551234",
                    "id": "wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=",
                    "timestamp": "1790000000",
                    "type": "text",
                    "text": {"body": "Is it still to be had? " * 12},
                }
            ],
        },
    }
    return Attempt(
        endpoint=EndpointName("bench", "shop"),
        destination="crm",
        lane=Lane.LIVE,
        token="0b6ea2e2b4b3a9b54b0f1d5a2c3d4e5f",
        conversation="5f0c9e8d7b6a4f3e",
        item=StoredItem(
            key="msg:10654035224:wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=",
            kind="messages",
            type="text",
            channel="10654035224",
            time="2026-11-20T09:00:01.000Z",
            data=msgspec.Raw(msgspec.json.encode(data)),
        ),
        number=1,
        received_at=1_790_000_000.0,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        other_channel=False,
    )


async def _deliver(port: DestinationPort, count: int, at_once: int) -> None:
    """Post, so many at a time; each has a turn of its own, as attempts have."""
    attempt = _attempt()
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            result = await port.deliver(attempt)
            assert isinstance(result, Delivered), result

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


class _Bare(asyncio.Protocol):
    """Writes a request whenever the last one is answered."""

    def __init__(self, request: bytes, round_: "_Round") -> None:
        self._request = request
        self._round = round_
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def go(self) -> None:
        """Write one, where one is left."""
        assert self._transport is not None
        if self._round.unsent:
            self._round.unsent -= 1
            self._transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Write the next one."""
        assert self._parser.get_status_code() == 200
        self._round.unanswered -= 1
        if not self._round.unanswered:
            self._round.done.set()
        self.go()


class _Round:
    """How many are left to do, for all connections together."""

    def __init__(self) -> None:
        self.unsent = self.unanswered = 0
        self.done = asyncio.Event()


async def _post_bare(
    url: str, count: int, at_once: int, tls: ssl.SSLContext | None
) -> tuple[float, float]:
    parts = urlsplit(url)
    body = encode_event(_attempt())
    head = (
        f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\nUser-Agent: bench\r\n"
        "content-type: application/cloudevents+json; charset=utf-8\r\n"
        f"webhook-id: {_attempt().token}\r\nwebhook-timestamp: 1790000000\r\n"
        f"Forebay-Attempt: 1\r\nForebay-Endpoint: bench/shop\r\n"
        f"traceparent: {_attempt().traceparent}\r\n"
        f"webhook-signature: v1,{'A' * 43}=\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    round_ = _Round()
    made: list[Any] = [
        await loop.create_connection(
            lambda: _Bare(head.encode() + body, round_), HOST, parts.port or 0, ssl=tls
        )
        for _ in range(at_once)
    ]
    began, cpu = 0.0, 0.0
    for turn in (WARM_UP, count):
        round_.unsent = round_.unanswered = turn
        round_.done.clear()
        began, cpu = time.perf_counter(), time.process_time()
        for _, protocol in made:
            protocol.go()
        await round_.done.wait()
    seconds = time.perf_counter() - began, time.process_time() - cpu
    for transport, _ in made:
        transport.abort()
    return seconds


async def _post_items(port: DestinationPort, count: int, at_once: int) -> tuple[float, float]:
    await _deliver(port, WARM_UP, at_once)
    began, cpu = time.perf_counter(), time.process_time()
    await _deliver(port, count, at_once)
    return time.perf_counter() - began, time.process_time() - cpu


async def _run(who: str, url: str, count: int, at_once: int, pem: str) -> None:
    is_tls = url.startswith("https:")
    settle_garbage_collector()
    names = Names(time.monotonic)
    guard = Guard([ipaddress.ip_network("127.0.0.0/8")])
    target = HttpTarget(
        url=url, signing_secrets=(_SECRET,), tls=HttpTls(ca=pem) if is_tls else None
    )
    if who == "bare":
        tls = ssl.create_default_context(cadata=pem) if is_tls else None
        seconds, cpu = await _post_bare(url, count, at_once, tls)
    elif who == "own":
        async with HttpClient(guard, names) as client:
            seconds, cpu = await _post_items(
                HttpDestination(target, client, time.time), count, at_once
            )
    else:
        async with aiohttp_session(guard, names) as session:
            seconds, cpu = await _post_items(
                AiohttpDestination(target, session, time.time), count, at_once
            )
    print(
        json.dumps(
            {
                "items": count,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "body": len(encode_event(_attempt())),
            }
        )
    )


if __name__ == "__main__":
    _, _who, _url, _count, _at_once, _authority = sys.argv
    _pem = Path(_authority).read_text(encoding="ascii")
    uvloop.run(_run(_who, _url, int(_count), int(_at_once), _pem))
