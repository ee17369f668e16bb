"""TLS to destinations: who is trusted, under what name, and whose connections are whose."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import pytest

from forebay.core.tables import HttpTarget, HttpTls
from forebay_processor.destinations.http.destination import HttpDestination
from forebay_processor.destinations.port import Delivered, DestinationPort, Failed, Result, Trouble
from support.destinations.hostile_server import Hostile, Peer, Script, answering
from support.destinations.http_destination import (
    attempt_of,
    own_client,
    serving,
    serving_over_aiohttp,
)
from support.programs.authority import Authority
from support.programs.ports import HOST
from support.timing.further import one_in
from support.timing.loops import LOOPS, on
from support.timing.wait import eventually

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Over = Callable[[HttpTarget], AbstractAsyncContextManager[DestinationPort]]

each_loop = pytest.mark.parametrize("loop", one_in(len(LOOPS), LOOPS))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


class Server:
    """What a server speaks TLS with, and the names that it was asked for."""

    def __init__(self, authority: Authority, alternative: str, *, asks: bool = False) -> None:
        name = alternative.replace(":", "-")
        self.context = authority.server_context(authority.issue(name, alternative), asks=asks)
        self.context.sni_callback = self._asked
        self.names: list[str | None] = []

    def _asked(self, _: object, name: str | None, __: ssl.SSLContext) -> None:
        self.names.append(name)


async def met(
    over: Over, server: Hostile, tls: HttpTls | None, host: str = HOST, *, seconds: float = 5.0
) -> list[Result]:
    """Deliver three items over TLS, one after the other."""
    url = f"https://{host}:{server.port}/in"
    async with over(HttpTarget(url=url, tls=tls, timeout_seconds=seconds)) as port:
        return [await port.deliver(attempt_of(str(number))) for number in range(3)]


def both(
    loop: str, script: Script, context: ssl.SSLContext | None, tls: HttpTls | None, host: str
) -> tuple[list[Result], int]:
    """Return what own and aiohttp came to, which has to be the same, and own's connections."""

    async def run() -> tuple[list[Result], int]:
        async with Hostile(script, context) as server:
            own = await met(serving, server, tls, host)
            count = len(server.peers)
            assert own == await met(serving_over_aiohttp, server, tls, host)
        return own, count

    return on(loop, run())


@each_loop
@pytest.mark.parametrize(
    ("alternative", "host", "server_name", "asked"),
    [
        ("IP:127.0.0.1", HOST, "", None),
        ("DNS:localhost", "localhost", "", "localhost"),
        ("DNS:crm.example.com", HOST, "crm.example.com", "crm.example.com"),
        ("DNS:*.example.com", "localhost", "crm.example.com", "crm.example.com"),
    ],
)
def test_a_certificate_is_checked_against_the_host_or_the_name_that_is_given(
    loop: str, authority: Authority, alternative: str, host: str, server_name: str, asked: str
) -> None:
    server = Server(authority, alternative)
    tls = HttpTls(ca=authority.pem, server_name=server_name)
    own, count = both(loop, answering(OK), server.context, tls, host)
    assert own == [Delivered()] * 3
    # One handshake each: connections are kept.
    assert server.names == [asked] * 2
    assert count == 1


@each_loop
@pytest.mark.parametrize(
    ("alternative", "host", "server_name"),
    [
        ("DNS:crm.example.com", HOST, ""),
        ("DNS:crm.example.com", "localhost", ""),
        ("DNS:crm.example.com", HOST, "shop.example.com"),
        ("IP:127.0.0.1", "localhost", ""),
        ("IP:127.0.0.2", HOST, ""),
        ("DNS:127.0.0.1", HOST, ""),
    ],
)
def test_a_certificate_for_another_name_gets_nothing(
    loop: str, authority: Authority, alternative: str, host: str, server_name: str
) -> None:
    server = Server(authority, alternative)
    tls = HttpTls(ca=authority.pem, server_name=server_name)
    own, count = both(loop, answering(OK), server.context, tls, host)
    failed = Failed("ClientConnectorCertificateError", trouble=Trouble.DESTINATION)
    assert own == [failed] * 3
    assert count == 0


@each_loop
def test_a_strangers_certificate_gets_nothing(
    loop: str, authority: Authority, stranger: Authority
) -> None:
    server = Server(stranger, "IP:127.0.0.1")
    failed = Failed("ClientConnectorCertificateError", trouble=Trouble.DESTINATION)
    for tls in (HttpTls(ca=authority.pem), HttpTls(), None):
        own, count = both(loop, answering(OK), server.context, tls, HOST)
        assert own == [failed] * 3
        assert count == 0
    own, _ = both(loop, answering(OK), server.context, HttpTls(insecure_skip_verify=True), HOST)
    assert own == [Delivered()] * 3


@each_loop
@pytest.mark.parametrize(
    ("said", "then", "connections"),
    [
        (OK, "keep", 1),
        (OK + OK, "keep", 3),
        (OK + OK, "close", 3),
        (b"no HTTP", "keep", 3),
        (b"no HTTP", "close", 3),
        (b"HTTP/1.1 200 OK\r\nConte", "close", 3),
    ],
)
def test_what_comes_over_tls_means_the_same(
    loop: str, authority: Authority, said: bytes, then: str, connections: int
) -> None:
    server = Server(authority, "IP:127.0.0.1")
    tls = HttpTls(ca=authority.pem)
    own, count = both(loop, answering(said, then), server.context, tls, HOST)
    assert len(own) == 3
    assert count == connections


@each_loop
def test_a_server_without_tls_is_no_connection(loop: str, authority: Authority) -> None:
    async def greeting(peer: Peer) -> None:
        await peer.send(b"220 mail.example.com ESMTP\r\n")
        await peer.is_left()

    own, _ = both(loop, greeting, None, HttpTls(ca=authority.pem), HOST)
    assert own == [Failed("ClientConnectorSSLError", trouble=Trouble.DESTINATION)] * 3


@each_loop
def test_a_handshake_that_is_refused_is_no_connection(loop: str, authority: Authority) -> None:
    async def closing(peer: Peer) -> None:
        await peer.reader.read(1)

    own, _ = both(loop, closing, None, HttpTls(ca=authority.pem), HOST)
    assert {type(each) for each in own} == {Failed}
    assert {each.trouble for each in own if isinstance(each, Failed)} == {Trouble.DESTINATION}


@each_loop
def test_a_handshake_has_no_more_time_than_an_answer(loop: str, authority: Authority) -> None:
    async def silent(peer: Peer) -> None:
        await peer.is_left()

    async def run() -> None:
        async with Hostile(silent) as server:
            tls = HttpTls(ca=authority.pem)
            own = await met(serving, server, tls, seconds=0.1)
            assert own == [Failed("timeout")] * 3
            # On a busy machine the server sees a connection after its client has left.
            await eventually(lambda: len(server.peers) == 3, saying="three connections")

    on(loop, run())


@each_loop
def test_a_server_that_wants_another_certificate_gets_no_item(
    loop: str, authority: Authority, stranger: Authority
) -> None:
    server = Server(authority, "IP:127.0.0.1", asks=True)
    other = stranger.issue("processor", "DNS:processor")
    for tls in (
        HttpTls(ca=authority.pem),
        HttpTls(ca=authority.pem, certificate=other.pem, key=other.key),
    ):

        async def run(tls: HttpTls = tls) -> None:
            async with Hostile(answering(OK), server.context) as hostile:
                own = await met(serving, hostile, tls)
                assert {type(each) for each in own} == {Failed}
                assert hostile.requests == 0

        on(loop, run())


@each_loop
def test_a_connection_with_one_certificate_is_not_used_for_another(
    loop: str, authority: Authority
) -> None:
    server = Server(authority, "IP:127.0.0.1", asks=True)
    shown: list[str] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            tls = peer.writer.get_extra_info("ssl_object")
            shown.append(dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"])
            await peer.send(OK)

    async def run() -> None:
        async with Hostile(script, server.context) as hostile, own_client() as client:
            ports = []
            for name in ("one", "other"):
                ours = authority.issue(name, f"DNS:{name}")
                tls = HttpTls(ca=authority.pem, certificate=ours.pem, key=ours.key)
                target = HttpTarget(url=hostile.url(), tls=tls)
                ports.append(HttpDestination(target, client, time.time))
            for port in (*ports, *ports):
                assert await port.deliver(attempt_of()) == Delivered()
            assert len(hostile.peers) == 2

    on(loop, run())
    assert shown == ["one", "other", "one", "other"]


@each_loop
def test_large_items_and_answers_go_over_tls(loop: str, authority: Authority) -> None:
    server = Server(authority, "IP:127.0.0.1")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + bytes(60_000)

    async def run() -> list[int]:
        async with Hostile(answering(answer), server.context) as hostile, own_client() as client:
            target = HttpTarget(url=hostile.url(), tls=HttpTls(ca=authority.pem))
            port = HttpDestination(target, client, time.time)
            results = await asyncio.gather(
                *(port.deliver(attempt_of(str(size), size=size)) for size in (1, 10**5, 10**7))
            )
            assert results == [Delivered()] * 3
            return sorted(len(body) // 10_000 for peer in hostile.peers for body in peer.bodies)

    assert on(loop, run()) == [0, 10, 1000]
