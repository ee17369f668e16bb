"""Hundreds of clients that are slow, idle or too many: webhooks are served, and nothing is left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import psutil
import pytest
import pytest_asyncio

from support.inputs.tables import PATH
from support.programs.ports import HOST
from support.receiver.raw_http import RawConnection, connect, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, path_of, signed
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

EACH = 80
"""Slow clients of each kind."""

MAX_CONNECTIONS = 6 * EACH
HELD_BYTES = 1_500_000
"""Half of it is for bodies that are being read."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver that this module's slow clients have for themselves."""
    settings = {
        "FOREBAY_RECEIVER_BODY_SECONDS": "4",
        "FOREBAY_RECEIVER_IDLE_SECONDS": "4",
        "FOREBAY_RECEIVER_MAX_CONNECTIONS": str(MAX_CONNECTIONS),
        "FOREBAY_RECEIVER_MAX_BODY_BYTES": "500000",
        "FOREBAY_RECEIVER_MAX_IN_FLIGHT_BYTES": str(HELD_BYTES),
    }
    async with ReceiverHarness(tmp_path_factory.mktemp("slow"), **settings) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds that could leak."""

    connections: float
    tasks: float
    threads: int
    files: int
    bytes_held: float


async def footprint(receiver: ReceiverHarness) -> Footprint:
    process = psutil.Process(receiver.part.pid)
    return Footprint(
        connections=await receiver.part.metric("forebay_receiver_connections"),
        tasks=await receiver.part.metric("forebay_receiver_tasks"),
        threads=process.num_threads(),
        files=process.num_fds(),
        bytes_held=await receiver.part.metric("forebay_receiver_in_flight_bytes"),
    )


async def warmed_up(receiver: ReceiverHarness) -> Footprint:
    """Return what the receiver holds at rest, once everything was used that stays for good."""
    assert (await receiver.post(receiver.new_body())).status == 200
    assert (await receiver.get("/")).status == 404
    await eventually(lambda: is_at_rest(receiver), within=5, saying="no connection to be open")
    return await footprint(receiver)


async def is_at_rest(receiver: ReceiverHarness) -> bool:
    return (await footprint(receiver)).connections == 0


def slow_requests() -> Iterator[bytes]:
    """Return what each slow client sends; the last byte of it comes again and again."""
    head = request_bytes("POST", PATH, headers={"X-Slow": "y"})[:-4]
    for _ in range(EACH):
        yield head
        yield (
            request_bytes("POST", PATH, headers={**signed(b""), "Content-Length": "90000"})
            + b" " * 1_000
        )
        yield request_bytes("GET", "/", headers={"X-Slow": "y"})[:-4]
        yield b"POST /v1/w"
        yield b""


async def dawdle(connection: RawConnection, data: bytes) -> None:
    """Send a request that never ends, until the receiver ends it."""
    with contextlib.suppress(OSError):
        await connection.send(data)
        closing = asyncio.create_task(connection.closed(within=30))
        while not closing.done():
            if data and data[-1:] in b" y":
                await connection.send(data[-1:])
            await asyncio.wait({closing}, timeout=0.2)
        # Answered (408) or just closed: no longer served either way.
        await closing


async def test_webhooks_are_served_among_hundreds_of_slow_clients_and_nothing_is_left(
    receiver: ReceiverHarness,
) -> None:
    before = await warmed_up(receiver)
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        slow = list(slow_requests())
        connecting = (stack.enter_async_context(connect(receiver.part.port)) for _ in slow)
        for connection, data in zip(await asyncio.gather(*connecting), slow, strict=True):
            group.create_task(dawdle(connection, data))
        assert await receiver.part.metric("forebay_receiver_connections") >= 4 * EACH
        answers = [(await receiver.post(receiver.new_body())).status for _ in range(50)]
        assert answers == [200] * 50
    await eventually(
        lambda: is_as(receiver, before), within=8, saying=f"the receiver to be {before}"
    )


async def is_as(receiver: ReceiverHarness, wanted: Footprint) -> bool:
    return await footprint(receiver) == wanted


async def test_bodies_that_are_being_read_have_a_limit_in_bytes(receiver: ReceiverHarness) -> None:
    before, count = await warmed_up(receiver), 20
    refused = await receiver.refused("overloaded") + await receiver.refused("endpoint_overloaded")
    headers = {**signed(b""), "Content-Length": "100001"}
    request = request_bytes("POST", PATH, headers=headers) + b" " * 100_000
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            connection = await stack.enter_async_context(connect(receiver.part.port))
            await connection.send(request)
        held = await receiver.part.metric("forebay_receiver_in_flight_bytes")
        # Who is whole needs no place among those who are being read.
        assert (await receiver.post(receiver.new_body())).status == 200
    assert 0 < held <= HELD_BYTES / 2
    now = await receiver.refused("overloaded") + await receiver.refused("endpoint_overloaded")
    assert now - refused >= count - HELD_BYTES / 2 / 100_000
    await eventually(
        lambda: is_as(receiver, before), within=5, saying=f"the receiver to be {before}"
    )


async def test_bodies_that_wait_behind_another_count_too(receiver: ReceiverHarness) -> None:
    await warmed_up(receiver)
    first = receiver.new_body()
    bodies = [b" " * 200_000 for _ in range(10)]
    receiver.stack.nats_server.freeze()
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", PATH, headers=signed(first), body=first))
        sending = asyncio.create_task(
            connection.send(
                b"".join(request_bytes("POST", path_of("open"), body=b) for b in bodies)
            )
        )
        await eventually(lambda: holds(receiver, 1), saying="bodies to wait")
        assert await receiver.part.metric("forebay_receiver_in_flight_bytes") <= HELD_BYTES / 2
        receiver.stack.nats_server.thaw()
        statuses = [(await connection.response()).status]
        with contextlib.suppress(EOFError, ConnectionError):
            while len(statuses) <= len(bodies):
                statuses.append((await connection.response()).status)
        sending.cancel()
    assert statuses[0] == 200
    assert set(statuses) <= {200, 503}
    await eventually(lambda: is_at_rest(receiver), within=5, saying="no connection to be open")
    assert await receiver.part.metric("forebay_receiver_in_flight_bytes") == 0


async def holds(receiver: ReceiverHarness, size: int) -> bool:
    return await receiver.part.metric("forebay_receiver_in_flight_bytes") >= size


async def test_a_connection_too_many_is_503_and_those_before_are_served(
    receiver: ReceiverHarness,
) -> None:
    before = await warmed_up(receiver)
    refused = await receiver.refused("too_many_connections")
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(connect(receiver.part.port))
        others = []
        for _ in range(MAX_CONNECTIONS - 1):
            reader, writer = await asyncio.open_connection(HOST, receiver.part.port)
            stack.callback(writer.close)
            others.append(reader)
        await eventually(lambda: has_open(receiver, MAX_CONNECTIONS), saying="all to be taken")
        for _ in range(3):
            async with connect(receiver.part.port) as connection:
                answer = await connection.response(within=2)
                assert (answer.status, answer.headers["connection"]) == (503, "close")
                assert 1 <= int(answer.headers["retry-after"]) <= 30
        body = receiver.new_body()
        await first.send(request_bytes("POST", PATH, headers=signed(body), body=body))
        assert (await first.response()).status == 200
    assert await receiver.refused("too_many_connections") == refused + 3
    await eventually(
        lambda: is_as(receiver, before), within=5, saying=f"the receiver to be {before}"
    )
    assert (await receiver.post(receiver.new_body())).status == 200


async def has_open(receiver: ReceiverHarness, count: int) -> bool:
    return await receiver.part.metric("forebay_receiver_connections") == count


async def test_an_idle_connection_is_closed_and_a_busy_one_is_kept(
    receiver: ReceiverHarness,
) -> None:
    async with connect(receiver.part.port) as idle, connect(receiver.part.port) as busy:
        closing = asyncio.create_task(idle.closed(within=8))
        while not closing.done():
            body = receiver.new_body()
            await busy.send(request_bytes("POST", PATH, headers=signed(body), body=body))
            assert (await busy.response()).status == 200
            await asyncio.wait({closing}, timeout=0.5)
        assert await closing
