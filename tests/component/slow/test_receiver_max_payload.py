"""A NATS that takes no large messages is reported, hurts no neighbour, and costs no connection."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.nats.nats_server import NatsServer
from support.receiver.raw_http import connect, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, path_of
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_PAYLOAD = 64 * 1024
ENOUGH = 8 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver whose NATS takes small messages only."""
    folder = tmp_path_factory.mktemp("payload")
    server = NatsServer(folder / "nats", max_payload=MAX_PAYLOAD)
    async with ReceiverHarness(folder, server) as running:
        running.part.expect_errors("max_payload_too_small")
        yield running


async def warnings(receiver: ReceiverHarness, path: str = "/readyz") -> list[str]:
    reported: list[str] = json.loads((await receiver.part.admin(path)).body)["warnings"]
    return reported


async def connections_made(receiver: ReceiverHarness) -> int:
    return len(receiver.part.logged("nats_connected"))


async def test_it_is_reported_in_the_log_on_the_admin_port_and_as_a_metric(
    receiver: ReceiverHarness,
) -> None:
    (warning,) = await warnings(receiver)
    assert f"max_payload of NATS is {MAX_PAYLOAD}" in warning
    assert "set it to 4227072 or more" in warning
    assert await warnings(receiver, "/routes") == [warning]
    assert {each["reason"] for each in receiver.part.logged("max_payload_too_small")} == {warning}
    assert (await receiver.part.admin("/readyz")).status == 200
    reported = await receiver.part.metric("forebay_receiver_nats_max_payload_bytes")
    assert reported == MAX_PAYLOAD


@pytest.mark.parametrize("size", [MAX_PAYLOAD, MAX_PAYLOAD - 10, 1024 * 1024])
async def test_a_larger_body_is_503_and_its_neighbours_are_stored(
    receiver: ReceiverHarness, size: int
) -> None:
    before, connections = (
        await receiver.refused("above_max_payload"),
        await connections_made(receiver),
    )
    large = receiver.post(b" " * size, {}, path=path_of("open"))
    small = [receiver.post(receiver.new_body()) for _ in range(20)]
    answer, *others = await asyncio.gather(large, *small)
    assert (answer.status, answer.body) == (503, b"")
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert {other.status for other in others} == {200}
    assert await receiver.refused("above_max_payload") == before + 1
    # nats-server ends a connection that sends more than it takes, with all that is in flight.
    assert await connections_made(receiver) == connections
    assert await receiver.part.metric("forebay_receiver_nats_connected") == 1


async def test_a_larger_body_that_is_announced_is_503_before_it_is_sent(
    receiver: ReceiverHarness,
) -> None:
    headers = {"Content-Length": str(MAX_PAYLOAD + 1)}
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", path_of("open"), headers=headers))
        assert (await connection.response(within=2)).status == 503
        assert await connection.closed()


async def test_a_server_that_was_mended_is_noticed_on_reconnecting(
    receiver: ReceiverHarness,
) -> None:
    body = b" " * (2 * MAX_PAYLOAD)
    assert (await receiver.post(body, {}, path=path_of("open"))).status == 503
    server = receiver.stack.nats_server
    server.max_payload = ENOUGH
    await server.restart()

    async def is_fine() -> bool:
        return await receiver.part.metric("forebay_receiver_nats_max_payload_bytes") == ENOUGH

    await eventually(is_fine, saying="the receiver to reconnect")
    assert await warnings(receiver) == []
    assert (await receiver.post(body, {}, path=path_of("open"))).status == 200
    before = len(receiver.part.logged("max_payload_too_small"))
    server.max_payload = MAX_PAYLOAD
    await server.restart()

    async def is_reported() -> bool:
        return len(receiver.part.logged("max_payload_too_small")) == before + 1

    await eventually(is_reported, saying="the receiver to report it again")
    assert len(await warnings(receiver)) == 1
