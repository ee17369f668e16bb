"""Destination `nats` against a real server: what is stored there, and what each refusal means."""

import asyncio
import contextlib
import ipaddress
import json
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import nats.js.api
import pytest
import pytest_asyncio
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.core.tables import HttpTls, NatsTarget
from forebay_processor.destinations.nats.client import NatsClient
from forebay_processor.destinations.nats.destination import NatsDestination
from forebay_processor.destinations.network.address_guard import REFUSED, Guard
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)
from support.destinations.clients import own_nats_client
from support.destinations.http_destination import attempt_of
from support.nats.nats_operator import NatsOperator
from support.nats.nats_server import NatsServer
from support.nats.streams import read_stream
from support.programs.certificates import make_certificate
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

USERS: Final = """
authorization {
  users: [
    {user: admin, password: admin}
    {
      user: shop, password: "pass word"
      permissions: {publish: ["shop.>"], subscribe: ["_INBOX_shop.>"]}
    }
  ]
}
no_auth_user: admin
"""

STREAM: Final = "EVENTS_OF_SHOP"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """Give a NATS that is not Forebay's, with users and a stream."""
    folder = tmp_path_factory.mktemp("bus")
    async with NatsServer(folder, name="bus", config=USERS, max_payload=256 * 1024) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(bus: NatsServer) -> AsyncIterator[Client]:
    """Give a client of nats-py at it."""
    async with bus.client() as client:
        js = client.jetstream()
        await js.add_stream(name=STREAM, subjects=["shop.>"])
        await js.add_stream(name="SMALL", subjects=["small.>"], max_msg_size=2048)
        await js.add_stream(
            name="FULL", subjects=["full.>"], max_msgs=1, discard=nats.js.api.DiscardPolicy.NEW
        )
        yield client


def target_of(server: NatsServer, subject: str = "shop.in", **settings: Any) -> NatsTarget:  # noqa: ANN401  # any setting
    return NatsTarget(urls=(server.url,), subject=subject, **{"timeout_seconds": 5.0, **settings})


@contextlib.asynccontextmanager
async def destination(
    target: NatsTarget,
    **settings: Any,  # noqa: ANN401  # any setting
) -> AsyncIterator[tuple[NatsDestination, NatsClient]]:
    async with own_nats_client(**settings) as client:
        made = NatsDestination(target, client)
        yield made, client
        made.close()


async def delivered(
    target: NatsTarget,
    attempt: Attempt | None = None,
    **settings: Any,  # noqa: ANN401  # any setting
) -> Result:
    async with destination(target, **settings) as (made, _):
        return await made.deliver(attempt or attempt_of())


async def stored(reader: Client, subject: str) -> list[Any]:
    return await read_stream(reader, STREAM, subject)


async def test_an_item_is_stored_as_a_cloudevent_in_structured_mode(
    bus: NatsServer, reader: Client
) -> None:
    attempt = attempt_of("structured")
    target = target_of(bus, "shop.one.{kind}.{type}.{channel}", stream=STREAM)
    assert await delivered(target, attempt) == Delivered()
    (message,) = await stored(reader, "shop.one.messages.text.1")
    event = json.loads(message.data)
    assert event["id"] == attempt.token
    assert event["type"] == "dev.forebay.whatsapp.messages"
    assert event["data"] == json.loads(bytes(attempt.item.data))
    assert message.headers["Content-Type"] == "application/cloudevents+json"
    assert message.headers["Nats-Msg-Id"] == f"{attempt.token}:demo/meta/crm"
    assert message.headers["Forebay-Endpoint"] == "demo/meta"


async def test_attributes_are_headers_in_binary_mode(bus: NatsServer, reader: Client) -> None:
    attempt = attempt_of('binary "ä" 5%')
    assert await delivered(target_of(bus, "shop.two", mode="Binary"), attempt) == Delivered()
    (message,) = await stored(reader, "shop.two")
    assert message.data == bytes(attempt.item.data)
    assert message.headers["ce-id"] == attempt.token
    assert message.headers["ce-specversion"] == "1.0"
    assert message.headers["ce-datacontenttype"] == "application/json"
    assert message.headers["Content-Type"] == "application/json"
    raw = message.headers["ce-itemkey"]
    assert raw.isascii()
    assert " " not in raw
    assert urllib.parse.unquote(raw) == attempt.item.key
    assert "ce-data" not in message.headers
    assert "ce-superseded" not in message.headers


async def test_a_repeat_is_merged_and_another_destination_s_is_not(
    bus: NatsServer, reader: Client
) -> None:
    attempt = attempt_of("twice")
    async with destination(target_of(bus, "shop.three.{destination}")) as (made, _):
        for number in (1, 2):
            assert await made.deliver(replace(attempt, number=number)) == Delivered()
        assert await made.deliver(replace(attempt, destination="other")) == Delivered()
    assert len(await stored(reader, "shop.three.crm")) == 1
    assert len(await stored(reader, "shop.three.other")) == 1


@pytest.mark.parametrize(
    ("subject", "settings", "expected"),
    [
        ("nobody.here", {}, Failed("no stream takes the subject", trouble=Trouble.DESTINATION)),
        ("nobody.{kind}", {}, Failed("no stream takes the subject", trouble=Trouble.ITEM)),
        (
            "shop.in",
            {"stream": "ANOTHER"},
            Failed("another stream has the subject", trouble=Trouble.REFUSED),
        ),
        ("full.x", {}, Failed("the stream is full", trouble=Trouble.DESTINATION)),
        ("small.x", {}, Rejected("the message is above the stream's max_msg_size")),
    ],
)
async def test_what_a_server_does_not_store_is_no_delivery(
    bus: NatsServer, reader: Client, subject: str, settings: dict[str, Any], expected: Result
) -> None:
    await reader.jetstream().purge_stream("FULL")
    await reader.jetstream().publish("full.before", b"")
    result = await delivered(target_of(bus, subject, **settings), attempt_of("r", size=4000))
    assert not isinstance(result, Delivered)
    assert replace(result, said="") == expected


async def test_what_is_above_the_server_s_size_is_rejected_and_the_connection_stays(
    bus: NatsServer, reader: Client
) -> None:
    async with destination(target_of(bus, "shop.large")) as (made, client):
        result = await made.deliver(attempt_of("large", size=256 * 1024))
        assert result == Rejected("the message is above the server's max_payload")
        assert await made.deliver(attempt_of("small")) == Delivered()
        assert client.connections == 1
    assert len(await stored(reader, "shop.large")) == 1


async def test_who_subscribes_to_the_subject_does_not_pass_for_a_stream(
    bus: NatsServer, reader: Client
) -> None:
    async def answer(message: Msg) -> None:
        await message.respond(b'{"ok": true}')

    subscription = await reader.subscribe("plain.x", cb=answer)
    await reader.flush()
    result = await delivered(target_of(bus, "plain.x"))
    await subscription.unsubscribe()
    assert result == Failed("somebody answers who is no stream", trouble=Trouble.DESTINATION)


async def test_with_server_acknowledgement_a_subscriber_is_enough(
    bus: NatsServer, reader: Client
) -> None:
    subscription = await reader.subscribe("plain.y")
    await reader.flush()
    assert await delivered(target_of(bus, "plain.y", acknowledge="Server")) == Delivered()
    message = await subscription.next_msg(timeout=5)
    assert json.loads(message.data)["specversion"] == "1.0"
    assert not message.reply


@pytest.mark.parametrize("acknowledge", ["Stream", "Server"])
async def test_a_subject_that_is_not_ours_is_refused_and_others_go_on(
    bus: NatsServer, reader: Client, acknowledge: str
) -> None:
    login = {"user": "shop", "password": "pass word", "inbox_prefix": "_INBOX_shop"}
    target = target_of(bus, "shop.four.{kind}", acknowledge=acknowledge, **login)
    async with own_nats_client() as client:
        allowed = NatsDestination(target, client)
        denied = NatsDestination(replace(target, subject="billing.in.{kind}"), client)
        results = await asyncio.gather(
            *(
                each.deliver(attempt_of(f"{acknowledge}{n}"))
                for n in range(3)
                for each in (denied, allowed)
            )
        )
        refusal = Failed("permission denied: may not publish there", trouble=Trouble.REFUSED)
        assert results == [refusal, Delivered()] * 3
        assert client.connections == 1

    async def are_stored() -> bool:
        found = await stored(reader, "shop.four.messages")
        return sum(acknowledge in each.data.decode() for each in found) == 3

    await eventually(are_stored)


async def test_an_inbox_that_is_not_ours_is_said(bus: NatsServer) -> None:
    result = await delivered(target_of(bus, user="shop", password="pass word"))
    assert result == Failed(
        "may not subscribe to its inbox: set `inboxPrefix`", trouble=Trouble.REFUSED
    )


async def test_a_wrong_password_is_a_refusal_without_the_password(bus: NatsServer) -> None:
    result = await delivered(target_of(bus, user="shop", password="wrong-password"))
    assert result == Failed("the server does not accept who we are", trouble=Trouble.REFUSED)


async def test_a_token_lets_in(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config='authorization { token: "s3cret" }') as server:
        target = target_of(server, "plain.x", acknowledge="Server")
        assert await delivered(replace(target, token="s3cret")) == Delivered()
        assert isinstance(await delivered(target), Failed)


async def test_credentials_of_nsc_let_in(tmp_path: Path) -> None:
    operator = NatsOperator()
    async with NatsServer(tmp_path / "nats", config=operator.config) as server:
        file = operator.credentials(tmp_path / "user.creds")
        target = target_of(server, "plain.x", acknowledge="Server", credentials=file.read_text())
        assert await delivered(target) == Delivered()
        result = await delivered(replace(target, credentials="ey nothing\nSU nothing"))
        assert isinstance(result, Failed)
        assert result.trouble is Trouble.REFUSED


async def test_tls_is_checked_against_the_manifest_s_authority(tmp_path: Path) -> None:
    own, other = make_certificate(tmp_path, "nats"), make_certificate(tmp_path, "other")
    config = f'tls {{ cert_file: "{own.certificate}", key_file: "{own.key}" }}'
    async with NatsServer(tmp_path / "nats", config=config) as server:
        plain = target_of(server, "plain.x", acknowledge="Server")
        trusted = replace(plain, tls=HttpTls(ca=own.certificate.read_text()))
        assert await delivered(trusted) == Delivered()
        untrusted = Failed("the server's certificate is not trusted", trouble=Trouble.DESTINATION)
        stranger = replace(plain, tls=HttpTls(ca=other.certificate.read_text()))
        assert await delivered(stranger) == untrusted
        # The server asks for TLS: the system's authorities do not know it.
        assert await delivered(plain) == untrusted
        skipping = replace(plain, tls=HttpTls(insecure_skip_verify=True))
        assert await delivered(skipping) == Delivered()


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(bus: NatsServer) -> None:
    target = replace(target_of(bus), urls=(bus.url.replace("nats:", "tls:"),))
    result = await delivered(target)
    assert isinstance(result, Failed)
    assert result.error.startswith("the server offers no TLS")


async def test_a_private_address_is_refused_as_for_http(bus: NatsServer) -> None:
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        target = replace(target_of(bus), urls=(f"nats://{host}:{bus.port}",))
        result = await delivered(target, guard=Guard())
        assert result == Failed(REFUSED, trouble=Trouble.DESTINATION)
    denied = Guard([ipaddress.ip_network("127.0.0.0/8")], [ipaddress.ip_network("127.0.0.1/32")])
    assert isinstance(await delivered(target_of(bus), guard=denied), Failed)


async def test_destinations_of_one_login_share_a_connection_and_the_last_one_closes_it(
    bus: NatsServer, reader: Client
) -> None:
    assert reader.is_connected
    async with own_nats_client() as client:
        both = [NatsDestination(target_of(bus, f"shop.{name}"), client) for name in "ab"]
        for each in both:
            assert await each.deliver(attempt_of()) == Delivered()
        assert client.connections == 1
        stranger = NatsDestination(target_of(bus, "shop.c"), client)
        foreign = attempt_of()
        foreign = replace(foreign, endpoint=foreign.endpoint._replace(namespace="other"))
        assert await stranger.deliver(foreign) == Delivered()
        assert client.connections == 2
        both[0].close()
        assert await both[1].deliver(attempt_of()) == Delivered()
        assert client.connections == 2
        both[1].close()
        await eventually(lambda: client.connections == 1)


async def test_connections_are_bounded_and_an_idle_one_makes_room(
    bus: NatsServer, reader: Client
) -> None:
    assert reader.is_connected
    async with own_nats_client(limit=2) as client:
        made = [
            NatsDestination(target_of(bus, "shop.d", inbox_prefix=f"_INBOX_{number}"), client)
            for number in range(4)
        ]
        for each in (*made, *made):
            assert await each.deliver(attempt_of()) == Delivered()
            assert client.connections <= 2


async def test_a_server_that_is_leaving_is_left_without_a_failure(
    tmp_path: Path,
) -> None:
    async with NatsServer(
        tmp_path, config="lame_duck_duration: '30s'\nlame_duck_grace_period: '1s'"
    ) as server:
        target = target_of(server, "plain.x", acknowledge="Server")
        async with destination(target) as (made, client):
            assert await made.deliver(attempt_of()) == Delivered()
            server.leave_clients()
            await eventually(lambda: client.connections == 0)


async def test_data_that_nats_cannot_carry_in_a_header_is_no_way_out(
    bus: NatsServer, reader: Client
) -> None:
    attempt = attempt_of("evil")
    item = replace(attempt.item, key="k\r\nNats-Expected-Stream: X\x00\ud83d", type="a.b >")
    attempt = replace(attempt, item=item)
    target = target_of(bus, "shop.evil.{type}", mode="Binary")
    assert await delivered(target, attempt) == Delivered()
    (message,) = await stored(reader, "shop.evil.other")
    assert "Nats-Expected-Stream" not in message.headers
