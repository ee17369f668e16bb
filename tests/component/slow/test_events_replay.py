"""`forebay events replay`: what was delivered is delivered again, under the same id."""

import pytest

from forebay.core.subjects import Lane
from forebay.core.tables import Retry
from support.processor.processor_harness import EVENTS, RETRY, ProcessorHarness, token, webhook
from support.programs.dead_command import Ended, forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = Retry(initial_delay_seconds=300, max_delay_seconds=300)


async def replay(processor: ProcessorHarness, *options: str) -> Ended:
    """Run the command, as fast as it goes."""
    return await forebay(
        *("events", "replay", "--yes", "--rate", "0", "--json", *options),
        nats_url=processor.stack.nats_server.url,
    )


async def delivered(processor: ProcessorHarness, name: str, *messages: str) -> list[str]:
    """Send messages, and wait until they are delivered and off the hands of the processor."""
    keys = await processor.send(name, *messages)
    await processor.wait_delivered(name, keys)
    await eventually(lambda: is_settled(processor), saying="EVENTS to be worked off")
    return keys


async def is_settled(processor: ProcessorHarness) -> bool:
    return await processor.unacked(EVENTS) == 0


async def has_no_rows(processor: ProcessorHarness, name: str) -> bool:
    return await processor.rows(name) == 0


async def test_a_delivered_message_comes_again_as_the_same_event(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    (key,) = await delivered(processor, name, "wamid.ev-again")

    async def is_found() -> bool:
        done = await replay(processor, "--wamid", "wamid.ev-again", "--to", "sink")
        return bool(done.code == 0 and done.record["outcomes"]["replayed"] == 1)

    await eventually(is_found, within=20, saying="the index to know the message")
    await eventually(lambda: len(processor.arrivals(name)) == 2)
    first, second = processor.arrivals(name)
    assert (first.key, second.key) == (key, key)
    assert second.event == first.event
    assert second.attempt == 1
    await eventually(lambda: has_no_rows(processor, name))


async def test_all_of_an_endpoint_and_a_time_go_to_another_destination(
    processor: ProcessorHarness,
) -> None:
    name, other = processor.new_name(), processor.new_name()
    await processor.serve(
        name, processor.http(name), processor.http(other, name="other", events=("statuses",))
    )
    keys = await delivered(processor, name, "wamid.ev-t1", "wamid.ev-t2", "wamid.ev-t3")
    asked = ("-e", f"demo/{name}", "--since", "1h", "--to", "other")
    dry = await replay(processor, *asked, "--dry-run")
    assert dry.record["groups"] == [
        {"endpoint": f"demo/{name}", "destination": "other", "kind": "messages", "count": 3}
    ]
    assert not dry.record["changed"]
    assert await processor.rows(name) == 0
    done = await replay(processor, *asked)
    assert done.record["outcomes"]["replayed"] == 3
    await processor.wait_delivered(other, keys)
    assert sorted(processor.delivered(name)) == sorted(keys)


async def test_each_filter_finds_its_own(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    one, _ = await delivered(processor, name, "wamid.ev-f1", "wamid.ev-f2")
    scope = ("-e", f"demo/{name}", "--since", "1h", "--to", "sink", "--dry-run")
    for options, count in {
        (): 2,
        ("--id", one): 1,
        ("--id", one[:12]): 1,
        ("--kind", "messages"): 2,
        ("--kind", "statuses"): 0,
        ("--channel", "1"): 0,
        ("--until", "30m"): 0,
        ("--conversation", "0" * 16): 0,
    }.items():
        done = await replay(processor, *scope, *options)
        assert (done.code, done.record["found"]) == (0, count), options


async def test_what_waits_or_is_dead_is_left_alone(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    processor.sink.answer_key(token("wamid.ev-dead"), 422)
    await processor.store(name, webhook(("wamid.ev-dead", "15550002222")))
    await processor.letter(name, token("wamid.ev-dead"))
    processor.sink.refuse_key(token("wamid.ev-wait"))
    await processor.send(name, "wamid.ev-wait")
    await processor.row(name)
    await eventually(lambda: is_settled(processor))
    before = await processor.rows(name)
    done = await replay(processor, "-e", f"demo/{name}", "--since", "1h", "--to", "sink")
    assert done.record["outcomes"] | {"undelivered": 1, "dead": 1} == done.record["outcomes"]
    assert done.record["outcomes"]["replayed"] == 0
    assert await processor.rows(name) == before
    assert await processor.letters(name) == 1


async def test_a_replay_that_still_waits_is_not_made_twice(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    (key,) = await delivered(processor, name, "wamid.ev-twice")
    await processor.serve(name, processor.http(name), paused=True)
    asked = ("-e", f"demo/{name}", "--since", "1h", "--to", "sink")
    first, second = await replay(processor, *asked), await replay(processor, *asked)
    assert first.record["outcomes"]["replayed"] == 1
    assert second.record["outcomes"]["waiting"] == 1
    assert await processor.rows(name) == 1
    await processor.serve(name, processor.http(name))
    await eventually(lambda: processor.delivered(name) == [key, key])


async def test_a_destination_that_is_not_there_makes_a_dead_letter_and_loses_nothing(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    (key,) = await delivered(processor, name, "wamid.ev-nowhere")
    done = await replay(processor, "-e", f"demo/{name}", "--since", "1h", "--to", "nosuch")
    assert done.code == 0
    letter = await processor.letter(name, key, "nosuch")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"


async def test_a_whole_webhook_is_replayed_where_its_kind_is_named(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, format="Raw"))
    body = webhook(("wamid.ev-body", "15550001"))
    await processor.store(name, body)
    await eventually(lambda: len(processor.arrivals(name)) == 1)
    await eventually(lambda: is_settled(processor))
    scope = ("-e", f"demo/{name}", "--since", "1h", "--to", "sink")
    assert (await replay(processor, *scope, "--kind", "body")).record["outcomes"]["replayed"] == 1
    await eventually(lambda: len(processor.arrivals(name)) == 2)
    assert [each.body for each in processor.arrivals(name)] == [body, body]


async def test_what_is_gone_from_events_is_one_sentence_that_names_the_webhook(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.ev-gone", "15550001")))
    await processor.wait_delivered(name, [token("wamid.ev-gone")])

    async def is_known() -> bool:
        asked = ("--wamid", "wamid.ev-gone", "--to", "sink", "--dry-run")
        done = await replay(processor, *asked)
        return done.code == 0 and bool(done.record["found"])

    await eventually(is_known, within=20, saying="the index to know the message")
    await eventually(lambda: is_settled(processor))
    subject = f"forebay.event.0.*.{Lane.LIVE}.demo.{name}.>"
    await processor.client.jetstream().purge_stream(EVENTS, subject=subject)
    done = await replay(processor, "--wamid", "wamid.ev-gone", "--to", "sink")
    assert done.code == 1
    assert f"`forebay raw replay {raw} --to" in done.err


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--to", "sink"], "say which: by --wamid, by --id, or by --endpoint and --since"),
        (["--to", "sink", "-e", "demo/meta"], "say which"),
        (["--to", "sink", "--since", "1h"], "say which"),
        (["--to", "Sink!", "--id", "ab"], "--to 'Sink!' is no name of a destination"),
        (["--to", "sink", "--id", "xyz"], "is no id"),
    ],
)
async def test_an_option_that_cannot_be_gets_a_sentence(options: list[str], advice: str) -> None:
    ended = await forebay("events", "replay", *options, nats_url="nats://127.0.0.1:1")
    assert ended.code == 2
    assert advice in ended.err


async def test_nothing_happens_where_nobody_can_be_asked(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await delivered(processor, name, "wamid.ev-ask")
    url = processor.stack.nats_server.url
    asked = ("-e", f"demo/{name}", "--since", "1h", "--to", "sink")
    before = (await processor.client.jetstream().stream_info(RETRY)).state.last_seq
    done = await forebay("events", "replay", *asked, nats_url=url)
    assert done.code == 2
    assert "say --yes, or --dry-run" in done.err
    assert (await processor.client.jetstream().stream_info(RETRY)).state.last_seq == before
