"""Bodies that are half read have a small share for each endpoint.

Two tenants on one receiver as it is shipped: one leaves 16 bodies of nearly 4 MiB unfinished behind
other requests of their connections, the other one's large webhooks are stored all the same.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.edge import TOKEN, Edge, path_of, signed
from support.raw_http import RawConnection, connect, request_bytes
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGEST = 4 * 1024 * 1024
SHARE = 8 * 1024 * 1024
"""An eighth of half of 128 MiB."""

CONNECTIONS = 16
BEFORE = 15
"""Whole posts that stand before a half one on its connection."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give a receiver with the limits that it is shipped with."""
    async with Edge(tmp_path_factory.mktemp("half")) as running:
        yield running


async def held(edge: Edge) -> float:
    return await edge.receiver.metric("forebay_receiver_in_flight_bytes")


async def holds_nothing(edge: Edge) -> bool:
    return await held(edge) == 0


@contextlib.asynccontextmanager
async def half_read(edge: Edge, name: str, headers: dict[str, str]) -> AsyncIterator[None]:
    """Leave bodies unfinished behind other requests on many connections."""
    whole = request_bytes("POST", path_of(name), headers=headers, body=b"{}")
    half = request_bytes("POST", path_of(name), headers={**headers, "Content-Length": str(LARGEST)})
    data = whole * BEFORE + half + b" " * (LARGEST - 1)

    async def begin(connection: RawConnection) -> None:
        with contextlib.suppress(OSError):
            await connection.send(data)

    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            connection = await stack.enter_async_context(connect(edge.receiver.port))
            group.create_task(begin(connection))
        yield


async def post_large(edge: Edge) -> int:
    body = edge.new_body().ljust(3_000_000)
    return (await edge.post(body, signed(body))).status


async def test_a_tenant_s_half_bodies_do_not_refuse_another_s_large_webhooks(edge: Edge) -> None:
    await eventually(lambda: holds_nothing(edge), saying="nothing to be half read")
    before = await edge.refused("overloaded")
    async with half_read(edge, "open", {}):
        await eventually(lambda: holds_at_least(edge, LARGEST), saying="bodies to be half read")
        for _ in range(5):
            assert await post_large(edge) == 200
            assert await held(edge) <= SHARE
    assert await edge.refused("overloaded") == before
    assert await edge.refused("endpoint_overloaded") > 0
    await eventually(lambda: holds_nothing(edge), saying="all to be let go")


async def holds_at_least(edge: Edge, size: int) -> bool:
    return await held(edge) >= size


async def test_a_stranger_with_a_wrong_secret_holds_nothing(edge: Edge) -> None:
    await eventually(lambda: holds_nothing(edge), saying="nothing to be half read")
    wrong = {"Authorization": TOKEN + "x"}
    before = await edge.refused("header_wrong")
    async with half_read(edge, "d360", wrong):
        await eventually(
            lambda: is_refused(edge, before + CONNECTIONS * (BEFORE + 1)),
            saying="each of them to be refused",
        )
        assert await held(edge) == 0
        assert await post_large(edge) == 200


async def is_refused(edge: Edge, count: float) -> bool:
    return await edge.refused("header_wrong") >= count
