"""What each user of NATS may do, tried at a server with the chart's own accounts."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from forebay.core.subjects import Lane, consumer_name
from forebay.runtime.jetstream.pull_inbox import PullInbox
from forebay.runtime.jetstream.streams import ShardConfig, consumer_config
from forebay.runtime.provision_command import provision
from forebay.runtime.settings import NatsUser
from forebay_processor.adapters.lease_store import LeaseStore
from forebay_processor.adapters.streams import Streams
from forebay_processor.shared.lease_table import LeaseTable, Member
from support.api.api_harness import ApiHarness
from support.cluster.chart_nats import USERS, Users, accounts, server_with_users, with_every_user
from support.destinations.sink import Sink
from support.inputs.tables import PATH, Tables, endpoint, http_destination, route
from support.processor.processor_harness import token, webhook
from support.programs.command import run
from support.programs.dead_command import PERSON, forebay, forebay_dead
from support.programs.processes import Part
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually

ROOT = Path(__file__).parents[2]

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def users(tmp_path: Path) -> AsyncIterator[Users]:
    async with server_with_users(tmp_path / "nats") as running:
        yield running


SMALL = ShardConfig(
    raw_max_bytes=8 * MEBIBYTE,
    events_max_bytes=8 * MEBIBYTE,
    retry_max_bytes=8 * MEBIBYTE,
    dead_max_bytes=8 * MEBIBYTE,
    index_max_bytes=8 * MEBIBYTE,
)


async def test_the_operators_user_makes_streams_and_consumers(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("operator") as (client, refused):
        stream = await client.jetstream().stream_info("FOREBAY_RAW_0")
        assert stream.state.consumer_count
        assert not refused


# Which user may publish where. The streams are of a shard that is not there: nothing happens.
PUBLISH: Final[Mapping[str, set[NatsUser]]] = {
    "forebay.raw.x.00.live.demo.meta": {"receiver"},
    "forebay.raw.x.probe": {"receiver"},
    "forebay.raw.x.00.invalid.demo.meta": {"receiver", "processor"},
    "forebay.event.x.00.live.demo.meta.messages.k": {"processor"},
    "forebay.retry.x.00.live.demo.meta.crm.c.k": {"processor"},
    "forebay.dead.x.demo.meta.crm.k": {"processor"},
    "forebay.lease.x": {"processor"},
    "forebay.control.destinations": {"processor"},
    "forebay.control.reports": {"processor", "api"},
    "forebay.control.answer.x": {"processor"},
    "forebay.else": set(),
    "forebay": set(),
    "acme.whatsapp": set(),
    "forebay.index.x.0": {"processor"},
    # Answers of others, and what they pull.
    "_INBOX.x": set(),
    "_INBOX_forebay_receiver.x": set(),
    "_INBOX_forebay_processor.x": set(),
    "_INBOX_forebay_operator.x": set(),
    # Reading what is stored.
    "$JS.API.DIRECT.GET.FOREBAY_RAW_x": {"processor", "api"},
    "$JS.API.DIRECT.GET.FOREBAY_EVENTS_x": {"processor", "api"},
    "$JS.API.DIRECT.GET.FOREBAY_RETRY_x": {"processor", "api"},
    "$JS.API.DIRECT.GET.FOREBAY_DEAD_x.forebay.dead.x.demo.meta.crm.k": {"processor", "api"},
    "$JS.API.STREAM.MSG.GET.FOREBAY_RAW_x": {"processor", "operator", "api"},
    "$JS.API.STREAM.MSG.GET.FOREBAY_EVENTS_x": {"processor", "operator", "api"},
    "$JS.API.STREAM.MSG.GET.FOREBAY_RETRY_x": {"processor", "operator", "api"},
    "$JS.API.CONSUMER.MSG.NEXT.FOREBAY_RETRY_x.read-1": {"processor", "operator"},
    "$JS.API.CONSUMER.DELETE.FOREBAY_RETRY_x.read-1": {"processor", "operator"},
    "$JS.API.CONSUMER.MSG.NEXT.FOREBAY_RAW_x.split-live-00": {"processor", "operator"},
    "$JS.API.CONSUMER.CREATE.FOREBAY_RAW_x.any.forebay.raw.x": {"processor", "operator"},
    "$JS.API.CONSUMER.CREATE.FOREBAY_RAW_x": {"processor", "operator"},
    "$JS.API.CONSUMER.INFO.FOREBAY_RAW_x.split-live-00": {"processor", "operator"},
    "$JS.API.STREAM.SNAPSHOT.FOREBAY_RAW_x": {"operator"},
    "$JS.API.STREAM.INFO.FOREBAY_RAW_x": {"receiver", "processor", "operator"},
    # Saying that something was worked.
    "$JS.ACK.FOREBAY_RAW_x.split-live-00.1.1.1.1.0": {"processor"},
    "$JS.ACK.FOREBAY_EVENTS_x.deliver-live-00.1.1.1.1.0": {"processor"},
    # Removing and changing.
    "$JS.API.STREAM.MSG.DELETE.FOREBAY_RAW_x": {"processor", "operator"},
    "$JS.API.STREAM.PURGE.FOREBAY_RAW_x": {"processor", "operator"},
    "$JS.API.STREAM.DELETE.FOREBAY_RAW_x": {"operator"},
    "$JS.API.STREAM.UPDATE.FOREBAY_RAW_x": {"operator"},
    "$JS.API.STREAM.CREATE.EVERYTHING": {"operator"},
    "$JS.API.CONSUMER.DELETE.FOREBAY_RAW_x.split-live-00": {"processor", "operator"},
    "$JS.API.CONSUMER.LIST.FOREBAY_RAW_x": {"processor", "operator"},
    "$JS.API.CONSUMER.DURABLE.CREATE.FOREBAY_RAW_x.own": {"operator"},
    "$JS.API.CONSUMER.PAUSE.FOREBAY_RAW_x.split-live-00": {"operator"},
    "$JS.API.INFO": {"operator"},
    "$JS.API.ACCOUNT.PURGE.FOREBAY": set(),
    "$JS.API.META.LEADER.STEPDOWN": set(),
    "$JS.API.SERVER.REMOVE": set(),
    "$SYS.REQ.SERVER.PING": set(),
}

SUBSCRIBE: Final[Mapping[str, set[NatsUser]]] = {
    "_INBOX_forebay_receiver.>": {"receiver"},
    "_INBOX_forebay_processor.>": {"processor"},
    "_INBOX_forebay_operator.>": {"operator"},
    "_INBOX_forebay_receiver.one.*": {"receiver"},
    "_INBOX_forebay_processor.one.*": {"processor"},
    "forebay.lease.>": {"processor"},
    "forebay.lease.x": {"processor"},
    "forebay.control.destinations": {"processor"},
    "forebay.control.reports": {"processor"},
    "forebay.control.answer.x": {"processor", "api"},
    "_INBOX_forebay_api.>": {"api"},
    # Everything that would take these in is somebody else's too.
    ">": set(),
    "*": set(),
    "*.>": set(),
    "*.*": set(),
    "_INBOX.>": set(),
    "_INBOX_forebay_*.>": set(),
    "_INBOX_forebay_else.>": set(),
    "forebay.>": set(),
    "forebay.raw.>": set(),
    "forebay.raw.x.00.live.demo.meta": set(),
    "forebay.event.>": set(),
    "forebay.retry.>": set(),
    "forebay.dead.>": set(),
    "forebay.index.>": set(),
    "$JS.>": set(),
    "$JS.API.>": set(),
    "$JS.ACK.>": set(),
    "$JS.EVENT.ADVISORY.>": set(),
    "$SYS.>": set(),
}


@pytest.mark.parametrize("user", USERS)
async def test_a_user_publishes_where_it_has_to_and_nowhere_else(
    users: Users, user: NatsUser
) -> None:
    refused = await users.refused(user, publish=tuple(PUBLISH))
    assert set(PUBLISH) - refused == {each for each, allowed in PUBLISH.items() if user in allowed}


@pytest.mark.parametrize("user", USERS)
async def test_a_user_hears_its_own_answers_and_nobody_else_s(users: Users, user: NatsUser) -> None:
    refused = await users.refused(user, subscribe=tuple(SUBSCRIBE))
    allowed = {each for each, them in SUBSCRIBE.items() if user in them}
    assert set(SUBSCRIBE) - refused == allowed


async def test_what_a_processor_pulls_is_read_by_no_receiver(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with (
        users.connected("receiver") as (listener, _),
        users.connected("processor") as (client, refused),
    ):
        await listener.jetstream().publish("forebay.raw.0.00.live.demo.meta", b"private")
        for subject in ("_INBOX.>", "_INBOX_forebay_processor.>", ">"):
            await listener.subscribe(subject)
        overheard = await listener.subscribe("_INBOX_forebay_receiver.>")
        inbox = PullInbox(client)
        await inbox.start()
        consumer = consumer_name("split", Lane.LIVE, 0)
        puller = inbox.puller("FOREBAY_RAW_0", consumer, 1)
        async with asyncio.timeout(5):
            (message,) = await puller.next_batch()
        assert message.data == b"private"
        await inbox.close()
        assert overheard.pending_msgs == 0
        assert not refused


def test_the_documentation_says_what_the_chart_gives() -> None:
    text = " ".join(accounts(with_every_user()))
    table = (ROOT / "docs/kubernetes.md").read_text()
    for user in (*USERS, "backup"):
        block = text[text.index(f"user: {user},") :]
        given = set(re.findall(r'"([^"]+)"', block[: block.index("}")]))
        (row,) = re.findall(rf"^\| {user} \|( `.*)\|$", table, re.MULTILINE)
        documented = set(re.findall(r"`([^`]+)`", row))
        assert given == documented, user


async def test_the_backup_s_user_backs_up_and_restores_and_does_nothing_else(
    users: Users, tmp_path: Path, nats_cli: str
) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("receiver") as (client, _):
        await client.jetstream().publish("forebay.raw.0.00.live.demo.meta", b"private")
    login = ("--user", "backup", "--password", users.passwords["backup"])
    command = (nats_cli, "-s", users.url, *login, "--inbox-prefix", "_INBOX_forebay_backup")
    folder = str(tmp_path / "backup")
    await run(*command, "stream", "backup", "FOREBAY_RAW_0", folder, "--no-progress")
    async with users.connected("operator") as (client, _):
        await client.jetstream().delete_stream("FOREBAY_RAW_0")
    await run(*command, "stream", "restore", folder, "--no-progress")
    async with users.connected("operator") as (client, _):
        assert (await client.jetstream().stream_info("FOREBAY_RAW_0")).state.messages == 1
    assert set(PUBLISH) - await users.refused("backup", publish=tuple(PUBLISH)) == {
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.FOREBAY_RAW_x",
        "$JS.API.STREAM.SNAPSHOT.FOREBAY_RAW_x",
    }
    assert await users.refused("backup", subscribe=tuple(SUBSCRIBE)) == set(SUBSCRIBE)


async def test_the_receivers_user_stores_and_the_processors_user_reads(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("receiver") as (client, refused):
        ack = await client.jetstream().publish("forebay.raw.0.00.live.demo.meta", b"{}")
        assert ack.seq == 1
        assert not refused
    async with users.connected("processor") as (client, refused):
        context = client.jetstream()
        assert (await context.stream_info("FOREBAY_RAW_0")).state.messages == 1
        subscription = await context.pull_subscribe("forebay.raw.0.>", stream="FOREBAY_RAW_0")
        (message,) = await subscription.fetch(1, timeout=5)
        await message.ack_sync(timeout=5)
        for subject in ("event.0.00.live", "retry.0.00.live", "dead.0"):
            await context.publish(f"forebay.{subject}.demo.meta.message.k.s.c", b"{}")
        await eventually(lambda: not refused, saying="nothing refused")


async def test_the_processors_user_makes_its_consumers_again(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("operator") as (client, _):
        await client.jetstream().delete_consumer("FOREBAY_RAW_0", "split-live-03")
        changed = consumer_config("deliver", "0", Lane.LIVE, 3)
        changed.filter_subject = "forebay.event.0.99.>"
        await client.jetstream().add_consumer("FOREBAY_EVENTS_0", changed)
    async with users.connected("processor") as (client, refused):
        streams = Streams(client)
        for stream, name, done in (
            ("FOREBAY_RAW_0", "split-live-03", "made, from the beginning"),
            ("FOREBAY_EVENTS_0", "deliver-live-03", "filter_subject was changed"),
        ):
            assert await streams.restore("0", stream, name, None) == done
            assert await streams.restore("0", stream, name, None) == ""
        assert not refused


async def test_the_processors_user_shares_a_shard(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("processor") as (client, refused):
        one, other = LeaseStore(client, "0"), LeaseStore(client, "0")
        heard: list[LeaseTable] = []
        await other.follow(heard.append)
        table, sequence = await one.read()
        joined = LeaseTable(members={"p1": Member(heartbeat=1, listener_id="here")})
        assert sequence == 0
        assert table == LeaseTable()
        written = await one.write(joined, sequence)
        assert await other.read() == (joined, written)
        await eventually(lambda: heard == [joined], saying="the other one to hear of it")
        assert not refused


async def test_parts_and_commands_need_no_more_than_their_users_have(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "tables")
    async with server_with_users(tmp_path / "nats") as users, Sink() as sink:
        await provision(users.settings("operator"), SMALL)
        tables.write_routes(route())
        tables.write_endpoints(endpoint(http_destination(sink.url())))
        receiver = Part(
            "receiver",
            folder=tmp_path / "parts",
            nats_url="",
            table_dir=tables.receiver_folder,
            settings=users.environment("receiver"),
        )
        processor = Part(
            "processor",
            folder=tmp_path / "parts",
            nats_url="",
            table_dir=tables.processor_folder,
            settings=users.environment("processor"),
        )
        api = ApiHarness(tmp_path, "", **users.environment("api"))
        asks = api.write_token()
        parts = (receiver, processor, api.part)
        try:
            for part in parts:
                await part.start()
            for number, status in enumerate((200, 503, 422)):
                body = webhook((f"wamid.{number}", PERSON))
                sink.answer_key(token(f"wamid.{number}"), status)
                sent = request_bytes("POST", PATH, headers=signed(body), body=body)
                assert (await exchange(receiver.port, sent)).status == 200
            await sink.wait_for(2, within=20)
            async with users.connected("operator") as (client, _):

                async def is_dead() -> bool:
                    info = await client.jetstream().stream_info("FOREBAY_DEAD_0")
                    return info.state.messages == 1

                await eventually(is_dead, saying="a dead letter")
            done = await forebay_dead(
                *("replay", "--yes"), environment=users.environment("processor")
            )
            assert "replayed: 1" in done.out, done
            listed = await forebay(
                *("destinations", "ls", "--json"), environment=users.environment("processor")
            )
            assert '"destination":"sink"' in listed.out, listed
            assert not listed.err
            await sink.wait_for(3, within=20)
            for path, query in (
                ("/v1/messages", {"wamid": "wamid.0"}),
                ("/v1/webhooks/0/1", {}),
                ("/v1/events", {}),
                ("/v1/waiting", {}),
                ("/v1/dead", {}),
            ):
                assert (await api.get(path, asks, **query)).status == 200, path
            (one,) = (await api.get("/v1/destinations", asks)).record["items"]
            assert one["destination"] == "sink"
        finally:
            for part in parts:
                await part.close()
        for part in parts:
            assert not part.logged("nats_refused")
            assert not part.unexpected_errors()
