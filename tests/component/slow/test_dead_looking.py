"""`forebay dead ls` and `show`: what died is found, and nothing private is shown unasked."""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from forebay.runtime.jetstream.streams import ensure_shard
from support.inputs.corpus import PAYLOADS
from support.nats.nats_server import NatsServer
from support.processor.processor_harness import CHANNEL, token
from support.programs.dead_command import PERSON, TEXT, Ended, dead_letter, forebay_dead
from support.programs.ports import HOST, free_port
from support.programs.stack import SHARD


@pytest.fixture
async def nats(nats_server: NatsServer) -> NatsServer:
    """Give a NATS with streams and no processor."""
    async with nats_server.client() as client:
        await ensure_shard(client, SHARD)
    return nats_server


async def looked(nats: NatsServer, *arguments: str) -> Ended:
    """Run a command; it has to go well and to have nothing to say beside its result."""
    ended = await forebay_dead(*arguments, nats_url=nats.url)
    assert (ended.code, ended.err) == (0, "")
    return ended


async def ids(nats: NatsServer, *options: str) -> list[str]:
    """Return the ids that `ls` finds, in its order."""
    ended = await looked(nats, "ls", "--output", "json", *options)
    return [record["id"] for record in ended.records]


async def test_each_filter_finds_its_own(nats: NatsServer) -> None:
    async with nats.client() as client:
        old = await dead_letter(client, "wamid.old", endpoint="acme/shop", reason="Expired")
        stream = await client.jetstream().stream_info("FOREBAY_DEAD_0")
        died = str((await client.jetstream().get_msg(stream.config.name or "", 1)).time)
        crm = await dead_letter(client, "wamid.crm")
        bus = await dead_letter(client, "wamid.crm", destination="bus")
        sent = await dead_letter(client, "", body=PAYLOADS["status-sent"].body)
    assert crm == bus == token("wamid.crm")
    later = (datetime.fromisoformat(died) + timedelta(microseconds=1)).isoformat()
    expected = {
        (): [old, crm, bus, sent],
        ("--endpoint", "demo/meta", "--destination", "bus"): [bus],
        ("--kind", "statuses", "--reason", "rejected", "--since", "yesterday"): [sent],
        ("--wamid", "wamid.crm", "--id", crm[:9]): [crm, bus],
        ("--since", later): [crm, bus, sent],
        ("--until", later): [old],
        ("--limit", "2"): [old, crm],
    }
    found = await asyncio.gather(*(ids(nats, *options) for options in expected))
    assert dict(zip(expected, found, strict=True)) == expected


async def test_the_list_shows_what_and_why_and_nothing_private(nats: NatsServer) -> None:
    async with nats.client() as client:
        key = await dead_letter(client, "wamid.private")
    table = (await looked(nats, "ls")).out
    for expected in ("demo/meta", "crm", "messages (text)", "Rejected (status 422)", key[:12], "7"):
        assert expected in table
    record = (await looked(nats, "ls", "--json")).record
    assert (record["kind"], record["attempts"], record["error"]) == ("messages", 7, "status 422")
    for shown in (table, json.dumps(record)):
        assert not [word for word in (PERSON, TEXT, "wamid") if word in shown]


async def test_show_hides_what_people_wrote_unless_asked(nats: NatsServer) -> None:
    async with nats.client() as client:
        key = await dead_letter(client, "wamid.shown")
    hidden = (await looked(nats, "show", key[:8])).out
    assert key in hidden
    assert f"<{len(TEXT)} characters>" in hidden
    hidden += (await looked(nats, "show", key[:8], "--json")).out
    assert not [word for word in (PERSON, TEXT, "wamid") if word in hidden]
    revealed = (await looked(nats, "show", key, "--reveal", "-o", "json")).record
    message = revealed["data"]["value"]["messages"][0]
    assert (message["from"], message["text"]["body"]) == (PERSON, TEXT)
    assert revealed["itemkey"] == f"msg:{CHANNEL}:wamid.shown"


async def test_what_is_no_item_can_be_looked_at(nats: NatsServer) -> None:
    async with nats.client() as client:
        subject = "forebay.dead.0.demo.meta.crm." + "0" * 32
        await client.jetstream().publish(subject, b"\xff" + TEXT.encode())
    assert await ids(nats, "--kind", "unreadable") == ["0" * 32]
    shown = (await looked(nats, "show", "0" * 32)).out
    assert TEXT not in shown
    assert f"<{1 + len(TEXT)} bytes that are no item>" in shown


async def test_a_long_list_is_cut_and_says_so(nats: NatsServer) -> None:
    async with nats.client() as client:
        await asyncio.gather(*(dead_letter(client, f"wamid.{number}") for number in range(300)))
    ended = await looked(nats, "ls")
    assert ended.out.count("demo/meta") == 100
    assert "there are more" in ended.out
    assert len(set(await ids(nats))) == 300
    assert "300 dead letters" in (await looked(nats, "ls", "--limit", "0")).out


async def test_that_there_are_no_dead_letters_is_said(nats: NatsServer) -> None:
    assert (await looked(nats, "ls")).out == "no dead letters\n"
    assert (await looked(nats, "replay", "--yes")).out == "no dead letters: nothing to do\n"
    missing = await forebay_dead("show", "0b6ea2e2", nats_url=nats.url)
    assert missing.code == 1
    assert "nothing has the id 0b6ea2e2" in missing.err
    assert "with --invalid" in missing.err


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (("ls", "--endpoint", "shop"), "acme/shop"),
        (("ls", "--since", "soonish"), "yesterday"),
        (("ls", "--kind", "mesages"), "messages"),
        (("ls", "--reason", "Rejectd"), "Rejected, Expired"),
        (("ls", "--reason", "toomanyitems"), "with --invalid Invalid, NotJson"),
        (("ls", "--invalid", "--reason", "Expired"), "there are Invalid, NotJson"),
        (("ls", "--destination", "CRM"), "crm"),
        (("show", "wamid.HBgL"), "hex"),
        (("ls", "--nats-url", "http://127.0.0.1"), "nats://"),
        (("ls", "--shard", ""), "--shard"),
        (("purge", "--yes"), "--all"),
        (("replay", "--to", "No Such"), "--to"),
    ],
)
async def test_what_cannot_be_used_is_reported_in_one_line(
    arguments: tuple[str, ...], saying: str
) -> None:
    ended = await forebay_dead(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith("forebay: ")
    assert saying in line


async def test_a_missing_nats_is_reported_with_what_to_do(tmp_path: Path) -> None:
    ended = await forebay_dead("ls", nats_url=f"nats://user:secret@{HOST}:{free_port()}")
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert "--nats-url" in line
    assert "secret" not in line
    assert (await forebay_dead("ls", cwd=tmp_path)).code == 1


async def test_a_nats_without_streams_is_reported(nats_server: NatsServer) -> None:
    ended = await forebay_dead("ls", nats_url=nats_server.url)
    assert ended.code == 1
    assert "there is no stream FOREBAY_DEAD_0" in ended.err
