"""Connections to destinations over real sockets: when they are opened, kept, shared and ended.

What a server's answer means is in `test_http_client_as_aiohttp`. All of this is on the loop that a
processor has, but where time has to pass; what reaches a loop as an error fails the test.
"""

import asyncio
import functools
import ipaddress
import time
from typing import Final

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import Destination, HttpTarget
from forebay_processor.destinations.http.client import KEPT_SECONDS, HttpClient
from forebay_processor.destinations.http.destination import HttpDestination
from forebay_processor.destinations.network.address_guard import REFUSED, Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.port import Delivered, Failed, Rejected, Result, Trouble
from forebay_processor.destinations.registry import Destinations
from support.destinations.clients import own_clients
from support.destinations.dns_server import DnsServer
from support.destinations.hostile_server import Hostile, Peer, answering
from support.destinations.http_destination import LOOPBACK, attempt_of, own_client
from support.programs.ports import HOST, free_port
from support.timing.clocks import LoopClock
from support.timing.loops import on_a_processors_loop
from support.timing.wait import eventually

SHOP: Final = EndpointName("demo", "shop")
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OH: Final = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"


def destination(client: HttpClient, url: str, seconds: float = 5.0) -> HttpDestination:
    return HttpDestination(HttpTarget(url=url, timeout_seconds=seconds), client, time.time)


async def at_once(port: HttpDestination, count: int) -> list[Result]:
    return await asyncio.gather(*(port.deliver(attempt_of(str(n))) for n in range(count)))


def _has_come(server: Hostile, count: int) -> bool:
    return server.requests == count


class Gate:
    """A script that holds its answers until it is opened."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        """Answer when it is open."""
        while True:
            await peer.request()
            await self.is_open.wait()
            await peer.send(OK)


@on_a_processors_loop
async def test_the_connection_that_was_used_last_is_used_first() -> None:
    gate = Gate()
    async with Hostile(gate) as server, own_client() as client:
        port = destination(client, server.url())
        burst = asyncio.create_task(at_once(port, 5))
        await eventually(lambda: server.requests == 5)
        gate.is_open.set()
        assert await burst == [Delivered()] * 5
        for number in range(10):
            assert await port.deliver(attempt_of(str(number))) == Delivered()
        # The others grow old.
        assert sorted(len(peer.bodies) for peer in server.peers) == [1, 1, 1, 1, 11]


async def test_a_connection_that_nobody_needs_is_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = LoopClock(monkeypatch)
    async with Hostile(answering(OK)) as server, own_client() as client:
        port = destination(client, server.url())
        await port.deliver(attempt_of())
        clock.ahead += KEPT_SECONDS - 1
        await port.deliver(attempt_of())
        assert len(server.peers) == 1
        clock.ahead += KEPT_SECONDS - 1
        await asyncio.sleep(0)
        assert server.left == 0
        # Twice, since a loop that stood still reads first.
        clock.ahead += 2
        await asyncio.sleep(0)
        clock.ahead += 1
        await eventually(lambda: server.left == 1)
        assert await port.deliver(attempt_of()) == Delivered()
        assert len(server.peers) == 2


@on_a_processors_loop
async def test_of_more_than_may_be_kept_the_oldest_is_closed() -> None:
    gates = [Gate() for _ in range(3)]
    servers = [Hostile(gate) for gate in gates]
    async with servers[0], servers[1], servers[2], own_client(kept=4) as client:
        ports = [destination(client, server.url()) for server in servers]
        for port, server, gate in zip(ports, servers, gates, strict=True):
            burst = asyncio.create_task(at_once(port, 2))
            await eventually(functools.partial(_has_come, server, 2))
            gate.is_open.set()
            assert await burst == [Delivered()] * 2
        await eventually(lambda: servers[0].left == 2)
        assert (servers[1].left, servers[2].left) == (0, 0)
        assert await ports[0].deliver(attempt_of()) == Delivered()


@on_a_processors_loop
async def test_a_connection_that_the_server_has_closed_is_not_used() -> None:
    async with Hostile(answering(OK, "close")) as server, own_client() as client:
        port = destination(client, server.url())
        for number in range(3):
            assert await port.deliver(attempt_of(str(number))) == Delivered()
            await eventually(lambda: client.connections == 0)
        assert len(server.peers) == 3


@on_a_processors_loop
async def test_a_request_that_a_kept_connection_swallows_is_one_failed_attempt() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()

    async with Hostile(script) as server, own_client() as client:
        port = destination(client, server.url())
        assert await port.deliver(attempt_of("first")) == Delivered()
        # It may have been taken: POST is not repeated behind anybody's back.
        assert await port.deliver(attempt_of("second")) == Failed("ServerDisconnectedError")
        assert (server.requests, len(server.peers)) == (2, 1)
        assert await port.deliver(attempt_of("second")) == Delivered()
        assert len(server.peers) == 2


@on_a_processors_loop
async def test_an_answer_to_nothing_is_not_the_next_requests() -> None:
    is_asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 1:
            await is_asked.wait()
            await peer.send(OH)
            await peer.is_left()

    async with Hostile(script) as server, own_client() as client:
        port = destination(client, server.url())
        assert await port.deliver(attempt_of()) == Delivered()
        is_asked.set()
        await eventually(lambda: client.connections == 0)
        assert await port.deliver(attempt_of()) == Delivered()
        assert len(server.peers) == 2


@on_a_processors_loop
async def test_a_large_item_arrives_whole() -> None:
    async with Hostile(answering(OK)) as server, own_client() as client:
        port = destination(client, server.url())
        for size in (10, 60_000, 70_000, 5_000_000, 10):
            assert await port.deliver(attempt_of(size=size)) == Delivered()
        (peer,) = server.peers
        assert [len(body) // 10_000 for body in peer.bodies] == [0, 6, 7, 500, 0]
        assert all(body.startswith(b"{") and body.endswith(b"}}") for body in peer.bodies)


@on_a_processors_loop
async def test_an_answer_before_a_large_item_is_read_counts() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
        await peer.hold()

    async with Hostile(script) as server, own_client() as client:
        port = destination(client, server.url())
        for _ in range(2):
            assert await port.deliver(attempt_of(size=30_000_000)) == Rejected("status 413")
        assert len(server.peers) == 2


@on_a_processors_loop
async def test_slow_bytes_have_no_more_time_than_others() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await peer.send(b"a")
            await asyncio.sleep(0)

    async with Hostile(script) as server, own_client() as client:
        # So few bytes do not fill a head within the time.
        port = destination(client, server.url(), seconds=0.1)
        result = await port.deliver(attempt_of())
        assert result in {Failed("timeout"), Failed("ClientResponseError")}
        await eventually(lambda: server.left == 1)


@on_a_processors_loop
async def test_an_attempt_that_is_cancelled_ends_its_connection_and_no_other() -> None:
    gate = Gate()
    async with Hostile(gate) as server, own_client() as client:
        port = destination(client, server.url())
        first, second = (asyncio.create_task(port.deliver(attempt_of(str(n)))) for n in range(2))
        await eventually(lambda: server.requests == 2)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        gate.is_open.set()
        assert await second == Delivered()
        assert await port.deliver(attempt_of()) == Delivered()
        assert len(server.peers) == 2
        await eventually(lambda: server.left == 1)


@on_a_processors_loop
async def test_an_attempt_can_be_cancelled_at_any_turn() -> None:
    async with Hostile(answering(OK)) as server, own_client() as client:
        port = destination(client, server.url())
        for turns in range(60):
            attempt = asyncio.create_task(port.deliver(attempt_of(str(turns))))
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.cancel()
            await asyncio.wait([attempt])
            assert attempt.cancelled() or attempt.result() == Delivered()
            assert await port.deliver(attempt_of(f"{turns} again")) == Delivered()


@on_a_processors_loop
async def test_who_lets_go_closes_what_is_free_and_ends_nothing_that_is_under_way() -> None:
    gate = Gate()
    async with Hostile(gate) as server, own_client() as client:
        port = destination(client, server.url())
        waiting = asyncio.create_task(port.deliver(attempt_of()))
        await eventually(lambda: server.requests == 1)
        port.close()
        port.close()
        gate.is_open.set()
        assert await waiting == Delivered()
        await eventually(lambda: server.left == 1)


@on_a_processors_loop
async def test_connections_to_one_place_are_shared_until_the_last_one_lets_go() -> None:
    async with Hostile(answering(OK)) as server, own_client() as client:
        first, second = (destination(client, server.url()) for _ in range(2))
        await first.deliver(attempt_of())
        first.close()
        assert await second.deliver(attempt_of()) == Delivered()
        assert (len(server.peers), server.left) == (1, 0)
        second.close()
        await eventually(lambda: server.left == 1)
        # One that was closed still does what is asked of it.
        assert await second.deliver(attempt_of()) == Delivered()
        await eventually(lambda: server.left == 2)


@on_a_processors_loop
async def test_a_destination_that_is_replaced_lets_go() -> None:
    async with Hostile(answering(OK)) as server, own_clients() as clients:
        destinations = Destinations(clients, time.time)
        url = server.url()
        config = Destination(name="crm", http=HttpTarget(url=url))
        port = destinations.of(SHOP, config)
        assert await port.deliver(attempt_of()) == Delivered()
        assert destinations.of(SHOP, config) is port
        assert server.left == 0
        moved = Destination(name="crm", http=HttpTarget(url=f"http://{HOST}:{free_port()}/"))
        assert destinations.of(SHOP, moved) is not port
        await eventually(lambda: server.left == 1)


@on_a_processors_loop
async def test_a_destination_with_another_path_goes_on_with_the_same_connections() -> None:
    async with Hostile(answering(OK)) as server, own_clients() as clients:
        destinations = Destinations(clients, time.time)
        for path in ("a", "b", "c"):
            config = Destination(name="crm", http=HttpTarget(url=f"{server.url()}/{path}"))
            assert await destinations.of(SHOP, config).deliver(attempt_of()) == Delivered()
        (peer,) = server.peers
        assert [head.split()[1] for head in peer.heads] == [b"/in/a", b"/in/b", b"/in/c"]


@on_a_processors_loop
async def test_the_end_closes_everything_and_fails_who_waits() -> None:
    gate = Gate()
    async with Hostile(gate) as server:
        async with own_client() as client:
            port = destination(client, server.url())
            waiting = asyncio.create_task(port.deliver(attempt_of()))
            await eventually(lambda: server.requests == 1)
        assert await waiting == Failed("ServerDisconnectedError")
        gate.is_open.set()
        await eventually(lambda: server.left == 1)


@on_a_processors_loop
async def test_an_address_inside_is_never_connected_to() -> None:
    async with Hostile(answering(OK)) as server, own_client(Guard()) as client:
        for host in (HOST, "localhost", "[::ffff:127.0.0.1]", "127.0.0.1."):
            result = await destination(client, server.url(host)).deliver(attempt_of())
            assert result in {
                Failed(REFUSED, trouble=Trouble.DESTINATION),
                Failed("InvalidUrlClientError"),
            }, host
        for host in ("127.1", "2130706433", "0.0.0.0.0"):
            result = await destination(client, server.url(host)).deliver(attempt_of())
            assert result == Failed("InvalidUrlClientError")
        assert server.peers == []


@on_a_processors_loop
async def test_a_guard_that_refuses_one_address_of_several_lets_the_others_be_tried() -> None:
    guard = Guard([ipaddress.ip_network("127.0.0.1/32")])
    async with DnsServer() as dns, Hostile(answering(OK)) as server:
        dns.names["both.test"] = ("127.0.0.2", "127.0.0.1", "10.0.0.1")
        names = Names(time.monotonic, (dns.address,))
        async with own_client(guard, names) as client:
            port = destination(client, server.url("both.test."))
            assert await port.deliver(attempt_of()) == Delivered()


@on_a_processors_loop
async def test_an_address_where_nobody_listens_is_not_the_last_one() -> None:
    async with DnsServer() as dns, Hostile(answering(OK)) as server:
        dns.names["three.test"] = ("127.0.0.3", "127.0.0.2", "127.0.0.1")
        names = Names(time.monotonic, (dns.address,))
        async with own_client(Guard(LOOPBACK), names) as client:
            port = destination(client, server.url("three.test."))
            assert await port.deliver(attempt_of()) == Delivered()
            assert len(server.peers) == 1


@on_a_processors_loop
async def test_no_connection_is_the_destinations_trouble() -> None:
    async with DnsServer() as dns:
        names = Names(time.monotonic, (dns.address,))
        async with own_client(Guard(LOOPBACK), names) as client:
            port = destination(client, f"http://{HOST}:{free_port()}/")
            assert await port.deliver(attempt_of()) == Failed(
                "ClientConnectorError", trouble=Trouble.DESTINATION
            )
            port = destination(client, "http://nowhere.test./")
            assert await port.deliver(attempt_of()) == Failed(
                "ClientConnectorDNSError", trouble=Trouble.DESTINATION
            )


@on_a_processors_loop
async def test_a_name_that_is_not_found_in_time_is_late_like_an_answer() -> None:
    async with DnsServer() as dns:
        dns.silent.add("hangs.test")
        names = Names(time.monotonic, (dns.address,), timeout=20, tries=1)
        async with own_client(Guard(LOOPBACK), names) as client:
            port = destination(client, "http://one.hangs.test./", seconds=0.1)
            assert await port.deliver(attempt_of()) == Failed("timeout")


@on_a_processors_loop
async def test_settings_that_cannot_be_used_are_reported_at_each_attempt() -> None:
    async with own_client() as client:
        for url in ("http://", "ftp://crm.example.com/", "crm.example.com", "http://[::1/"):
            port = destination(client, url)
            assert await port.deliver(attempt_of()) == Failed("InvalidUrlClientError"), url
            port.close()
        target = HttpTarget(url="http://crm.example.com/", headers={"X": "a\r\nY: b"})
        port = HttpDestination(target, client, time.time)
        assert await port.deliver(attempt_of()) == Failed("UnsafeHeader")
