"""Bodies that are half read have a small share for each endpoint.

Two tenants on one receiver as it is shipped: one leaves 16 bodies of nearly 4 MiB unfinished behind
other requests of their connections, the other one's large webhooks are stored all the same.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.receiver.raw_http import RawConnection, connect, request_bytes
from support.receiver.receiver_harness import TOKEN, ReceiverHarness, path_of, signed
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGEST = 4 * 1024 * 1024
SHARE = 8 * 1024 * 1024
"""An eighth of half of 128 MiB."""

CONNECTIONS = 16
BEFORE = 15
"""Whole posts that stand before a half one on its connection."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver with the limits that it is shipped with."""
    async with ReceiverHarness(tmp_path_factory.mktemp("half")) as running:
        yield running


async def held(receiver: ReceiverHarness) -> float:
    return await receiver.part.metric("forebay_receiver_in_flight_bytes")


async def holds_nothing(receiver: ReceiverHarness) -> bool:
    return await held(receiver) == 0


@contextlib.asynccontextmanager
async def half_read(
    receiver: ReceiverHarness, name: str, headers: dict[str, str]
) -> AsyncIterator[None]:
    """Leave bodies unfinished behind other requests on many connections."""
    whole = request_bytes("POST", path_of(name), headers=headers, body=b"{}")
    half = request_bytes("POST", path_of(name), headers={**headers, "Content-Length": str(LARGEST)})
    data = whole * BEFORE + half + b" " * (LARGEST - 1)

    async def begin(connection: RawConnection) -> None:
        with contextlib.suppress(OSError):
            await connection.send(data)

    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            connection = await stack.enter_async_context(connect(receiver.part.port))
            group.create_task(begin(connection))
        yield


async def post_large(receiver: ReceiverHarness) -> int:
    body = receiver.new_body().ljust(3_000_000)
    return (await receiver.post(body, signed(body))).status


async def test_a_tenant_s_half_bodies_do_not_refuse_another_s_large_webhooks(
    receiver: ReceiverHarness,
) -> None:
    await eventually(lambda: holds_nothing(receiver), saying="nothing to be half read")
    before = await receiver.refused("overloaded")
    async with half_read(receiver, "open", {}):
        await eventually(lambda: holds_at_least(receiver, LARGEST), saying="bodies to be half read")
        for _ in range(5):
            assert await post_large(receiver) == 200
            assert await held(receiver) <= SHARE
    assert await receiver.refused("overloaded") == before
    assert await receiver.refused("endpoint_overloaded") > 0
    await eventually(lambda: holds_nothing(receiver), saying="all to be let go")


async def holds_at_least(receiver: ReceiverHarness, size: int) -> bool:
    return await held(receiver) >= size


async def test_a_stranger_with_a_wrong_secret_holds_nothing(receiver: ReceiverHarness) -> None:
    await eventually(lambda: holds_nothing(receiver), saying="nothing to be half read")
    wrong = {"Authorization": TOKEN + "x"}
    before = await receiver.refused("header_wrong")
    async with half_read(receiver, "d360", wrong):
        await eventually(
            lambda: is_refused(receiver, before + CONNECTIONS * (BEFORE + 1)),
            saying="each of them to be refused",
        )
        assert await held(receiver) == 0
        assert await post_large(receiver) == 200


async def is_refused(receiver: ReceiverHarness, count: float) -> bool:
    return await receiver.refused("header_wrong") >= count
