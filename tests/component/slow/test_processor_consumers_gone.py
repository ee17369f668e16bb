"""Consumers and streams that are gone, or changed by hand: reported, restored, nothing lost."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from forebay.core.consumer_ack_floors import consumer_floors
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    Lane,
    StreamKind,
    consumer_name,
    endpoint_partition,
    lease_stream,
    lease_subject,
)
from forebay.runtime.jetstream.api import call
from forebay.runtime.jetstream.consumers import list_consumers
from forebay.runtime.jetstream.streams import (
    consumer_configs,
    ensure_shard,
    lease_config,
    stream_config,
)
from support.processor.processor_harness import (
    DEAD,
    EVENTS,
    RAW,
    RETRY,
    ProcessorHarness,
    token,
    webhook,
)
from support.programs.stack import SHARD
from support.timing.wait import eventually

LEASE = lease_stream("0")
STEPS = {RAW: "split", EVENTS: "deliver"}


@pytest.fixture
async def processor(tmp_path: Path) -> AsyncIterator[ProcessorHarness]:
    """Give a processor of the test's own: what it works on is taken away."""
    async with ProcessorHarness(tmp_path, FOREBAY_PROCESSOR_STREAM_CHECK_SECONDS="0.5") as running:
        yield running


async def delete_consumers(processor: ProcessorHarness, *streams: str) -> None:
    """Delete what the processor pulls from, as by hand."""
    context = processor.client.jetstream()
    await asyncio.gather(
        *(
            context.delete_consumer(stream, name)
            for stream in streams
            for name in consumer_configs(STEPS[stream], "0")
        )
    )


async def waiting_for(processor: ProcessorHarness) -> list[str]:
    """Return what the processor says at `/readyz`."""
    waiting: list[str] = json.loads((await processor.part.admin("/readyz")).body)["waiting_for"]
    return waiting


async def says(processor: ProcessorHarness, text: str) -> None:
    """Wait until `/readyz` names something."""

    async def named() -> bool:
        return any(text in each for each in await waiting_for(processor))

    await eventually(named, saying=f"/readyz to say {text!r}")


async def is_ready(processor: ProcessorHarness) -> None:
    await eventually(processor.part.ready, within=15, saying="the processor to be ready again")


async def written_down(processor: ProcessorHarness, stream: str) -> None:
    """Wait until the table of leases says that a stream is worked off."""
    last = (await processor.client.jetstream().stream_info(stream)).state.last_seq
    step = STEPS[stream]

    async def is_there() -> bool:
        found = await processor.client.jetstream().get_last_msg(LEASE, lease_subject("0"))
        floors = consumer_floors(found.data or b"")
        return any(
            name.startswith(step) and floor.sequence == last for name, floor in floors.items()
        )

    await eventually(is_there, within=15, saying=f"how far {stream} is to be written down")


@pytest.mark.parametrize("stream", [RAW, EVENTS])
async def test_items_arrive_once_though_all_consumers_were_deleted(
    processor: ProcessorHarness, stream: str
) -> None:
    name = processor.plain()
    before = await processor.send(name, *(f"wamid.before.{number}" for number in range(5)))
    await processor.wait_delivered(name, before)
    await delete_consumers(processor, stream)
    after = await processor.send(name, *(f"wamid.after.{number}" for number in range(5)))
    await processor.wait_delivered(name, after)
    assert processor.delivered(name) == before + after
    assert len(processor.part.logged("consumers_broken")) == 1
    assert processor.part.logged("consumers_restored")
    metric = processor.part.metric
    assert await metric("forebay_processor_consumers_restored_total", stream=stream) > 0
    assert await metric("forebay_processor_pulls_refused_total", stream=stream) > 0
    await is_ready(processor)


async def test_what_was_under_way_when_its_consumer_was_deleted_arrives_once(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    processor.sink.hold()
    keys = await processor.send(name, "wamid.held.1", "wamid.held.2", "wamid.held.3")
    await eventually(lambda: processor.arrivals(name), saying="the first to be under way")
    await delete_consumers(processor, RAW, EVENTS)
    await eventually(lambda: processor.part.logged("consumers_restored"))
    processor.sink.release()
    await processor.wait_delivered(name, keys)
    later = await processor.send(name, "wamid.later")
    await processor.wait_delivered(name, later)
    assert processor.delivered(name) == keys + later


async def test_consumers_deleted_while_nobody_worked_begin_where_they_were(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    before = await processor.send(name, *(f"wamid.before.{number}" for number in range(5)))
    await processor.wait_delivered(name, before)
    await written_down(processor, RAW)
    await written_down(processor, EVENTS)
    await processor.part.kill()
    await delete_consumers(processor, RAW, EVENTS)
    after = await processor.send(name, "wamid.after")
    await processor.part.start()
    await processor.wait_delivered(name, after)
    assert processor.delivered(name) == before + after
    restored = await processor.part.metric("forebay_processor_redeliveries_total")
    assert restored == 0, "nothing that was finished was even handed out"


async def test_consumers_made_by_hand_from_the_beginning_repeat_nothing(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    before = await processor.send(name, *(f"wamid.before.{number}" for number in range(5)))
    await processor.wait_delivered(name, before)
    await written_down(processor, EVENTS)
    await processor.part.kill()
    await delete_consumers(processor, EVENTS)
    for config in consumer_configs("deliver", "0").values():
        await processor.client.jetstream().add_consumer(EVENTS, config)
    await processor.part.start()
    after = await processor.send(name, "wamid.after")
    await processor.wait_delivered(name, after)
    assert processor.delivered(name) == before + after


async def test_provisioning_makes_a_consumer_again_where_it_was(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.1", "wamid.2"))
    await written_down(processor, RAW)
    await processor.part.kill()
    await delete_consumers(processor, RAW)
    await ensure_shard(processor.client, SHARD)
    partition = endpoint_partition(EndpointName("demo", name), "0")
    info = await processor.client.jetstream().consumer_info(RAW, f"split-live-{partition:02d}")
    assert (info.num_pending, info.config.opt_start_seq) == (0, 3)
    # Once more, it is as it should be.
    await ensure_shard(processor.client, SHARD)
    await processor.part.start()


async def test_a_consumer_that_was_changed_gets_its_settings_back(
    processor: ProcessorHarness,
) -> None:
    name, context = processor.plain(), processor.client.jetstream()
    before = await processor.send(name, "wamid.before.the.change")
    await processor.wait_delivered(name, before)
    wanted = consumer_configs("deliver", "0")
    until = {"pause_until": "2100-01-01T00:00:00Z"}

    async def is_right() -> bool:
        found = await list_consumers(processor.client, EVENTS)
        return all(
            each in found
            and found[each].config["filter_subject"] == config.filter_subject
            and found[each].config["max_ack_pending"] == config.max_ack_pending
            and "pause_until" not in found[each].config
            for each, config in wanted.items()
        )

    for number, (each, config) in enumerate(wanted.items()):
        if number % 3 == 0:
            await call(processor.client, f"CONSUMER.PAUSE.{EVENTS}.{each}", until)
            continue
        changed = (
            {"filter_subject": "forebay.event.0.99.>"}
            if number % 3 == 1
            else {"max_ack_pending": 1}
        )
        await context.add_consumer(EVENTS, config.evolve(name=each, **changed))
    assert not await is_right()
    await eventually(is_right, within=15, saying="the settings to be as they were")
    after = await processor.send(name, "wamid.after.the.change")
    await processor.wait_delivered(name, after)
    assert processor.delivered(name) == before + after


async def test_a_consumer_made_by_hand_that_leaves_out_what_waits_is_made_anew(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.first"))
    await written_down(processor, RAW)
    await processor.part.kill()
    await delete_consumers(processor, RAW)
    keys = await processor.send(name, "wamid.left.out")
    for config in consumer_configs("split", "0").values():
        new: ConsumerConfig = config.evolve(deliver_policy="new")
        await processor.client.jetstream().add_consumer(RAW, new)
    await processor.part.start()
    await processor.wait_delivered(name, keys, within=15)
    assert len(processor.delivered(name)) == 2


async def test_what_somebody_else_was_handed_last_comes_without_a_newer_message(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await is_ready(processor)
    consumer = consumer_name(
        "split", Lane.LIVE, endpoint_partition(EndpointName("demo", name), "0")
    )
    taken: list[Msg] = []

    async def take(message: Msg) -> None:
        if message.reply.startswith("$JS.ACK."):
            taken.append(message)

    inbox = processor.client.new_inbox()
    await processor.client.subscribe(inbox, cb=take)
    # As an owner that was stopped would, with a request from before. Which of two requests gets a
    # message is the server's to say.
    request = json.dumps({"batch": 1, "expires": 20_000_000_000}).encode()
    await processor.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{RAW}.{consumer}", request, inbox)
    keys: list[str] = []
    while not taken:
        own = f"wamid.taken.{len(keys)}"
        keys.append(token(own))
        await processor.store(name, webhook((own, "15550001")))
        await eventually(lambda: taken or processor.delivered(name) == keys, saying=own)
    # Before the ack wait of 30 s is over.
    await processor.wait_delivered(name, keys, within=15)
    assert processor.delivered(name) == keys


@pytest.mark.parametrize("stream", [RETRY, DEAD])
async def test_a_stream_that_is_missing_is_named_until_it_is_back(
    processor: ProcessorHarness, stream: str
) -> None:
    context = processor.client.jetstream()
    await context.delete_stream(stream)
    await says(processor, f"stream {stream} is missing")
    assert len(processor.part.logged("stream_missing")) == 1
    await ensure_shard(processor.client, SHARD)
    await is_ready(processor)


@pytest.mark.parametrize("kind", [StreamKind.RAW, StreamKind.EVENTS])
async def test_a_stream_that_was_made_anew_is_worked_from_its_beginning(
    processor: ProcessorHarness, kind: StreamKind
) -> None:
    name = processor.plain()
    config = stream_config(kind, SHARD)
    stream = str(config.name)
    await processor.wait_delivered(
        name, await processor.send(name, "wamid.1", "wamid.2", "wamid.3")
    )
    await written_down(processor, stream)
    await processor.client.jetstream().delete_stream(stream)
    await says(processor, f"stream {stream} is missing")
    # Without consumers, as `nats stream add` makes it: those are the processor's.
    await processor.client.jetstream().add_stream(config)
    await is_ready(processor)
    await processor.wait_delivered(name, await processor.send(name, "wamid.4", "wamid.5"))


async def test_the_table_of_leases_that_is_gone_is_named_until_it_is_back(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await processor.wait_delivered(name, await processor.send(name, "wamid.before"))
    await processor.client.jetstream().delete_stream(LEASE)
    await says(processor, "the table of leases of shard 0")
    keys = await processor.send(name, "wamid.meanwhile")
    await processor.client.jetstream().add_stream(lease_config(SHARD))
    await processor.wait_delivered(name, keys, within=15)
    await is_ready(processor)
    assert len(processor.delivered(name)) == 2
