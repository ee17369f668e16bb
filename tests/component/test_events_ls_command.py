"""`forebay events ls`: the items that something happened to, found by all that describes them."""

import time
from datetime import UTC, datetime

import pytest

from forebay.core.index_records import IndexOutcome, bucket_of, encode_records
from forebay.core.subjects import index_subject
from forebay.runtime.jetstream.stream_reader import PAGE_MESSAGES
from support.nats.index_history import handled, make_index, publish, stored
from support.nats.nats_server import NatsServer
from support.programs.dead_command import Ended, forebay

MINUTE = 60_000


@pytest.fixture
async def nats(nats_server: NatsServer) -> NatsServer:
    """Give a NATS with an index and nothing else."""
    async with nats_server.client() as client:
        await make_index(client)
    return nats_server


async def ls(nats: NatsServer, *options: str) -> Ended:
    """Run the command; it has to go well."""
    ended = await forebay("events", "ls", *options, nats_url=nats.url)
    assert (ended.code, ended.err) == (0, ""), ended
    return ended


async def ids(nats: NatsServer, *options: str) -> list[str]:
    """Return the ids that it finds, in its order."""
    return [record["id"] for record in (await ls(nats, "--json", *options)).records]


async def test_each_filter_finds_its_own(nats: NatsServer) -> None:
    now = int(time.time() * 1000)
    plain = stored("wamid.plain", now - 5 * MINUTE)
    other = stored("wamid.other", now - 4 * MINUTE, endpoint="acme/shop", kind="statuses")
    waits = stored("wamid.waits", now - 3 * MINUTE, person="15550002", channel="2")
    dead = stored("wamid.dead", now - 2 * MINUTE)
    async with nats.client() as client:
        await publish(client, "wamid.dead", dead, handled(dead, now, IndexOutcome.DEAD))
        await publish(client, "wamid.plain", plain, handled(plain, now - 5 * MINUTE + 9))
        await publish(client, "wamid.other", other)
        failed = handled(waits, now - MINUTE, IndexOutcome.FAILED, destination="bi")
        await publish(client, "wamid.waits", waits, failed)
    every = [each.token for each in (plain, other, waits, dead)]
    since = datetime.fromtimestamp((now - 200_000) / 1000, UTC).isoformat()
    expected = {
        (): every,
        ("--endpoint", "acme/shop"): [other.token],
        ("--kind", "statuses"): [other.token],
        ("--channel", "2"): [waits.token],
        ("--conversation", waits.conversation): [waits.token],
        ("--outcome", "dead"): [dead.token],
        ("--outcome", "Delivered"): [plain.token],
        ("--outcome", "new"): [other.token],
        ("--destination", "bi"): [waits.token],
        ("--wamid", "wamid.plain"): [plain.token],
        ("--wamid", "wamid.nobody"): [],
        ("--id", waits.token[:10]): [waits.token],
        ("--since", since): [waits.token, dead.token],
        ("--until", since): [plain.token, other.token],
        ("--limit", "2"): every[:2],
    }
    assert {each: await ids(nats, *each) for each in expected} == expected


async def test_an_hour_is_the_default_and_a_message_is_found_however_old(
    nats: NatsServer,
) -> None:
    old = stored("wamid.old", int(time.time() * 1000) - 120 * MINUTE)
    async with nats.client() as client:
        await publish(client, "wamid.old", old)
    assert await ids(nats) == []
    assert await ids(nats, "--since", "3h") == [old.token]
    assert await ids(nats, "--wamid", "wamid.old") == [old.token]


async def test_an_attempt_that_is_written_before_its_store_is_known_too(nats: NatsServer) -> None:
    now = int(time.time() * 1000)
    own, other = stored("wamid.late", now), stored("wamid.other", now)
    async with nats.client() as client:
        # The attempt is the last one of a page.
        subject = index_subject("0", bucket_of("wamid.late"))
        for _ in range(PAGE_MESSAGES - 1):
            await client.publish(subject, encode_records([other]))
        await publish(client, "wamid.late", handled(own, now + 5))
        await publish(client, "wamid.late", own)
    (row,) = (await ls(nats, "--wamid", "wamid.late", "--json")).records
    assert [each["outcome"] for each in row["handled"]] == ["delivered"]


async def test_a_list_that_is_cut_says_so_and_names_the_time(nats: NatsServer) -> None:
    now = int(time.time() * 1000)
    async with nats.client() as client:
        for number in range(3):
            await publish(client, "wamid.c", stored(f"wamid.c{number}", now - 9 + number))
    out = (await ls(nats, "--limit", "2", "--since", "2h")).out.splitlines()
    assert len(out) == 4  # heads and two rows
    assert out[-1].startswith("the first 2 since 20")
    assert "there are more" in out[-1]
    assert (await ls(nats, "--until", "3h", "--since", "4h")).out.startswith("no item since 20")


async def test_several_shards_and_records_of_a_later_version(nats: NatsServer) -> None:
    now = int(time.time() * 1000)
    one, two = stored("wamid.one", now), stored("wamid.two", now)
    async with nats.client() as client:
        await make_index(client, "blue")
        await publish(client, "wamid.one", one)
        await publish(client, "wamid.two", two, shard="blue")
        await client.jetstream().publish(index_subject("0", "0"), b'[["z",1]]')
    ended = await forebay("events", "ls", "--json", "--shard", "0,blue", nats_url=nats.url)
    assert [each["id"] for each in ended.records] == [one.token, two.token]
    assert "1 records of the index cannot be read" in ended.err


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--outcome", "lost"], "--outcome 'lost' is none: there are new, variant"),
        (["--conversation", "Jo"], "is of hex digits"),
        (["--kind", "message"], "--kind 'message' is none"),
        (["--since", "1h", "--until", "2h"], "--since is not before --until"),
    ],
)
async def test_an_option_that_cannot_be_gets_a_sentence(options: list[str], advice: str) -> None:
    ended = await forebay("events", "ls", *options, nats_url="nats://127.0.0.1:1")
    assert ended.code == 2
    assert advice in ended.err


async def test_a_nats_without_an_index_gets_a_sentence(nats_server: NatsServer) -> None:
    ended = await forebay("events", "ls", nats_url=nats_server.url)
    assert ended.code == 1
    assert "there is no stream FOREBAY_INDEX_0 in this NATS" in ended.err
