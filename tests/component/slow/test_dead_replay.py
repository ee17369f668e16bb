"""`forebay dead replay`: a dead letter is delivered once more, and only once."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from forebay.core.dead_letters import DeadLetter, DeadLetterFilter
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, key_token
from forebay.core.tables import Retry
from forebay.runtime.dead_letter_replay import DeadLetters
from forebay.runtime.dead_letter_store import DeadLetterOutcome
from support.inputs.statuses import status_key, status_webhook
from support.processor.processor_harness import DEAD, RETRY, ProcessorHarness, token, webhook
from support.programs.dead_command import Ended, ended, forebay_dead, forebay_dead_process
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def dead_letters(processor: ProcessorHarness, name: str, *messages: str) -> list[str]:
    """Let the destination reject these messages once; returns their ids when they are dead."""
    for message in messages:
        processor.sink.answer_key(token(message), 422)
    keys = await processor.send(name, *messages)
    for key in keys:
        await processor.letter(name, key)
    return keys


async def replay(processor: ProcessorHarness, name: str, *options: str) -> Ended:
    """Replay an endpoint's dead letters, as fast as it goes."""
    return await forebay_dead(
        *("replay", "--endpoint", f"demo/{name}", "--yes", "--rate", "0", "--output", "json"),
        *options,
        nats_url=processor.stack.nats_server.url,
    )


async def letter_of(processor: ProcessorHarness, name: str) -> DeadLetter:
    """Return the one dead letter of an endpoint."""
    wanted = DeadLetterFilter(endpoint=EndpointName("demo", name))
    found = [
        each async for page in DeadLetters(processor.client, ["0"]).find(wanted) for each in page
    ]
    (letter,) = found
    return letter


async def states(processor: ProcessorHarness) -> list[tuple[int | None, int | None]]:
    """Return what would change if anything was written or removed, once nothing does by itself.

    A letter is there before its row in RETRY is gone.
    """
    found: list[list[tuple[int | None, int | None]]] = [[]]

    async def is_still() -> bool:
        infos = [await processor.client.jetstream().stream_info(stream) for stream in (DEAD, RETRY)]
        found.append([(info.state.last_seq, info.state.messages) for info in infos])
        await asyncio.sleep(0.2)
        return found[-1] == found[-2]

    await eventually(is_still, saying="DEAD and RETRY to stay as they are")
    return found[-1]


@asynccontextmanager
async def paused(processor: ProcessorHarness, name: str) -> AsyncIterator[None]:
    """Pause an endpoint within the block."""
    await processor.serve(name, processor.http(name), paused=True)
    try:
        yield
    finally:
        await processor.serve(name, processor.http(name))


async def test_a_replayed_item_comes_once_and_its_letter_is_gone(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    (key,) = await dead_letters(processor, name, "wamid.replayed")
    first = processor.arrivals(name)[0].event
    done = await replay(processor, name)
    assert (done.code, done.record["outcomes"]["replayed"]) == (0, 1)
    await processor.wait_delivered(name, [key], within=5)
    await eventually(lambda: is_clean(processor, name))
    arrivals = processor.arrivals(name)
    # The same event under the same id, tried from the first attempt on.
    assert [arrival.key for arrival in arrivals] == [key, key]
    assert arrivals[1].event == first
    assert arrivals[1].attempt == 1


async def test_a_replayed_status_says_that_a_higher_one_came_since(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    sent, read = status_key("wamid.replayed", "sent"), status_key("wamid.replayed", "read")
    processor.sink.answer_key(sent, 422)
    await processor.store(name, status_webhook("wamid.replayed", "sent"), lane=Lane.STATUS)
    await processor.letter(name, sent)
    await processor.store(name, status_webhook("wamid.replayed", "read"), lane=Lane.STATUS)
    await processor.wait_delivered(name, [read])
    assert (await replay(processor, name)).code == 0
    await processor.wait_delivered(name, [sent], within=5)
    events = [(each.key, each.event.get("superseded")) for each in processor.arrivals(name)]
    assert events == [(sent, None), (read, None), (sent, True)]


async def is_clean(processor: ProcessorHarness, name: str) -> bool:
    return not await processor.rows(name) and not await processor.letters(name)


async def test_replay_twice_is_one_delivery(processor: ProcessorHarness) -> None:
    name = processor.plain()
    keys = await dead_letters(processor, name, "wamid.twice.1", "wamid.twice.2")
    wanted = ("replay", "-e", f"demo/{name}", "--yes")
    url = processor.stack.nats_server.url
    both = [await forebay_dead_process(*wanted, nats_url=url) for _ in range(2)]
    assert [(await ended(process)).code for process in both] == [0, 0]
    assert (await replay(processor, name)).code == 0
    await processor.wait_delivered(name, keys)
    await eventually(lambda: is_clean(processor, name))
    assert sorted(processor.delivered(name)) == sorted(keys)
    assert (await replay(processor, name)).record["found"] == 0


async def test_a_dry_run_says_what_and_changes_nothing(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await dead_letters(processor, name, "wamid.dry.1", "wamid.dry.2")
    before = await states(processor)
    done = await replay(processor, name, "--dry-run")
    assert await states(processor) == before
    assert done.record["found"] == 2
    assert not done.record["changed"]
    assert done.record["groups"] == [
        {"endpoint": f"demo/{name}", "destination": "sink", "reason": "Rejected", "count": 2}
    ]
    assert len(processor.arrivals(name)) == 2


async def test_nothing_happens_where_nobody_can_be_asked(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await dead_letters(processor, name, "wamid.asked")
    done = await forebay_dead(
        *("replay", "-e", f"demo/{name}"), nats_url=processor.stack.nats_server.url
    )
    assert done.code == 2
    assert "--yes" in done.err
    assert await processor.letters(name) == 1


async def test_who_died_before_the_letter_was_removed_leaves_one_delivery(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    (key,) = await dead_letters(processor, name, "wamid.half")
    letter = await letter_of(processor, name)
    # This much a replay did, and then it was killed.
    assert (
        await DeadLetters(processor.client, ["0"]).park(letter, "sink")
        is DeadLetterOutcome.REPLAYED
    )
    await processor.wait_delivered(name, [key])
    await eventually(lambda: is_clean(processor, name), saying="the processor to remove the letter")
    # What another replay had read before that is of no use to it any more.
    assert await DeadLetters(processor.client, ["0"]).replay(letter) is DeadLetterOutcome.GONE
    assert (await replay(processor, name)).record["found"] == 0
    assert processor.delivered(name) == [key]


async def test_who_died_before_and_the_row_still_waits_leaves_one_delivery(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    (key,) = await dead_letters(processor, name, "wamid.half.waiting")
    async with paused(processor, name):
        letter = await letter_of(processor, name)
        await DeadLetters(processor.client, ["0"]).park(letter, "sink")
        done = await replay(processor, name)
        assert done.record["outcomes"]["waiting"] == 1
        assert await processor.letters(name) == 0
        assert await processor.rows(name) == 1
    await processor.wait_delivered(name, [key])
    await eventually(lambda: is_clean(processor, name))
    assert processor.delivered(name) == [key]


async def test_a_row_of_another_life_is_left_alone(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    await dead_letters(processor, name, "wamid.lives")
    async with paused(processor, name):
        older = await letter_of(processor, name)
        letters = DeadLetters(processor.client, ["0"])
        await letters.park(older, "sink")
        # It died anew, and its last row is not removed yet: an own message of the same subject.
        await processor.client.jetstream().publish(
            str(older.subject), older.payload, headers=dict(older.headers)
        )
        done = await replay(processor, name)
        assert done.record["outcomes"]["busy"] == 1
        assert await processor.letters(name) == 1


async def test_what_fails_again_is_a_dead_letter_again(processor: ProcessorHarness) -> None:
    name = processor.plain()
    (key,) = await dead_letters(processor, name, "wamid.again")
    processor.sink.answer_key(key, 415)
    await replay(processor, name)
    await eventually(lambda: len(processor.arrivals(name)) == 2)

    async def died_again() -> bool:
        headers = (await processor.letter(name, key)).headers or {}
        return headers["Forebay-Error"] == "status 415" and not await processor.rows(name)

    await eventually(died_again)
    assert (await replay(processor, name)).record["outcomes"]["replayed"] == 1
    await processor.wait_delivered(name, [key])


async def test_another_destination_gets_it(processor: ProcessorHarness) -> None:
    name, other = processor.new_name(), processor.new_name()
    await processor.serve(
        name, processor.http(name), processor.http(other, name="other", events=("statuses",))
    )
    (key,) = await dead_letters(processor, name, "wamid.other")
    await replay(processor, name, "--to", "other")
    await processor.wait_delivered(other, [key])
    await eventually(lambda: is_clean(processor, name))
    assert processor.delivered(name) == []


async def test_a_destination_that_is_not_there_loses_nothing(processor: ProcessorHarness) -> None:
    name = processor.plain()
    (key,) = await dead_letters(processor, name, "wamid.nowhere")
    await replay(processor, name, "--to", "no-such")
    letter = await processor.letter(name, key, "no-such")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"
    shown = await forebay_dead(
        *("show", key, "--output", "json"), nats_url=processor.stack.nats_server.url
    )
    (before,) = shown.record["deathsBefore"]
    assert before.pop("diedAt")
    assert before == {
        "destination": "sink",
        "reason": "Rejected",
        "error": "status 422",
        "attempts": 1,
    }
    await replay(processor, name, "--destination", "no-such", "--to", "sink")
    await processor.wait_delivered(name, [key])


async def test_where_the_tables_can_be_read_a_destination_that_is_not_there_is_refused(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await dead_letters(processor, name, "wamid.refused")
    before = await states(processor)
    folder = processor.stack.tables.processor_folder
    refused = await forebay_dead(
        *("replay", "--endpoint", f"demo/{name}", "--yes", "--to", "sinc"),
        nats_url=processor.stack.nats_server.url,
        environment={"FOREBAY_TABLE_DIR": str(folder)},
    )
    message = (
        f"forebay: --to sinc: demo/{name} has no such destination in {folder}: did you mean sink?\n"
    )
    assert (refused.code, refused.err) == (2, message)
    assert await states(processor) == before


async def test_a_deleted_endpoint_gives_its_replayed_letters_back(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    (key,) = await dead_letters(processor, name, "wamid.deleted")
    await processor.delete(name)
    await replay(processor, name)

    async def is_back() -> bool:
        headers = (await processor.letter(name, key)).headers or {}
        return headers["Forebay-Reason"] == "DestinationRemoved" and not await processor.rows(name)

    await eventually(is_back)


async def test_it_holds_back_nobody(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    slow = Retry(initial_delay_seconds=600, max_delay_seconds=600, max_age_seconds=3600)
    await processor.serve(name, processor.http(name, retry=slow))
    key, other = await dead_letters(processor, name, "wamid.stuck", "wamid.stuck.other")
    processor.sink.answer_key(key, 503)
    await replay(processor, name)
    # The first waits for ten minutes now; not so the other of the same person, who goes on writing.
    await eventually(lambda: len(processor.sink.of(key)) == 2, saying="the replay to fail")
    keys = await processor.send(name, "wamid.stuck.next")
    await processor.wait_delivered(name, [*keys, other])
    assert await processor.rows(name) == 1


async def test_the_rate_is_kept(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    await dead_letters(processor, name, *(f"wamid.rate.{number}" for number in range(6)))
    async with paused(processor, name):
        first = await processor.client.jetstream().stream_info(RETRY)
        await replay(processor, name, "--rate", "5")
        times = []
        for sequence in range((first.state.last_seq or 0) + 1, (first.state.last_seq or 0) + 7):
            answer = await processor.client.request(
                f"$JS.API.STREAM.MSG.GET.{RETRY}", json.dumps({"seq": sequence}).encode()
            )
            times.append(json.loads(answer.data)["message"]["time"])
    seconds = [float(text.rpartition(":")[2].rstrip("Z")) for text in times]
    pauses = [(later - earlier) % 60 for earlier, later in itertools.pairwise(seconds)]
    # A pause can be shorter after one that was longer; all of them cannot.
    assert 0.9 < sum(pauses) < 10


async def test_a_whole_webhook_comes_again_as_the_provider_sent_it(
    processor: ProcessorHarness,
) -> None:
    name, body = processor.new_name(), webhook(("wamid.whole", "15550001234"))
    await processor.serve(name, processor.http(name, format="Raw"))
    key = key_token(hashlib.sha256(body).hexdigest())
    processor.sink.answer_key(key, 422)
    await processor.store(name, body, headers={"x-hub-signature-256": "sha256=made-up"})
    await processor.letter(name, key)
    done = await replay(processor, name, "--wamid", "wamid.whole", "--kind", "body")
    assert done.record["outcomes"]["replayed"] == 1
    await processor.wait_delivered(name, [key])
    first, again = processor.arrivals(name)
    assert again.body == first.body == body
    assert again.headers["x-hub-signature-256"] == "sha256=made-up"
