"""A replay into a stream without room says so, and keeps what it could not store."""

import msgspec
from nats.aio.client import Client

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RawSubject, RetrySubject, endpoint_partition
from forebay.runtime.jetstream.streams import ensure_shard
from support.nats.nats_server import NatsServer
from support.nats.streams import count
from support.processor.processor_harness import DEAD, RAW, RETRY
from support.programs.dead_command import Ended, dead_letter, forebay_dead
from support.programs.stack import SHARD

LETTERS = 3


def assert_says_what_is_full(done: Ended) -> None:
    assert done.code == 1
    (sentence,) = done.err.strip().splitlines()[-1:]
    assert "maximum bytes exceeded" in sentence
    assert "Traceback" not in done.err


async def test_letters_that_retry_has_no_room_for_stay_and_are_replayed_later(
    client: Client, nats_server: NatsServer
) -> None:
    keys = {await dead_letter(client, f"wamid.full.{number}") for number in range(LETTERS)}
    assert len(keys) == LETTERS
    await ensure_shard(client, msgspec.structs.replace(SHARD, retry_max_bytes=100))
    full = await forebay_dead("replay", "--yes", nats_url=nats_server.url)
    assert_says_what_is_full(full)
    assert (await count(client, DEAD), await count(client, RETRY)) == (LETTERS, 0)
    await ensure_shard(client, SHARD)
    done = await forebay_dead("replay", "--yes", "-o", "json", nats_url=nats_server.url)
    assert (done.code, done.record["outcomes"]["replayed"]) == (0, LETTERS)
    assert (await count(client, DEAD), await count(client, RETRY)) == (0, LETTERS)


async def test_letters_do_not_take_what_is_kept_of_retry_for_others(
    client: Client, nats_server: NatsServer
) -> None:
    for number in range(LETTERS):
        await dead_letter(client, f"wamid.full.{number}")
    waiting = RetrySubject("0", 0, Lane.LIVE, EndpointName("demo", "shop"), "sink", "c", "k")
    await client.jetstream().publish(str(waiting), b"x" * 9_200)
    await ensure_shard(client, msgspec.structs.replace(SHARD, retry_max_bytes=10_000))
    full = await forebay_dead("replay", "--yes", nats_url=nats_server.url)
    assert full.code == 1
    assert "RETRY is 9" in full.err
    assert (await count(client, DEAD), await count(client, RETRY)) == (LETTERS, 1)


async def test_a_body_that_raw_has_no_room_for_stays_and_is_replayed_later(
    client: Client, nats_server: NatsServer
) -> None:
    endpoint = EndpointName("demo", "shop")
    subject = str(RawSubject("0", endpoint_partition(endpoint, "0"), Lane.INVALID, endpoint))
    headers = {envelope.RECEIVED_AT: "1795165201000", envelope.REASON: "NotJson"}
    await client.jetstream().publish(subject, b"no JSON", headers=headers)
    used = (await client.jetstream().stream_info(RAW)).state.bytes
    await ensure_shard(client, msgspec.structs.replace(SHARD, raw_max_bytes=used + 10))
    replay = ("replay", "--invalid", "--yes")
    full = await forebay_dead(*replay, nats_url=nats_server.url)
    assert_says_what_is_full(full)
    kept = await client.jetstream().get_last_msg(RAW, subject)
    assert (kept.seq, kept.data, (kept.headers or {})[envelope.REASON]) == (
        *(1, b"no JSON"),
        "NotJson",
    )
    await ensure_shard(client, SHARD)
    done = await forebay_dead(*replay, "-o", "json", nats_url=nats_server.url)
    assert (done.code, done.record["outcomes"]["replayed"]) == (0, 1)
    again = await client.jetstream().get_last_msg(RAW, subject)
    assert (again.data, envelope.REASON in (again.headers or {})) == (b"no JSON", False)
    assert await count(client, RAW) == 1
