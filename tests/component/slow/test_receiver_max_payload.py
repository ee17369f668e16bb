"""A NATS that takes no large messages is told of, hurts no neighbour, and costs no connection."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.edge import Edge, path_of
from support.nats_server import NatsServer
from support.raw_http import connect, request_bytes
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_PAYLOAD = 64 * 1024
ENOUGH = 8 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give a receiver whose NATS takes small messages only."""
    folder = tmp_path_factory.mktemp("payload")
    server = NatsServer(folder / "nats", max_payload=MAX_PAYLOAD)
    async with Edge(folder, server) as running:
        running.receiver.expect_errors("max_payload_too_small")
        yield running


async def warnings(edge: Edge, path: str = "/readyz") -> list[str]:
    told: list[str] = json.loads((await edge.receiver.admin(path)).body)["warnings"]
    return told


async def connections_made(edge: Edge) -> int:
    return len(edge.receiver.logged("nats_connected"))


async def test_it_is_told_in_the_log_on_the_admin_port_and_as_a_metric(edge: Edge) -> None:
    (warning,) = await warnings(edge)
    assert f"max_payload of NATS is {MAX_PAYLOAD}" in warning
    assert "set it to 4227072 or more" in warning
    assert await warnings(edge, "/routes") == [warning]
    assert {each["reason"] for each in edge.receiver.logged("max_payload_too_small")} == {warning}
    assert (await edge.receiver.admin("/readyz")).status == 200
    told = await edge.receiver.metric("forebay_receiver_nats_max_payload_bytes")
    assert told == MAX_PAYLOAD


@pytest.mark.parametrize("size", [MAX_PAYLOAD, MAX_PAYLOAD - 10, 1024 * 1024])
async def test_a_larger_body_is_503_and_its_neighbours_are_stored(edge: Edge, size: int) -> None:
    before, connections = await edge.refused("above_max_payload"), await connections_made(edge)
    large = edge.post(b" " * size, {}, path=path_of("open"))
    small = [edge.post(edge.new_body()) for _ in range(20)]
    answer, *others = await asyncio.gather(large, *small)
    assert (answer.status, answer.body) == (503, b"")
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert {other.status for other in others} == {200}
    assert await edge.refused("above_max_payload") == before + 1
    # nats-server ends a connection that sends more than it takes, with all that is in flight.
    assert await connections_made(edge) == connections
    assert await edge.receiver.metric("forebay_receiver_nats_connected") == 1


async def test_a_larger_body_that_is_announced_is_503_before_it_is_sent(edge: Edge) -> None:
    headers = {"Content-Length": str(MAX_PAYLOAD + 1)}
    async with edge.nothing_stored(), connect(edge.receiver.port) as connection:
        await connection.send(request_bytes("POST", path_of("open"), headers=headers))
        assert (await connection.response(within=2)).status == 503
        assert await connection.closed()


async def test_a_server_that_was_mended_is_noticed_on_reconnecting(edge: Edge) -> None:
    body = b" " * (2 * MAX_PAYLOAD)
    assert (await edge.post(body, {}, path=path_of("open"))).status == 503
    server = edge.stack.nats_server
    server.max_payload = ENOUGH
    await server.restart()

    async def is_fine() -> bool:
        return await edge.receiver.metric("forebay_receiver_nats_max_payload_bytes") == ENOUGH

    await eventually(is_fine, saying="the receiver to reconnect")
    assert await warnings(edge) == []
    assert (await edge.post(body, {}, path=path_of("open"))).status == 200
    before = len(edge.receiver.logged("max_payload_too_small"))
    server.max_payload = MAX_PAYLOAD
    await server.restart()

    async def is_told() -> bool:
        return len(edge.receiver.logged("max_payload_too_small")) == before + 1

    await eventually(is_told, saying="the receiver to tell it again")
    assert len(await warnings(edge)) == 1
