"""`forebay events show` tells what happened to one message, whatever became of it."""

import json
from typing import Any

import pytest

from forebay.core.index_records import bucket_of
from forebay.core.subjects import index_subject
from forebay.core.tables import Retry
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.programs.dead_command import Ended, forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = Retry(initial_delay_seconds=300, max_delay_seconds=300)


async def show(processor: ProcessorHarness, *arguments: str) -> Ended:
    """Run the command."""
    return await forebay("events", "show", *arguments, nats_url=processor.stack.nats_server.url)


async def story(processor: ProcessorHarness, message: str, *outcomes: str) -> dict[str, Any]:
    """Wait until the command knows these outcomes of a message, and return what it says."""

    async def known() -> dict[str, Any] | None:
        ended = await show(processor, message, "--output", "json")
        if ended.code:
            return None
        (line,) = ended.out.splitlines()
        told: dict[str, Any] = json.loads(line)
        found = [each["outcome"] for each in (*told["stored"], *told["handled"])]
        return told if sorted(found) == sorted(outcomes) else None

    # Most of this is the start of the command, on a busy machine.
    last: dict[str, Any] | None = await eventually(
        known, within=30, saying=f"{outcomes} of {message}"
    )
    assert last is not None
    return last


async def test_a_delivered_message(processor: ProcessorHarness) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.show-d", "15550001")))
    told = await story(processor, "wamid.show-d", "new", "delivered")
    assert (told["id"], told["endpoint"]) == (token("wamid.show-d"), f"demo/{name}")
    assert told["stored"][0]["rawSequence"] == raw
    assert told["handled"][0]["attempt"] == 1
    assert told["now"] == ["sink: delivered"]
    ended = await show(processor, "wamid.show-d")
    assert f"webhook {raw} of RAW" in ended.out
    assert "sink: attempt 1 delivered in" in ended.out


async def test_a_message_that_waits_and_one_behind_it(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    processor.sink.refuse_key(token("wamid.show-w1"))
    await processor.send(name, "wamid.show-w1", "wamid.show-w2", person="15550001")
    told = await story(processor, "wamid.show-w1", "new", "failed")
    (now,) = told["now"]
    assert now.startswith("sink: waits since ")
    assert told["handled"][0]["nextAttemptAt"] in now
    assert told["handled"][0]["error"] == "status 503"
    behind = await story(processor, "wamid.show-w2", "new", "parked")
    assert behind["now"][0].startswith("sink: waits since ")


async def test_a_dead_message_with_its_answer_only_where_it_is_revealed(
    processor: ProcessorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = processor.plain()
    processor.sink.refuse_key(token("wamid.show-x"), 422)
    monkeypatch.setattr(processor.sink, "text", "no column named wa_id")
    await processor.send(name, "wamid.show-x")
    told = await story(processor, "wamid.show-x", "new", "rejected", "dead")
    assert told["now"] == [
        f"sink: dead letter (Rejected), see `forebay dead show {token('wamid.show-x')[:12]}`"
    ]
    assert "no column" not in (await show(processor, "wamid.show-x")).out
    assert "no column named wa_id" in (await show(processor, "wamid.show-x", "--reveal")).out


async def test_one_message_at_two_endpoints_has_two_stories(processor: ProcessorHarness) -> None:
    there, away = processor.plain(), processor.new_name()
    await processor.serve(away, processor.http(away, retry=LATER))
    body = webhook(("wamid.show-2", "15550001"))
    await processor.store(there, body)
    await story(processor, "wamid.show-2", "new", "delivered")
    processor.sink.refuse_key(token("wamid.show-2"))
    await processor.store(away, body)

    async def stories() -> dict[str, list[str]] | None:
        ended = await show(processor, "wamid.show-2", "--json")
        found = [json.loads(line) for line in ended.out.splitlines()]
        is_tried = [each for each in found if len(each["handled"]) == 1]
        return {each["endpoint"]: each["now"] for each in found} if len(is_tried) == 2 else None

    found: dict[str, list[str]] | None = await eventually(stories, within=30, saying="two stories")
    assert found is not None
    assert found.keys() == {f"demo/{there}", f"demo/{away}"}
    assert found[f"demo/{there}"] == ["sink: delivered"]
    assert found[f"demo/{away}"][0].startswith("sink: waits since ")


async def test_a_repeated_message(processor: ProcessorHarness) -> None:
    name = processor.plain()
    body = webhook(("wamid.show-r", "15550001"))
    for _ in range(3):
        await processor.store(name, body)
    told = await story(processor, "wamid.show-r", "new", "repeat", "repeat", "delivered")
    assert [each["outcome"] for each in told["stored"]] == ["new", "repeat", "repeat"]
    assert told["now"] == ["sink: delivered"]


async def test_a_message_that_was_never_seen(processor: ProcessorHarness) -> None:
    ended = await show(processor, "wamid.of-nobody")
    assert ended.code == 1
    assert not ended.out
    assert "nothing is known of this message" in ended.err
    assert "no webhook with it was split" in ended.err


async def test_records_of_a_later_version_hide_nothing_and_are_told(
    processor: ProcessorHarness,
) -> None:
    message = "wamid.show-later"
    name = processor.plain()
    subject = index_subject("0", bucket_of(message))
    await processor.client.jetstream().publish(subject, b'[["z",1,"of a later version"]]')
    await processor.send(name, message)
    await story(processor, message, "new", "delivered")
    ended = await show(processor, message)
    assert "sink: delivered" in ended.out
    assert "1 records of the index cannot be read" in ended.err
