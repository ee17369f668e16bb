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
from support.edge import Edge, path_of, signed
from support.flood import Sending, flooding
from support.many_routes import FILE_LIMIT, FILES, many_routes, path_to, write_many
from support.raw_http import connect, request_bytes
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 10_000
ROOM = 60 * 1024 * 1024
"""Bytes that 10,000 endpoints may take."""

IN_FORCE_SECONDS = 2.0
PAUSE_SECONDS = 0.1
"""An answer that takes so much longer while the table changes than before would show a pause; done
in one go, reading and changing it took 0.3 s."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give a receiver of this module."""
    async with Edge(tmp_path_factory.mktemp("many")) as running:
        yield running


async def in_force(edge: Edge, generation: str) -> bool:
    told = json.loads((await edge.receiver.admin("/routes")).body)
    return generation in told["generations"].values()


async def use_all(edge: Edge, routes: Sequence[ReceiverRoute]) -> int:
    """Send one webhook to each endpoint, so that it is used; returns how many were stored."""
    body = b'{"object": "whatsapp_business_account"}'
    stored = 0
    for start in range(0, len(routes), 200):
        batch = routes[start : start + 200]
        async with connect(edge.receiver.port) as connection:
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


def memory(edge: Edge) -> int:
    return int(psutil.Process(edge.receiver.pid).memory_info().rss)


async def test_ten_thousand_endpoints_take_less_than_60_mib_and_change_without_a_pause(
    edge: Edge,
) -> None:
    tables, routes = edge.stack.tables, many_routes(MANY)
    few = write_many(tables, routes[:10])
    await eventually(lambda: in_force(edge, few), within=5, saying="ten endpoints to be served")
    assert await use_all(edge, routes[:10]) == 10
    at_rest = memory(edge)

    # All of them, each used once: what is made for its first webhook counts too.
    generation = write_many(tables, routes)
    sizes = [file.stat().st_size for file in tables.receiver_folder.glob("routes-*.json")]
    assert (len(sizes), max(sizes) < FILE_LIMIT) == (FILES, True)
    await eventually(lambda: in_force(edge, generation), within=10, saying="all to be served")
    assert await use_all(edge, routes) == MANY
    assert memory(edge) - at_rest < ROOM

    # Webhooks are sent by a process of their own: making a table takes this one's time.
    calm: list[tuple[float, float]] = []
    changes: list[tuple[float, float]] = []
    async with steady(edge) as sending:
        for secret in ("first", "second", "third"):
            before = time.monotonic()
            changed = await asyncio.to_thread(many_routes, MANY, secret=secret)
            began = time.monotonic()
            calm.append((before, began))
            await asyncio.to_thread(write_many, tables, changed)
            await eventually(
                functools.partial(takes, edge, routes[0], secret),
                within=IN_FORCE_SECONDS,
                saying="the change to be in force",
            )
            assert (await edge.receiver.admin("/metrics")).status == 200
            changes.append((began, time.monotonic()))
        flood = await sending.stop()
    assert flood.statuses.keys() == {200}
    pauses = [slowest for each in changes if (slowest := flood.slowest(*each))]
    assert len(pauses) > 1
    # The least of them: what else the machine does hits one or the other, a pause of ours hits all.
    assert min(pauses) < max(flood.slowest(*each) for each in calm) + PAUSE_SECONDS
    assert memory(edge) - at_rest < ROOM


def steady(edge: Edge) -> contextlib.AbstractAsyncContextManager[Sending]:
    """Send webhooks beside the block to an endpoint that no change touches."""
    return flooding(edge.receiver.port, path_of("open"), seconds=30, connections=1, pause=0.001)


async def takes(edge: Edge, route: ReceiverRoute, secret: str) -> bool:
    body = edge.new_body()
    return (await edge.post(body, signed(body, secret), path=path_to(route))).status == 200
