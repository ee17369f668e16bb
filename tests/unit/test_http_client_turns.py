"""A request is written after the ack of what was answered in the same turn."""

import asyncio
import time
from typing import Final

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_processor.destinations.http.client import HttpClient
from forebay_processor.destinations.http.connection import HttpConnection
from forebay_processor.destinations.http.deadlines import Deadlines
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.connecting import Origin
from forebay_processor.destinations.network.name_resolver import Names
from support.receiver.recording_transport import Wire

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SHOP: Final = EndpointName("demo", "shop")


class Noting(Wire):
    """A wire that notes when something is written."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__()
        self._notes = notes

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self._notes.append("request")


async def test_an_ack_is_written_before_the_request_that_takes_its_place() -> None:
    notes: list[str] = []
    finished, unflushed = asyncio.Queue[str](), asyncio.Queue[str]()

    async def acker() -> None:
        unflushed.put_nowait(await finished.get())

    async def flusher() -> None:
        notes.append(await unflushed.get())

    async with HttpClient(Guard(), Names(time.monotonic)) as client, asyncio.TaskGroup() as group:
        pool = client.pool(Origin("192.0.2.1", 80, None, ""))
        rest = Deadlines[HttpConnection](asyncio.get_running_loop(), HttpConnection.end_rest)
        kept = HttpConnection(memoryview(bytearray(1024)), rest, pool.free, pool.gone)
        kept.connection_made(Noting(notes))
        pool.free(kept)
        group.create_task(flusher())
        group.create_task(acker())
        await asyncio.sleep(0)
        # In one turn, as where an attempt ends: what it held is finished, and another one begins.
        finished.put_nowait("ack")
        posting = group.create_task(client.post(pool, b"", b"body", 5.0, SHOP))
        for _ in range(10):
            await asyncio.sleep(0)
        assert notes == ["ack", "request"]
        kept.get_buffer(-1)[: len(OK)] = OK
        kept.buffer_updated(len(OK))
        assert (await posting).status == 200
