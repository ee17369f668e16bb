"""The operator reports the end of the certificate that NATS shows, or of the authority's."""

import asyncio
from pathlib import Path

from forebay.runtime.certificate_expiry import first_end
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.streams import JetStreams
from support.nats.nats_server import NatsServer
from support.programs.authority import Authority
from support.programs.certificates import make_certificate
from support.programs.ports import HOST
from support.timing.wait import eventually


async def test_the_first_end_of_servers_certificate_and_authority_is_reported(
    tmp_path: Path,
) -> None:
    own = make_certificate(tmp_path, "nats")
    config = f'tls {{ cert_file: "{own.certificate}", key_file: "{own.key}" }}'
    took: list[float] = []
    async with NatsServer(tmp_path / "nats", config=config) as server:
        settings = NatsSettings(url=f"tls://{HOST}:{server.port}", tls_ca=own.certificate)
        streams = JetStreams(settings, took.append)
        task = asyncio.create_task(streams.run())
        try:
            await eventually(streams.connections.is_set, saying="a connection")
            served = streams.certificate_end()
            assert served is not None
            assert served == first_end(own.certificate.read_text())
            # An authority that ends before the certificate does.
            shorter = Authority(tmp_path / "shorter", days=1).pem
            own.certificate.write_text(own.certificate.read_text() + shorter)
            assert streams.certificate_end() == first_end(shorter)
            assert await streams.states("0") == []
            assert len(took) == 4
            assert all(seconds > 0 for seconds in took)
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert task.done()


async def test_without_tls_there_is_no_end(nats_server: NatsServer) -> None:
    streams = JetStreams(NatsSettings(url=nats_server.url))
    task = asyncio.create_task(streams.run())
    try:
        await eventually(streams.connections.is_set, saying="a connection")
        assert streams.certificate_end() is None
    finally:
        task.cancel()
        await asyncio.wait([task])
