"""A NATS that speaks TLS only: the publisher trusts the authority it was given, nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forebay.runtime.jetstream.errors import StreamMissing
from forebay.runtime.settings import NatsSettings
from support.nats.nats_server import NatsServer
from support.nats.publishing import publishing
from support.programs.certificates import Certificate, make_certificate
from support.programs.ports import HOST
from support.timing.wait import eventually

SECONDS = 5.0

TLS = 'tls {{ cert_file: "{0.certificate}", key_file: "{0.key}" }}'


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    """Give the server's certificate."""
    return make_certificate(tmp_path, "nats")


@pytest.fixture
async def server(own: Certificate, tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Give a server that wants TLS."""
    async with NatsServer(tmp_path / "nats", config=TLS.format(own)) as running:
        yield running


def trusting(server: NatsServer, scheme: str, authority: Path) -> NatsSettings:
    return NatsSettings(url=f"{scheme}://{HOST}:{server.port}", tls_ca=authority)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_it_publishes_over_tls_and_comes_back(
    server: NatsServer, own: Certificate, scheme: str
) -> None:
    async with publishing(trusting(server, scheme, own.certificate)) as publisher:
        await asyncio.wait_for(publisher.wait_reached(), SECONDS)
        # No stream is there: who says so has understood us.
        with pytest.raises(StreamMissing):
            await publisher.publish("forebay.raw.0.x", b"1", {}, SECONDS)
        await server.kill()
        await eventually(lambda: not publisher.is_connected, saying="the loss to be noticed")
        await server.start()
        await eventually(lambda: publisher.is_connected, saying="the publisher to come back")
        big = b"x" * 1_000_000
        with pytest.raises(StreamMissing):
            await publisher.publish("forebay.raw.0.x", big, {}, SECONDS)


async def test_a_server_of_another_authority_is_not_trusted(
    server: NatsServer, tmp_path: Path
) -> None:
    other = make_certificate(tmp_path, "other")
    async with publishing(trusting(server, "tls", other.certificate)) as publisher:
        await eventually(
            lambda: server.log.read_text().count("TLS handshake error") >= 2,
            saying="two attempts to fail",
        )
        assert not publisher.was_reached
