"""A NATS that wants to know who publishes: a user's JWT and the proof that the seed is known."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.nats_wire import WireProtocol
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.jetstream.streams import stream_config
from forebay.runtime.settings import NatsSettings, read_credentials
from support.inputs.tables import Tables, route
from support.nats.nats_operator import NatsOperator
from support.nats.nats_server import NatsServer
from support.nats.publishing import publishing
from support.programs.processes import Part
from support.programs.stack import SHARD
from support.timing.wait import eventually

SUBJECT = "forebay.raw.0.x"
SECONDS = 5.0

ONLY_RAW = {
    "pub": {"allow": ["forebay.raw.>"]},
    "sub": {"allow": ["_INBOX.>", "_INBOX_forebay_receiver.>"]},
}
"""All that a receiver needs."""


@pytest.fixture
def operator() -> NatsOperator:
    """Give an operator of the test's own."""
    return NatsOperator()


@pytest.fixture
def credentials(operator: NatsOperator, tmp_path: Path) -> Path:
    """Give the credentials of a user who may publish webhooks, and nothing else."""
    return operator.credentials(tmp_path / "receiver.creds", **ONLY_RAW)


@pytest.fixture
async def server(operator: NatsOperator, tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Give a server that knows the operator, with a RAW stream in its account."""
    admin = operator.credentials(tmp_path / "admin.creds")
    async with NatsServer(tmp_path / "nats", config=operator.config) as running:
        async with running.client(admin) as client:
            await client.jetstream().add_stream(stream_config(StreamKind.RAW, SHARD))
        yield running


def as_user(server: NatsServer, credentials: Path | None) -> NatsSettings:
    return NatsSettings(url=server.url, credentials=credentials)


async def test_a_user_with_the_least_rights_publishes(
    server: NatsServer, credentials: Path
) -> None:
    async with publishing(as_user(server, credentials)) as publisher:
        await asyncio.wait_for(publisher.wait_reached(), SECONDS)
        assert (await publisher.publish(SUBJECT, b"1", {}, SECONDS)).seq == 1


async def test_a_new_connection_proves_it_anew(server: NatsServer, credentials: Path) -> None:
    async with publishing(as_user(server, credentials)) as publisher:
        await asyncio.wait_for(publisher.wait_reached(), SECONDS)
        await server.kill()
        await eventually(lambda: not publisher.is_connected, saying="the loss to be noticed")
        await server.start()
        await eventually(lambda: publisher.is_connected, saying="the publisher to come back")
        assert (await publisher.publish(SUBJECT, b"1", {}, SECONDS)).seq == 1


@pytest.mark.parametrize("whose", ["nobody's", "another operator's"])
async def test_a_stranger_is_not_let_in(server: NatsServer, tmp_path: Path, whose: str) -> None:
    stranger = None if whose == "nobody's" else NatsOperator().credentials(tmp_path / "x.creds")
    async with publishing(as_user(server, stranger)) as publisher:
        await eventually(
            lambda: server.log.read_text().count("authentication error") >= 2,
            saying="the server to refuse it twice",
        )
        assert not publisher.was_reached
        with pytest.raises(StoreUnavailable):
            await publisher.publish(SUBJECT, b"1", {}, SECONDS)


async def test_it_ends_when_asked_to_while_it_is_being_refused(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher(as_user(server, None), "test")
    running = asyncio.create_task(publisher.run())
    asked = asyncio.Event()
    lose = WireProtocol.connection_lost

    def lose_and_cancel(wire: WireProtocol, exc: Exception | None) -> None:
        lose(wire, exc)
        # In the same turn of the loop: two things to hear of, of which one must not hide the other.
        running.cancel()
        asked.set()

    monkeypatch.setattr(WireProtocol, "connection_lost", lose_and_cancel)
    await asyncio.wait_for(asked.wait(), SECONDS)
    monkeypatch.undo()
    await asyncio.wait([running], timeout=SECONDS)
    try:
        assert running.cancelled()
    finally:
        running.cancel()


async def test_new_credentials_in_the_file_are_taken_without_a_restart(
    server: NatsServer, operator: NatsOperator, tmp_path: Path
) -> None:
    file = NatsOperator().credentials(tmp_path / "changing.creds")
    async with publishing(as_user(server, file)) as publisher:
        await eventually(lambda: "authentication error" in server.log.read_text())
        # Half of a file, as one may see it while it is being written.
        with capture_logs() as logged:
            file.write_text("-----BEGIN NATS USER JWT-----\n")
            await eventually(
                lambda: any("CREDENTIALS" in str(each.get("reason")) for each in logged),
                saying="the half file to be read",
            )
        operator.credentials(file, **ONLY_RAW)
        await asyncio.wait_for(publisher.wait_reached(), SECONDS)
        assert (await publisher.publish(SUBJECT, b"1", {}, SECONDS)).seq == 1


async def test_a_user_without_the_right_to_publish_learns_it_in_time(
    server: NatsServer, operator: NatsOperator, tmp_path: Path
) -> None:
    other = {
        "pub": {"allow": ["other.>"]},
        "sub": {"allow": ["_INBOX.>", "_INBOX_forebay_receiver.>"]},
    }
    file = operator.credentials(tmp_path / "other.creds", **other)
    async with publishing(as_user(server, file)) as publisher:
        await asyncio.wait_for(publisher.wait_reached(), SECONDS)
        with pytest.raises(StoreUnavailable):
            await publisher.publish(SUBJECT, b"1", {}, 0.3)
        assert publisher.is_connected


async def test_a_receiver_with_credentials_becomes_ready_and_says_nothing_of_them(
    server: NatsServer, credentials: Path, tables: Tables, tmp_path: Path
) -> None:
    tables.write_routes(route())
    receiver = Part(
        "receiver",
        folder=tmp_path / "receiver",
        nats_url=server.url,
        table_dir=tables.receiver_folder,
        settings={"FOREBAY_NATS_CREDENTIALS": str(credentials), "FOREBAY_LOG_LEVEL": "debug"},
    )
    await receiver.start()
    await receiver.close()
    log = receiver.log.read_text()
    assert not any(secret in log for secret in read_credentials(credentials))
    assert not receiver.unexpected_errors()
