"""How a receiver starts without what it needs, and how it leaves."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.inputs.tables import PATH, route
from support.programs.ports import HOST
from support.programs.processes import Part
from support.programs.stack import Stack
from support.receiver.raw_http import RawResponse, connect, exchange, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, signed
from support.timing.wait import eventually


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Give a stack in which nothing runs yet."""
    return Stack(tmp_path)


@pytest.fixture
async def alone(stack: Stack) -> AsyncIterator[Part]:
    """Give a receiver of that stack, not started."""
    part = stack.part("receiver", FOREBAY_RECEIVER_DRAIN_SECONDS="0")
    yield part
    await part.close()
    if stack.nats_server.running:
        await stack.nats_server.kill()


async def post(part: Part) -> RawResponse:
    """Send a webhook."""
    return await exchange(part.port, request_bytes("POST", PATH, headers=signed(b"{}"), body=b"{}"))


async def waits_for(part: Part, *what: str) -> bool:
    return await waiting_for(part) == list(what)


async def listens(part: Part) -> bool:
    part_is_there = part.running
    try:
        async with connect(part.admin_port):
            return part_is_there
    except OSError:
        return False


async def waiting_for(part: Part) -> list[str]:
    answer = await part.admin("/readyz")
    reasons: list[str] = json.loads(answer.body)["waiting_for"]
    assert (answer.status == 503) == bool(reasons)
    return reasons


async def test_it_says_what_it_waits_for_and_serves_as_soon_as_all_is_there(
    alone: Part, stack: Stack
) -> None:
    await alone.start(until_ready=False)
    await eventually(lambda: listens(alone), saying="the receiver to listen")
    assert await waiting_for(alone) == ["a table of endpoints", "a connection to NATS"]
    assert (await alone.admin("/livez")).status == 200
    stack.tables.write_routes(route())
    await eventually(
        lambda: waits_for(alone, "a connection to NATS"), saying="the table to be loaded"
    )
    assert (await post(alone)).status == 503
    await stack.nats_server.start()
    await eventually(
        lambda: waits_for(alone, "an answer of the RAW stream"), saying="NATS to be reached"
    )
    assert (await post(alone)).status == 503
    await stack.provision()
    assert (await post(alone)).status == 200
    await alone.wait_ready(within=5)
    assert await waiting_for(alone) == []


async def assert_ends_with_2(part: Part) -> None:
    """Start a part that cannot run, and wait until it said so."""
    await part.start(until_ready=False)
    await eventually(lambda: not part.running, saying="the receiver to end")
    with pytest.raises(AssertionError, match="has ended with status 2"):
        await part.ready()


@pytest.mark.parametrize("which", ["PORT", "ADMIN_PORT"])
async def test_a_port_that_is_taken_is_one_sentence_and_exit_code_2(
    alone: Part, which: str
) -> None:
    port = alone.port if which == "PORT" else alone.admin_port
    with socket.create_server((HOST, port)):
        await assert_ends_with_2(alone)
    (line,) = alone.log.read_text().strip().splitlines()
    assert f"{HOST}:{port} cannot be listened on" in line
    assert f"set FOREBAY_RECEIVER_{which}" in line


async def test_a_setting_that_cannot_be_used_is_one_sentence_and_exit_code_2(stack: Stack) -> None:
    part = stack.part("receiver", FOREBAY_RECEIVER_BUDGET_SECONDS="soon")
    await assert_ends_with_2(part)
    (line,) = part.log.read_text().strip().splitlines()
    assert "FOREBAY_RECEIVER_BUDGET_SECONDS" in line


async def test_on_sigterm_it_serves_through_the_drain_time_and_then_leaves(tmp_path: Path) -> None:
    async with ReceiverHarness(tmp_path, FOREBAY_RECEIVER_DRAIN_SECONDS="0.5") as receiver:
        part = receiver.part
        leaving = asyncio.create_task(part.terminate())

        async def is_stopping() -> bool:
            return await waiting_for(part) == ["it is stopping"]

        await eventually(is_stopping, saying="the receiver to say that it stops")
        before = await receiver.stored()
        assert (await receiver.post(receiver.new_body())).status == 200
        assert (await part.admin("/livez")).status == 200
        assert await leaving == 0
        assert await receiver.stored() == before + 1
        assert part.logged("receiver_draining")
        assert part.logged("receiver_stopped")


async def test_a_webhook_in_flight_when_it_leaves_is_stored_and_answered(tmp_path: Path) -> None:
    async with ReceiverHarness(tmp_path) as receiver:
        body = receiver.new_body()
        request = request_bytes("POST", PATH, headers=signed(body), body=body)
        before = await receiver.stored()
        receiver.stack.nats_server.freeze()
        async with connect(receiver.part.port) as connection:
            await connection.send(request)

            async def is_in_flight() -> bool:
                load = json.loads((await receiver.part.admin("/load")).body)
                return bool(load["in_flight"] == 1)

            await eventually(is_in_flight, saying="the webhook to be in flight")
            receiver.part.send(signal.SIGINT)
            await eventually(lambda: is_closed(receiver.part), saying="the port to close")
            receiver.stack.nats_server.thaw()
            assert (await connection.response()).status == 200
        await eventually(lambda: not receiver.part.running, saying="the receiver to leave")
        assert await receiver.stored() == before + 1


async def is_closed(part: Part) -> bool:
    try:
        async with connect(part.port):
            return False
    except OSError:
        return True
