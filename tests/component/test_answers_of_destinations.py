"""What of a destination's answer is waited for, when its status has decided."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from forebay.core.tables import HttpTarget
from forebay_processor.destinations.http.destination import HttpDestination
from forebay_processor.destinations.port import Delivered
from support.destinations.http_destination import own_client
from support.processor.attempts import attempt
from support.programs.ports import HOST
from support.timing.clocks import LoopClock


@contextlib.asynccontextmanager
async def answering(head: str) -> AsyncIterator[str]:
    """Give the address of a destination that answers so, and says nothing more."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + b"\r\n\r\n")

    server = await asyncio.start_server(answer, HOST, 0)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def ended(task: asyncio.Task[object]) -> None:
    """Wait for a task while the loop's clock stands still."""
    until = time.monotonic() + 5
    while not task.done():
        assert time.monotonic() < until, "it waits for time to pass"
        await asyncio.sleep(0)


async def test_nobody_waits_for_an_answer_that_says_it_is_too_long_to_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LoopClock(monkeypatch)
    head = "HTTP/1.1 200 OK\r\nContent-Length: 10000000000"
    async with answering(head) as url, own_client() as client:
        destination = HttpDestination(HttpTarget(url=url), client, time.time)
        clock.stop()
        delivering = asyncio.create_task(destination.deliver(attempt()))
        await ended(delivering)
        assert delivering.result() == Delivered()
