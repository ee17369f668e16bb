"""`forebay raw replay`: a webhook split again, or what is in it delivered again."""

import json

import pytest

from forebay.core.subjects import Lane
from support.processor.processor_harness import (
    EVENTS,
    RAW,
    ProcessorHarness,
    token,
    webhook,
)
from support.programs.dead_command import Ended, forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def replay(processor: ProcessorHarness, which: object, *options: str) -> Ended:
    """Run the command, as fast as it goes."""
    return await forebay(
        *("raw", "replay", str(which), "--yes", "--rate", "0", "--json", *options),
        nats_url=processor.stack.nats_server.url,
    )


async def settled(processor: ProcessorHarness) -> None:
    """Wait until the processor has nothing in its hands."""

    async def is_settled() -> bool:
        return not await processor.unacked(RAW) and not await processor.unacked(EVENTS)

    await eventually(is_settled, saying="RAW and EVENTS to be worked off")


async def last_of_raw(processor: ProcessorHarness) -> int:
    return (await processor.client.jetstream().stream_info(RAW)).state.last_seq


async def test_what_is_in_it_comes_again_with_the_same_ids(processor: ProcessorHarness) -> None:
    name = processor.plain()
    body = webhook(("wamid.rr-1", "15550001"), ("wamid.rr-2", "15550002"))
    keys = [token("wamid.rr-1"), token("wamid.rr-2")]
    raw = await processor.store(name, body)
    await processor.wait_delivered(name, keys)
    await settled(processor)
    done = await replay(processor, raw, "--to", "sink")
    assert (done.code, done.record["outcomes"]["replayed"]) == (0, 2)
    await eventually(lambda: len(processor.arrivals(name)) == 4)
    assert sorted(processor.delivered(name)) == sorted([*keys, *keys])
    first = {each.key: each.event for each in processor.arrivals(name)[:2]}
    assert {each.key: each.event for each in processor.arrivals(name)[2:]} == first


async def test_an_item_of_it_names_it(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.store(name, webhook(("wamid.rr-id", "15550001")))
    await processor.wait_delivered(name, [token("wamid.rr-id")])
    await settled(processor)
    done = await replay(processor, token("wamid.rr-id"), "--to", "sink", "--dry-run")
    assert (done.code, done.record["found"], done.record["changed"]) == (0, 1, False)


async def test_split_again_brings_nothing_that_is_known(processor: ProcessorHarness) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.rr-known", "15550001")))
    await processor.wait_delivered(name, [token("wamid.rr-known")])
    await settled(processor)
    done = await replay(processor, raw)
    assert (done.code, done.record["known"], done.record["new"]) == (0, 1, 0)
    assert done.record["changed"]
    assert await last_of_raw(processor) > raw
    # What is sent after it shows that it was split, and brought nothing.
    await processor.send(name, "wamid.rr-after")
    await processor.wait_delivered(name, [token("wamid.rr-after")])
    await settled(processor)
    assert len(processor.arrivals(name)) == 2


async def test_split_again_delivers_what_is_not_known_any_more(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    body = webhook(("wamid.rr-lost", "15550001"), ("wamid.rr-kept", "15550002"))
    raw = await processor.store(name, body)
    await processor.wait_delivered(name, [token("wamid.rr-lost"), token("wamid.rr-kept")])
    await settled(processor)
    lost = f"forebay.event.0.*.{Lane.LIVE}.demo.{name}.messages.{token('wamid.rr-lost')}"
    await processor.client.jetstream().purge_stream(EVENTS, subject=lost)
    dry = await replay(processor, raw, "--dry-run")
    assert (dry.record["known"], dry.record["new"], dry.record["changed"]) == (1, 1, False)
    assert await last_of_raw(processor) == raw
    await replay(processor, raw)
    await eventually(lambda: len(processor.arrivals(name)) == 3)
    await settled(processor)
    assert processor.arrivals(name)[2].key == token("wamid.rr-lost")


async def test_what_events_has_not_any_more_is_delivered_as_it_is_cut(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.rr-cut", "15550001")))
    await processor.wait_delivered(name, [token("wamid.rr-cut")])
    await settled(processor)
    subject = f"forebay.event.0.*.{Lane.LIVE}.demo.{name}.>"
    await processor.client.jetstream().purge_stream(EVENTS, subject=subject)
    await replay(processor, raw, "--to", "sink")
    await eventually(lambda: len(processor.arrivals(name)) == 2)
    first, second = processor.arrivals(name)
    assert second.event == first.event


async def test_the_whole_webhook_goes_to_a_destination_of_format_raw(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, format="Raw"))
    body = webhook(("wamid.rr-whole", "15550001"))
    raw = await processor.store(name, body)
    await eventually(lambda: len(processor.arrivals(name)) == 1)
    await settled(processor)
    done = await replay(processor, raw, "--to", "sink", "--whole")
    assert done.record["groups"][0]["kind"] == "body"
    await eventually(lambda: len(processor.arrivals(name)) == 2)
    first, second = processor.arrivals(name)
    assert (second.body, second.key) == (body, first.key)


async def test_a_variant_comes_again_as_the_variant(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.store(name, webhook(("wamid.rr-var", "15550001"), text="one"))
    await processor.wait_delivered(name, [token("wamid.rr-var")])
    raw = await processor.store(name, webhook(("wamid.rr-var", "15550001"), text="two"))
    await eventually(lambda: len(processor.arrivals(name)) == 2)
    await settled(processor)
    done = await replay(processor, raw, "--to", "sink")
    assert done.record["outcomes"]["replayed"] == 1
    await eventually(lambda: len(processor.arrivals(name)) == 3)
    _, variant, again = processor.arrivals(name)
    assert (again.key, again.event) == (variant.key, variant.event)


async def test_one_that_was_set_aside_is_split_again_and_has_no_items_to_deliver(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    raw = await processor.store(name, b"no JSON", lane=Lane.INVALID)
    await settled(processor)
    refused = await replay(processor, raw, "--to", "sink")
    assert refused.code == 1
    assert "cannot be cut into items" in refused.err
    done = await replay(processor, raw)
    assert (done.code, done.record["known"], done.record["outcome"]) == (0, None, "replayed")
    # It is there once, as a newer copy.
    count = await processor.count(RAW, f"forebay.raw.0.*.invalid.demo.{name}")
    assert count == 1
    assert (await replay(processor, raw)).code == 1


async def test_one_that_is_not_split_yet_is_left_alone(processor: ProcessorHarness) -> None:
    name = "endpoint-that-no-table-knows"
    raw = await processor.store(name, webhook(("wamid.rr-early", "15550001")))
    for options in ((), ("--to", "sink")):
        done = await replay(processor, raw, *options)
        assert done.code == 1
        assert "is about to be split for the first time" in done.err
    assert await last_of_raw(processor) == raw
    await processor.client.jetstream().delete_msg(RAW, raw)


async def test_what_is_no_webhook_gets_a_sentence(processor: ProcessorHarness) -> None:
    ack = await processor.client.jetstream().publish("forebay.raw.0.nobody", b"{}")
    done = await replay(processor, ack.seq, "--to", "sink")
    assert done.code == 1
    assert "is no webhook of Forebay's" in done.err
    await processor.client.jetstream().delete_msg(RAW, ack.seq)


async def test_what_it_is_about_to_do_is_said_to_people(processor: ProcessorHarness) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.rr-say", "15550007777"), text="Hidden"))
    await processor.wait_delivered(name, [token("wamid.rr-say")])
    await settled(processor)
    url = processor.stack.nats_server.url
    ended = await forebay("raw", "replay", str(raw), "--dry-run", nats_url=url)
    assert ended.code == 0
    assert f"webhook {raw} of demo/{name}" in ended.out
    assert "known already, not delivered again: 1" in ended.out
    assert "--to NAME delivers what is in it again" in ended.out
    assert "nothing was changed" in ended.out
    for private in ("15550007777", "Hidden", "wamid.rr-say"):
        assert private not in ended.out
    asked = await forebay("raw", "replay", str(raw), nats_url=url)
    assert asked.code == 2
    assert "say --yes, or --dry-run" in asked.err


@pytest.mark.parametrize(
    ("options", "code", "advice"),
    [
        (["wamid.HBgL"], 2, "is neither a sequence"),
        (["1", "--whole"], 2, "--whole goes with --to"),
        (["1", "--to", "Sink!"], 2, "is no name of a destination"),
        (["999999999", "--yes"], 1, "RAW has no webhook 999999999"),
    ],
)
async def test_what_cannot_be_gets_a_sentence(
    processor: ProcessorHarness, options: list[str], code: int, advice: str
) -> None:
    ended = await forebay("raw", "replay", *options, nats_url=processor.stack.nats_server.url)
    assert ended.code == code
    assert advice in ended.err


async def test_its_json_is_one_object(processor: ProcessorHarness) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.rr-json", "15550001")))
    await processor.wait_delivered(name, [token("wamid.rr-json")])
    await settled(processor)
    done = await replay(processor, raw, "--dry-run")
    assert json.loads(done.out) == {
        "shard": "0",
        "sequence": raw,
        "endpoint": f"demo/{name}",
        "known": 1,
        "new": 0,
        "changed": False,
        "outcome": None,
    }
