"""The yardsticks: loops that do what a processor has to do at least, over the same libraries.

    python -m bench.bare_loops split NATS_URL COUNT
    python -m bench.bare_loops deliver NATS_URL COUNT URL

`split` pulls 500 webhooks at a time from RAW, parses each, publishes it to the stream BARE
pipelined, waits for the answers and acks. `deliver` pulls items from EVENTS, parses each, posts it
with aiohttp, 64 at a time, and acks. No claims, no order, no retries, no metrics, nothing else.
Each prints a line of JSON when it is done: items, seconds and its processor time.
"""

import asyncio
import json
import sys
import time

import aiohttp
import msgspec
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from forebay.core.subjects import StreamKind, stream_name

__all__ = ["BARE_STREAM", "BARE_SUBJECTS"]

BARE_STREAM = "BARE"
BARE_SUBJECTS = "bare.>"

BATCH = 500
AT_ONCE = 64


class _Split:
    """Pull, parse, republish, ack."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._left = 0
        self._answered = asyncio.Event()
        self._number = 0

    async def start(self) -> None:
        await self._client.subscribe(self._inbox, cb=self._on_answer)

    async def _on_answer(self, message: Msg) -> None:
        assert b'"error"' not in message.data, message.data
        self._left -= 1
        if not self._left:
            self._answered.set()

    async def work(self, batch: list[Msg]) -> None:
        self._left = len(batch)
        self._answered.clear()
        for message in batch:
            parsed = msgspec.json.decode(message.data)
            assert "entry" in parsed
            self._number += 1
            await self._client.publish(
                f"bare.{self._number}", msgspec.json.encode(parsed), self._inbox
            )
        await self._answered.wait()
        for message in batch:
            await self._client.publish(message.reply, b"+ACK")


class _Deliver:
    """Pull, parse, post, ack."""

    def __init__(self, client: Client, session: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._session = session
        self._url = url
        self._todo: asyncio.Queue[Msg] = asyncio.Queue(maxsize=BATCH)
        self.done = 0

    async def work(self, batch: list[Msg]) -> None:
        for message in batch:
            await self._todo.put(message)

    async def post_all(self) -> None:
        while True:
            message = await self._todo.get()
            item = msgspec.json.decode(message.data)
            headers = {"content-type": "application/json", "webhook-id": item["key"]}
            body = msgspec.json.encode(item)
            async with self._session.post(self._url, data=body, headers=headers) as response:
                await response.read()
                assert response.status == 200
            await self._client.publish(message.reply, b"+ACK")
            self.done += 1
            self._todo.task_done()

    async def join(self) -> None:
        await self._todo.join()


async def _pull(client: Client, kind: StreamKind, count: int, loop: "_Split | _Deliver") -> None:
    stream = stream_name(kind, "0")
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, max_ack_pending=5000)
    subscription = await client.jetstream().pull_subscribe("", "bare", stream=stream, config=config)
    left = count
    while left:
        batch = await subscription.fetch(min(BATCH, left), timeout=10)
        left -= len(batch)
        await loop.work(batch)


async def _run(what: str, url: str, count: int, target: str = "") -> None:
    client = await nats.connect(url)
    began, cpu = time.perf_counter(), time.process_time()
    if what == "split":
        splitting = _Split(client)
        await splitting.start()
        await _pull(client, StreamKind.RAW, count, splitting)
    else:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            delivering = _Deliver(client, session, target)
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(delivering.post_all()) for _ in range(AT_ONCE)]
                await _pull(client, StreamKind.EVENTS, count, delivering)
                await delivering.join()
                for worker in workers:
                    worker.cancel()
    await client.flush()
    result = {
        "items": count,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
    }
    print(json.dumps(result))
    await client.close()


if __name__ == "__main__":
    _, _what, _url, _count, *_rest = sys.argv
    uvloop.run(_run(_what, _url, int(_count), *_rest))
