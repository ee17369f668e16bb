"""A shard's streams and consumers: made, made again, changed, and refused if they are not ours."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from forebay.core.errors import ConfigurationError
from forebay.core.subjects import FORMAT_VERSION, PARTITIONS, Lane, StreamKind, stream_name
from forebay.runtime.jetstream.api import call
from forebay.runtime.jetstream.consumers import list_consumers
from forebay.runtime.jetstream.errors import CLAIM_REFUSED_TEXT, StoreUnavailable
from forebay.runtime.jetstream.streams import FORMAT_KEY, ShardConfig, ensure_shard, stream_config
from forebay.runtime.provision_command import provision
from forebay.runtime.settings import NatsSettings
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Give a client of a server that this module shares: each test has a shard of its own."""
    async with NatsServer(tmp_path_factory.mktemp("nats")) as server, server.client() as connected:
        yield connected


def shard(name: str) -> ShardConfig:
    return msgspec.structs.replace(SHARD, shard=name)


async def names_of_consumers(client: Client, stream: str) -> set[str]:
    manager = client.jetstream()
    found = await manager.consumers_info(stream)
    return {info.name for info in found}


async def refusal(client: Client, subject: str) -> str:
    """Publish what has to be refused, and return the server's words."""
    with pytest.raises(APIError) as error:
        await client.jetstream().publish(subject, b"second")
    return str(error.value.description)


async def test_all_streams_and_consumers_are_made(client: Client) -> None:
    await ensure_shard(client, shard("all"))
    context = client.jetstream()
    for kind in StreamKind:
        config = (await context.stream_info(stream_name(kind, "all"))).config
        assert config.subjects == [f"forebay.{kind}.all.>"]
        assert (config.metadata or {})[FORMAT_KEY] == FORMAT_VERSION
    assert await names_of_consumers(client, "FOREBAY_RAW_all") == {
        f"split-{lane}-{partition:02d}" for lane in Lane for partition in range(PARTITIONS)
    }
    assert await names_of_consumers(client, "FOREBAY_EVENTS_all") == {
        f"deliver-{lane}-{partition:02d}"
        for lane in ("live", "status", "bulk")
        for partition in range(PARTITIONS)
    }
    for name in ("FOREBAY_RETRY_all", "FOREBAY_DEAD_all"):
        assert await names_of_consumers(client, name) == set()


async def test_again_and_by_several_at_once_changes_nothing(client: Client) -> None:
    await ensure_shard(client, shard("again"))
    context = client.jetstream()
    await context.publish("forebay.raw.again.03.live.demo.meta", b"kept")
    before = await context.stream_info("FOREBAY_RAW_again")
    await asyncio.gather(*(ensure_shard(client, shard("again")) for _ in range(3)))
    after = await context.stream_info("FOREBAY_RAW_again")
    assert after.config == before.config
    assert (after.state.messages, after.state.consumer_count) == (1, 4 * PARTITIONS)


async def test_a_new_size_and_age_are_taken_over_with_what_is_stored(client: Client) -> None:
    await ensure_shard(client, shard("grown"))
    context = client.jetstream()
    await context.publish("forebay.raw.grown.03.live.demo.meta", b"kept")
    larger = msgspec.structs.replace(
        shard("grown"), raw_max_bytes=99 * 1024 * 1024, raw_max_age=timedelta(hours=24)
    )
    await ensure_shard(client, larger)
    info = await context.stream_info("FOREBAY_RAW_grown")
    assert (info.config.max_bytes, info.config.max_age) == (99 * 1024 * 1024, 24 * 3600)
    assert info.state.messages == 1


ADDED: Mapping[str, object] = {
    "backoff": [30_000_000_000, 60_000_000_000],
    "headers_only": True,
    "inactive_threshold": 3_600_000_000_000,
    "max_batch": 1,
    "max_bytes": 1024,
    "max_expires": 1_000_000_000,
}
"""Settings that ours do not have, as somebody may add them by hand."""


async def test_what_somebody_added_to_a_consumer_is_taken_away(client: Client) -> None:
    await ensure_shard(client, shard("added"))
    stream = "FOREBAY_RAW_added"
    before = await list_consumers(client, stream)
    changed = dict(zip(sorted(before), ADDED.items(), strict=False))
    for name, (setting, value) in changed.items():
        config = {**before[name].config, setting: value}
        subject = f"CONSUMER.CREATE.{stream}.{name}.{config['filter_subject']}"
        await call(client, subject, {"stream_name": stream, "config": config})
    there = await list_consumers(client, stream)
    assert [there[name].config.get(setting) for name, (setting, _) in changed.items()] == [
        *ADDED.values()
    ]
    await ensure_shard(client, shard("added"))
    after = await list_consumers(client, stream)
    assert {name: each.config for name, each in after.items()} == {
        name: each.config for name, each in before.items()
    }


async def test_a_consumer_that_was_paused_goes_on_behind_what_it_had_acked(client: Client) -> None:
    await ensure_shard(client, shard("paused"))
    stream, name, context = "FOREBAY_RAW_paused", "split-live-03", client.jetstream()
    pulled = await context.pull_subscribe_bind(name, stream)
    for number in range(3):
        await context.publish("forebay.raw.paused.03.live.demo.meta", b"%d" % number)
    for message in await pulled.fetch(2, timeout=5):
        await message.ack_sync()
    until = {"pause_until": "2100-01-01T00:00:00Z"}
    assert (await call(client, f"CONSUMER.PAUSE.{stream}.{name}", until))["paused"]
    await ensure_shard(client, shard("paused"))
    assert [message.data for message in await pulled.fetch(1, timeout=5)] == [b"2"]
    info = await context.consumer_info(stream, name)
    assert (info.num_ack_pending, info.num_pending) == (1, 0)
    # Once more, there is nothing to be done.
    before = (await list_consumers(client, stream))[name].created
    await ensure_shard(client, shard("paused"))
    assert (await list_consumers(client, stream))[name].created == before


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("foreign", None),
        ("older", {FORMAT_KEY: "1"}),
        ("newer", {FORMAT_KEY: str(int(FORMAT_VERSION) + 1)}),
    ],
)
async def test_a_stream_of_another_format_is_refused_and_left_alone(
    client: Client, name: str, metadata: dict[str, str] | None
) -> None:
    foreign = stream_config(StreamKind.EVENTS, shard(name))
    foreign.metadata = metadata
    foreign.max_msgs_per_subject = 7
    await client.jetstream().add_stream(foreign)
    with pytest.raises(ConfigurationError) as refused:
        await ensure_shard(client, shard(name))
    assert f"stream FOREBAY_EVENTS_{name} is of format" in str(refused.value)
    assert "use the Forebay that wrote it, or another NATS" in str(refused.value)
    kept = (await client.jetstream().stream_info(f"FOREBAY_EVENTS_{name}")).config
    assert kept.max_msgs_per_subject == 7


async def test_subjects_that_another_stream_has_are_reported_in_a_sentence(client: Client) -> None:
    await client.jetstream().add_stream(
        StreamConfig(name="OTHER", subjects=["forebay.raw.taken.>"])
    )
    with pytest.raises(
        ConfigurationError, match=r"NATS refuses stream FOREBAY_RAW_taken: .*overlap"
    ):
        await ensure_shard(client, shard("taken"))


async def test_raw_takes_a_webhook_once_within_its_window(client: Client) -> None:
    await ensure_shard(client, shard("raw"))
    context = client.jetstream()
    assert (await context.stream_info("FOREBAY_RAW_raw")).config.duplicate_window == 120
    subject = "forebay.raw.raw.03.live.demo.meta"
    acks = [
        await context.publish(subject, b"1", headers={"Nats-Msg-Id": each})
        for each in ("a", "b", "a")
    ]
    assert [bool(ack.duplicate) for ack in acks] == [False, False, True]


async def test_events_take_one_message_a_subject_and_refuse_the_second(client: Client) -> None:
    await ensure_shard(client, shard("events"))
    context = client.jetstream()
    subject = "forebay.event.events.03.live.demo.meta.messages.ab"
    await context.publish(subject, b"first")
    assert await refusal(client, subject) == CLAIM_REFUSED_TEXT
    assert (await context.get_last_msg("FOREBAY_EVENTS_events", subject)).data == b"first"


async def test_retry_keeps_the_first_message_of_a_subject(client: Client) -> None:
    await ensure_shard(client, shard("retry"))
    context = client.jetstream()
    subject = "forebay.retry.retry.03.live.demo.meta.crm.cd.ab"
    await context.publish(subject, b"first")
    with pytest.raises(APIError, match=CLAIM_REFUSED_TEXT):
        await context.publish(subject, b"second")
    info = await context.stream_info("FOREBAY_RETRY_retry")
    assert info.state.messages == 1
    assert info.config.max_age in {0, None}
    assert (await context.get_last_msg("FOREBAY_RETRY_retry", subject)).data == b"first"


@pytest.mark.parametrize("size", [100, 2_000, 2_500])
async def test_a_full_retry_says_of_a_row_that_is_there_that_it_is_there(
    client: Client, size: int
) -> None:
    # If it said that it is full, the item would be tried from memory, and once more from its row.
    own = f"full{size}"
    await ensure_shard(client, msgspec.structs.replace(shard(own), retry_max_bytes=3_000))
    context = client.jetstream()
    subject = f"forebay.retry.{own}.03.live.demo.meta.crm.cd.ab"
    await context.publish(subject, b"1" * 2_000)
    with pytest.raises(APIError, match=CLAIM_REFUSED_TEXT):
        await context.publish(subject, b"2" * size)
    with pytest.raises(APIError) as error:
        await context.publish(f"{subject}c", b"3" * 2_000)
    assert error.value.description != CLAIM_REFUSED_TEXT


async def test_a_full_stream_refuses_and_keeps_what_it_has(client: Client) -> None:
    await ensure_shard(client, msgspec.structs.replace(shard("small"), raw_max_bytes=3_000))
    context = client.jetstream()
    subject = "forebay.raw.small.03.live.demo.meta"
    await context.publish(subject, b"1" * 2_000)
    with pytest.raises(APIError) as error:
        await context.publish(subject, b"2" * 2_000)
    assert error.value.err_code == 10077
    assert error.value.description != CLAIM_REFUSED_TEXT
    assert (await context.get_last_msg("FOREBAY_RAW_small", subject)).data == b"1" * 2_000


async def test_a_server_without_room_is_reported_in_a_sentence(tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path / "nats", max_file_store="16MB") as server,
        server.client() as client,
    ):
        with pytest.raises(ConfigurationError, match=r"stream FOREBAY_RAW_0: .*storage"):
            await ensure_shard(client, SHARD)


async def test_without_a_server_it_is_reported_in_a_sentence() -> None:
    with pytest.raises(StoreUnavailable, match="NATS did not answer"):
        await provision(NatsSettings(url="nats://127.0.0.1:1"), SHARD)
