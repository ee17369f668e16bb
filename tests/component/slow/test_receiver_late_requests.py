"""A request that is half read is late by itself, whatever else its connection brings."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.inputs.tables import PATH
from support.receiver.raw_http import connect, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, signed
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALF = request_bytes("POST", PATH, headers={**signed(b""), "Content-Length": "1000"}) + b" " * 999
HALF_HEAD = request_bytes("POST", PATH, headers=signed(b""))[:-2]
HALVES = pytest.mark.parametrize("half", [HALF, HALF_HEAD], ids=["body", "head"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver that gives a request little time to come, and much to be stored."""
    settings = {
        "FOREBAY_RECEIVER_BODY_SECONDS": "0.5",
        "FOREBAY_RECEIVER_BUDGET_SECONDS": "20",
        "FOREBAY_RECEIVER_IDLE_SECONDS": "60",
    }
    async with ReceiverHarness(tmp_path_factory.mktemp("late"), **settings) as running:
        yield running


async def lets_all_go(receiver: ReceiverHarness) -> bool:
    return await receiver.part.metric("forebay_receiver_in_flight_bytes") == 0


async def has_late(receiver: ReceiverHarness, count: float) -> bool:
    return await receiver.refused("too_slow") == count


@HALVES
async def test_it_is_late_behind_requests_that_were_answered(
    receiver: ReceiverHarness, half: bytes
) -> None:
    whole = receiver.new_body()
    first = request_bytes("POST", PATH, headers=signed(whole), body=whole)
    async with connect(receiver.part.port) as connection:
        await connection.send(first * 3 + half)
        # Not after the minute that an idle connection has.
        answers = [(await connection.response(within=10)).status for _ in range(4)]
        assert answers == [200, 200, 200, 408]
        assert await connection.closed()
    await eventually(lambda: lets_all_go(receiver), saying="it to be let go")


@HALVES
async def test_it_is_late_while_another_one_is_being_stored(
    receiver: ReceiverHarness, half: bytes
) -> None:
    before = await receiver.refused("too_slow")
    whole = receiver.new_body()
    first = request_bytes("POST", PATH, headers=signed(whole), body=whole)
    async with connect(receiver.part.port) as connection:
        receiver.stack.nats_server.freeze()
        try:
            await connection.send(first + half)
            await eventually(
                lambda: has_late(receiver, before + 1), saying="the second one to be late"
            )
            await eventually(
                lambda: holds_the_first(receiver, len(whole)), saying="it to be let go"
            )
        finally:
            receiver.stack.nats_server.thaw()
        assert [(await connection.response()).status for _ in range(2)] == [200, 408]
        assert await connection.closed()


async def holds_the_first(receiver: ReceiverHarness, size: int) -> bool:
    return await receiver.part.metric("forebay_receiver_in_flight_bytes") == size


async def test_one_that_is_whole_is_not_late_while_it_waits(receiver: ReceiverHarness) -> None:
    requests = []
    for _ in range(3):
        body = receiver.new_body()
        requests.append(request_bytes("POST", PATH, headers=signed(body), body=body))
    async with connect(receiver.part.port) as connection:
        receiver.stack.nats_server.freeze()
        try:
            await connection.send(b"".join(requests)[:-1])
            await connection.send(b"".join(requests)[-1:])
            assert not await connection.closed(within=1.5)
        finally:
            receiver.stack.nats_server.thaw()
        assert [(await connection.response()).status for _ in range(3)] == [200] * 3
