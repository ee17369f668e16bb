"""A shared receiver with 10,000 endpoints: small, and a change of its table stops nobody."""

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator, Sequence

import psutil
import pytest
import pytest_asyncio

from forebay.core.tables import ReceiverRoute
from support.inputs.flood import Sending, flooding
from support.receiver.many_routes import FILE_LIMIT, FILES, many_routes, path_to, write_many
from support.receiver.raw_http import connect, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, path_of, signed
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 10_000
ROOM = 60 * 1024 * 1024
"""Bytes that 10,000 endpoints may take."""

IN_FORCE_SECONDS = 2.0
PAUSE_SECONDS = 0.1
"""An answer that takes so much longer while the table changes than before would show a pause; done
in one go, reading and changing it took 0.3 s."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver of this module."""
    async with ReceiverHarness(tmp_path_factory.mktemp("many")) as running:
        yield running


async def in_force(receiver: ReceiverHarness, generation: str) -> bool:
    shown = json.loads((await receiver.part.admin("/routes")).body)
    return generation in shown["generations"].values()


async def use_all(receiver: ReceiverHarness, routes: Sequence[ReceiverRoute]) -> int:
    """Send one webhook to each endpoint, so that it is used; returns how many were stored."""
    body = b'{"object": "whatsapp_business_account"}'
    stored = 0
    for start in range(0, len(routes), 200):
        batch = routes[start : start + 200]
        async with connect(receiver.part.port) as connection:
            await connection.send(b"".join(_to(route, body) for route in batch))
            for _ in batch:
                stored += (await connection.response()).status == 200
    return stored


def _to(route: ReceiverRoute, body: bytes) -> bytes:
    headers = signed(body)
    if route.authentication.headers:
        (check,) = route.authentication.headers
        headers = {check.name: check.values[0]}
    return request_bytes("POST", path_to(route), headers=headers, body=body)


def memory(receiver: ReceiverHarness) -> int:
    return int(psutil.Process(receiver.part.pid).memory_info().rss)


async def test_ten_thousand_endpoints_take_less_than_60_mib_and_change_without_a_pause(
    receiver: ReceiverHarness,
) -> None:
    tables, routes = receiver.stack.tables, many_routes(MANY)
    few = write_many(tables, routes[:10])
    await eventually(lambda: in_force(receiver, few), within=5, saying="ten endpoints to be served")
    assert await use_all(receiver, routes[:10]) == 10
    at_rest = memory(receiver)

    # All of them, each used once: what is made for its first webhook counts too.
    generation = write_many(tables, routes)
    sizes = [file.stat().st_size for file in tables.receiver_folder.glob("routes-*.json")]
    assert (len(sizes), max(sizes) < FILE_LIMIT) == (FILES, True)
    await eventually(lambda: in_force(receiver, generation), within=10, saying="all to be served")
    assert await use_all(receiver, routes) == MANY
    assert memory(receiver) - at_rest < ROOM

    # Webhooks are sent by a process of their own: making a table takes this one's time.
    calm: list[tuple[float, float]] = []
    changes: list[tuple[float, float]] = []
    async with steady(receiver) as sending:
        for secret in ("first", "second", "third"):
            before = time.monotonic()
            changed = await asyncio.to_thread(many_routes, MANY, secret=secret)
            began = time.monotonic()
            calm.append((before, began))
            await asyncio.to_thread(write_many, tables, changed)
            await eventually(
                functools.partial(takes, receiver, routes[0], secret),
                within=IN_FORCE_SECONDS,
                saying="the change to be in force",
            )
            assert (await receiver.part.admin("/metrics")).status == 200
            changes.append((began, time.monotonic()))
        flood = await sending.stop()
    assert flood.statuses.keys() == {200}
    pauses = [slowest for each in changes if (slowest := flood.slowest(*each))]
    assert len(pauses) > 1
    # The least of them: what else the machine does hits one or the other, a pause of ours hits all.
    assert min(pauses) < max(flood.slowest(*each) for each in calm) + PAUSE_SECONDS
    assert memory(receiver) - at_rest < ROOM


def steady(receiver: ReceiverHarness) -> contextlib.AbstractAsyncContextManager[Sending]:
    """Send webhooks beside the block to an endpoint that no change touches."""
    return flooding(receiver.part.port, path_of("open"), seconds=30, connections=1, pause=0.001)


async def takes(receiver: ReceiverHarness, route: ReceiverRoute, secret: str) -> bool:
    body = receiver.new_body()
    return (await receiver.post(body, signed(body, secret), path=path_to(route))).status == 200
