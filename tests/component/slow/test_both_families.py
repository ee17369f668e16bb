"""Every part listens on and connects by IPv6 and IPv4; a host without IPv6 does as before."""

import asyncio
import contextlib
import gc
import http.client
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from forebay.local.addresses import Address, check_free
from forebay.runtime.event_loop import PartLoop
from forebay.runtime.jetstream.link import NatsLink
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.process_start import open_listener
from forebay.runtime.settings import NatsSettings
from forebay_processor.settings import ProcessorSettings
from forebay_receiver.settings import ReceiverSettings
from support.inputs.tables import PATH, endpoint, http_destination, route
from support.nats.nats_server import NatsServer
from support.processor.processor_harness import token, webhook
from support.programs.dead_command import PERSON
from support.programs.ports import HOST, free_port
from support.programs.python_process import python
from support.programs.stack import Stack
from support.receiver.raw_http import RawResponse, connect, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually

BOTH = (HOST, "::1")

needs_ipv6 = pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="NOT RUN: this host has no IPv6"
)


@contextlib.asynccontextmanager
async def sink_at(host: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Give a destination at an address, and the heads of what came."""
    heads: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                (length,) = (
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(length)
                heads.append(head)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, host, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://[{host}]:{port}/", heads


async def run_simulation(*arguments: str) -> tuple[int, str, str]:
    ended = await python("-m", "forebay", "simulate", "--json", *arguments).ended()
    return ended.code, ended.out, ended.err


async def ask(host: str, port: int, request: bytes) -> RawResponse:
    async with connect(port, host) as connection:
        await connection.send(request)
        return await connection.response()


@needs_ipv6
async def test_every_part_listens_and_connects_by_both(tmp_path: Path) -> None:
    nats = NatsServer(tmp_path / "nats", host="::1")
    async with Stack(tmp_path, nats_server=nats) as stack, sink_at("::1") as (url, heads):
        stack.tables.write_routes(route())
        stack.tables.write_endpoints(endpoint(http_destination(url)))
        receiver = await stack.receiver(
            FOREBAY_RECEIVER_HOST=ReceiverSettings().host,
            FOREBAY_RECEIVER_ADMIN_HOST=ReceiverSettings().admin_host,
        )
        processor = await stack.processor(
            FOREBAY_PROCESSOR_ADMIN_HOST=ProcessorSettings().admin_host,
            FOREBAY_PROCESSOR_ALLOWED_NETWORKS="::1/128",
        )
        for number, host in enumerate(BOTH):
            body = webhook((f"wamid.{number}", PERSON))
            request = request_bytes("POST", PATH, headers=signed(body), body=body)
            assert (await ask(host, receiver.port, request)).status == 200
            for part in (receiver, processor):
                ready = request_bytes("GET", "/readyz", headers={"Connection": "close"})
                assert (await ask(host, part.admin_port, ready)).status == 200
        await eventually(lambda: len(heads) == len(BOTH), saying="both items to arrive")
        assert {token(f"wamid.{number}") in b"".join(heads).decode() for number in (0, 1)} == {True}
        (connected,) = receiver.logged("nats_connected")
        assert connected["server"] == f"[::1]:{nats.port}"


@needs_ipv6
async def test_the_simulator_sends_to_an_address_of_ipv6() -> None:
    async with sink_at("::1") as (url, heads):
        code, out, _ = await run_simulation("--url", url, "--rate", "50", "--duration", "0.2")
    assert code == 0, out
    assert all(f"Host: {url[7:-1]}".encode() in head for head in heads)


@pytest.mark.parametrize("host", ["::", HOST, pytest.param("::1", marks=needs_ipv6)])
async def test_the_url_that_a_run_prints_works(host: str) -> None:
    address = Address(host, free_port())
    check_free(address, "--port")
    with open_listener(address.host, address.port):
        got = http.client.HTTPConnection(address.url.removeprefix("http://"), timeout=5)
        got.connect()
        got.close()


@needs_ipv6
@pytest.mark.parametrize("host", BOTH)
def test_all_addresses_are_those_of_both_families(host: str) -> None:
    with open_listener("::", 0) as listener:
        socket.create_connection((host, listener.getsockname()[1]), timeout=5).close()


def test_a_host_without_ipv6_listens_on_ipv4() -> None:
    with open_listener("::", 0, has_both=False) as listener:
        assert listener.family == socket.AF_INET
        socket.create_connection((HOST, listener.getsockname()[1]), timeout=5).close()


def on_part_loop(work: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # a coroutine
    """Run something on the parts' loop; returns what nobody retrieved."""
    left: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: left.append(context))
        await work
        gc.collect()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=PartLoop) as runner:
        runner.run(watched())
    gc.collect()
    return left


def test_of_a_name_with_two_addresses_the_one_that_answers_is_taken() -> None:
    async def work() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            # `localhost` is ::1 too, where nobody listens.
            _, writer = await asyncio.open_connection("localhost", port)
            assert writer.get_extra_info("peername")[0] == HOST
            writer.close()

    assert on_part_loop(work()) == []


class Deaf:
    """A listener that does nothing."""

    async def connected(self, client: object) -> None:
        """Take a client."""

    def reconnected(self) -> None:
        """Go on."""

    def disconnected(self) -> None:
        """Stop."""


def test_who_gives_up_while_a_name_is_resolved_leaves_no_future_alone() -> None:
    names = ",".join(f"nats://nats-{number}.invalid:4222" for number in range(3))
    settings = NatsSettings(url=names)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            tasks = [
                asyncio.create_task(Publisher(settings, "test").run()),
                asyncio.create_task(NatsLink(settings, "test", Deaf()).run()),
            ]
            # Until the resolver's thread has the name; it is not back within so few turns.
            for _ in range(3):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            _, pending = await asyncio.wait(tasks, timeout=10)
            assert not pending, "who was told to give up goes on"
        # As many as the resolver has threads: whatever was asked before is answered.
        asked = [loop.getaddrinfo(f"last-{number}.invalid", 1) for number in range(8)]
        await asyncio.gather(*asked, return_exceptions=True)

    assert on_part_loop(work()) == []
