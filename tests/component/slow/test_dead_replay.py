"""`forebay dead replay`: a dead letter is delivered once more, and only once."""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from forebay.core.letters import DeadLetter, LetterFilter
from forebay.core.naming import EndpointName
from forebay.core.subjects import Lane, key_token
from forebay.core.tables import Retry
from forebay.runtime.dead_letters import DeadLetters
from forebay.runtime.letter_store import Outcome
from support.dead import Ended, ended, forebay_dead, forebay_dead_process
from support.plant import DEAD, RETRY, Plant, token, webhook
from support.statuses import status_key, status_webhook
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def dead_letters(plant: Plant, name: str, *messages: str) -> list[str]:
    """Let the destination reject these messages once; returns their ids when they are dead."""
    for message in messages:
        plant.sink.answer_key(token(message), 422)
    keys = await plant.send(name, *messages)
    for key in keys:
        await plant.letter(name, key)
    return keys


async def replay(plant: Plant, name: str, *options: str) -> Ended:
    """Replay an endpoint's dead letters, as fast as it goes."""
    return await forebay_dead(
        *("replay", "--endpoint", f"demo/{name}", "--yes", "--rate", "0", "--output", "json"),
        *options,
        nats_url=plant.stack.nats_server.url,
    )


async def letter_of(plant: Plant, name: str) -> DeadLetter:
    """Return the one dead letter of an endpoint."""
    wanted = LetterFilter(endpoint=EndpointName("demo", name))
    found = [each async for page in DeadLetters(plant.client, ["0"]).find(wanted) for each in page]
    (letter,) = found
    return letter


async def states(plant: Plant) -> list[tuple[int | None, int | None]]:
    """Return what would change if anything was written or removed."""
    infos = [await plant.client.jetstream().stream_info(stream) for stream in (DEAD, RETRY)]
    return [(info.state.last_seq, info.state.messages) for info in infos]


@asynccontextmanager
async def paused(plant: Plant, name: str) -> AsyncIterator[None]:
    """Pause an endpoint within the block."""
    await plant.serve(name, plant.http(name), paused=True)
    try:
        yield
    finally:
        await plant.serve(name, plant.http(name))


async def test_a_replayed_item_comes_once_and_its_letter_is_gone(plant: Plant) -> None:
    name = plant.plain()
    (key,) = await dead_letters(plant, name, "wamid.replayed")
    first = plant.arrivals(name)[0].event
    done = await replay(plant, name)
    assert (done.code, done.record["outcomes"]["replayed"]) == (0, 1)
    await plant.wait_delivered(name, [key], within=5)
    await eventually(lambda: is_clean(plant, name))
    arrivals = plant.arrivals(name)
    # The same event under the same id, tried from the first attempt on.
    assert [arrival.key for arrival in arrivals] == [key, key]
    assert arrivals[1].event == first
    assert arrivals[1].attempt == 1


async def test_a_replayed_status_says_that_a_higher_one_came_since(plant: Plant) -> None:
    name = plant.plain()
    sent, read = status_key("wamid.replayed", "sent"), status_key("wamid.replayed", "read")
    plant.sink.answer_key(sent, 422)
    await plant.store(name, status_webhook("wamid.replayed", "sent"), lane=Lane.STATUS)
    await plant.letter(name, sent)
    await plant.store(name, status_webhook("wamid.replayed", "read"), lane=Lane.STATUS)
    await plant.wait_delivered(name, [read])
    assert (await replay(plant, name)).code == 0
    await plant.wait_delivered(name, [sent], within=5)
    events = [(each.key, each.event.get("superseded")) for each in plant.arrivals(name)]
    assert events == [(sent, None), (read, None), (sent, True)]


async def is_clean(plant: Plant, name: str) -> bool:
    return not await plant.rows(name) and not await plant.letters(name)


async def test_replay_twice_is_one_delivery(plant: Plant) -> None:
    name = plant.plain()
    keys = await dead_letters(plant, name, "wamid.twice.1", "wamid.twice.2")
    wanted = ("replay", "-e", f"demo/{name}", "--yes")
    url = plant.stack.nats_server.url
    both = [await forebay_dead_process(*wanted, nats_url=url) for _ in range(2)]
    assert [(await ended(process)).code for process in both] == [0, 0]
    assert (await replay(plant, name)).code == 0
    await plant.wait_delivered(name, keys)
    await eventually(lambda: is_clean(plant, name))
    assert sorted(plant.delivered(name)) == sorted(keys)
    assert (await replay(plant, name)).record["found"] == 0


async def test_a_dry_run_says_what_and_changes_nothing(plant: Plant) -> None:
    name = plant.plain()
    await dead_letters(plant, name, "wamid.dry.1", "wamid.dry.2")
    before = await states(plant)
    done = await replay(plant, name, "--dry-run")
    assert await states(plant) == before
    assert done.record["found"] == 2
    assert not done.record["changed"]
    assert done.record["groups"] == [
        {"endpoint": f"demo/{name}", "destination": "sink", "reason": "Rejected", "count": 2}
    ]
    assert len(plant.arrivals(name)) == 2


async def test_nothing_happens_where_nobody_can_be_asked(plant: Plant) -> None:
    name = plant.plain()
    await dead_letters(plant, name, "wamid.asked")
    done = await forebay_dead(
        *("replay", "-e", f"demo/{name}"), nats_url=plant.stack.nats_server.url
    )
    assert done.code == 2
    assert "--yes" in done.err
    assert await plant.letters(name) == 1


async def test_who_died_before_the_letter_was_removed_leaves_one_delivery(plant: Plant) -> None:
    name = plant.plain()
    (key,) = await dead_letters(plant, name, "wamid.half")
    letter = await letter_of(plant, name)
    # This much a replay did, and then it was killed.
    assert await DeadLetters(plant.client, ["0"]).park(letter, "sink") is Outcome.REPLAYED
    await plant.wait_delivered(name, [key])
    await eventually(lambda: is_clean(plant, name), saying="the processor to remove the letter")
    # What another replay had read before that is of no use to it any more.
    assert await DeadLetters(plant.client, ["0"]).replay(letter) is Outcome.GONE
    assert (await replay(plant, name)).record["found"] == 0
    assert plant.delivered(name) == [key]


async def test_who_died_before_and_the_row_still_waits_leaves_one_delivery(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    (key,) = await dead_letters(plant, name, "wamid.half.waiting")
    async with paused(plant, name):
        letter = await letter_of(plant, name)
        await DeadLetters(plant.client, ["0"]).park(letter, "sink")
        done = await replay(plant, name)
        assert done.record["outcomes"]["waiting"] == 1
        assert await plant.letters(name) == 0
        assert await plant.rows(name) == 1
    await plant.wait_delivered(name, [key])
    await eventually(lambda: is_clean(plant, name))
    assert plant.delivered(name) == [key]


async def test_a_row_of_another_life_is_left_alone(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    await dead_letters(plant, name, "wamid.lives")
    async with paused(plant, name):
        older = await letter_of(plant, name)
        letters = DeadLetters(plant.client, ["0"])
        await letters.park(older, "sink")
        # It died anew, and its last row is not removed yet: an own message of the same subject.
        await plant.client.jetstream().publish(
            str(older.subject), older.payload, headers=dict(older.headers)
        )
        done = await replay(plant, name)
        assert done.record["outcomes"]["busy"] == 1
        assert await plant.letters(name) == 1


async def test_what_fails_again_is_a_dead_letter_again(plant: Plant) -> None:
    name = plant.plain()
    (key,) = await dead_letters(plant, name, "wamid.again")
    plant.sink.answer_key(key, 415)
    await replay(plant, name)
    await eventually(lambda: len(plant.arrivals(name)) == 2)

    async def died_again() -> bool:
        headers = (await plant.letter(name, key)).headers or {}
        return headers["Forebay-Error"] == "status 415" and not await plant.rows(name)

    await eventually(died_again)
    assert (await replay(plant, name)).record["outcomes"]["replayed"] == 1
    await plant.wait_delivered(name, [key])


async def test_another_destination_gets_it(plant: Plant) -> None:
    name, other = plant.new_name(), plant.new_name()
    await plant.serve(name, plant.http(name), plant.http(other, name="other", events=("statuses",)))
    (key,) = await dead_letters(plant, name, "wamid.other")
    await replay(plant, name, "--to", "other")
    await plant.wait_delivered(other, [key])
    await eventually(lambda: is_clean(plant, name))
    assert plant.delivered(name) == []


async def test_a_destination_that_is_not_there_loses_nothing(plant: Plant) -> None:
    name = plant.plain()
    (key,) = await dead_letters(plant, name, "wamid.nowhere")
    await replay(plant, name, "--to", "no-such")
    letter = await plant.letter(name, key, "no-such")
    assert (letter.headers or {})["Forebay-Reason"] == "DestinationRemoved"
    await replay(plant, name, "--destination", "no-such", "--to", "sink")
    await plant.wait_delivered(name, [key])


async def test_a_deleted_endpoint_gives_its_replayed_letters_back(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    (key,) = await dead_letters(plant, name, "wamid.deleted")
    await plant.delete(name)
    await replay(plant, name)

    async def is_back() -> bool:
        headers = (await plant.letter(name, key)).headers or {}
        return headers["Forebay-Reason"] == "DestinationRemoved" and not await plant.rows(name)

    await eventually(is_back)


async def test_it_holds_back_nobody(plant: Plant) -> None:
    name = plant.new_name()
    slow = Retry(initial_delay_seconds=600, max_delay_seconds=600, max_age_seconds=3600)
    await plant.serve(name, plant.http(name, retry=slow))
    key, other = await dead_letters(plant, name, "wamid.stuck", "wamid.stuck.other")
    plant.sink.answer_key(key, 503)
    await replay(plant, name)
    # The first waits for ten minutes now; not so the other of the same person, who goes on writing.
    await eventually(lambda: len(plant.sink.of(key)) == 2, saying="the replay to fail")
    keys = await plant.send(name, "wamid.stuck.next")
    await plant.wait_delivered(name, [*keys, other])
    assert await plant.rows(name) == 1


async def test_the_rate_is_kept(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    await dead_letters(plant, name, *(f"wamid.rate.{number}" for number in range(6)))
    async with paused(plant, name):
        first = await plant.client.jetstream().stream_info(RETRY)
        await replay(plant, name, "--rate", "5")
        times = []
        for sequence in range((first.state.last_seq or 0) + 1, (first.state.last_seq or 0) + 7):
            answer = await plant.client.request(
                f"$JS.API.STREAM.MSG.GET.{RETRY}", json.dumps({"seq": sequence}).encode()
            )
            times.append(json.loads(answer.data)["message"]["time"])
    seconds = [float(text.rpartition(":")[2].rstrip("Z")) for text in times]
    pauses = [(later - earlier) % 60 for earlier, later in itertools.pairwise(seconds)]
    # A pause can be shorter after one that was longer; all of them cannot.
    assert 0.9 < sum(pauses) < 10


async def test_a_whole_webhook_comes_again_as_the_provider_sent_it(plant: Plant) -> None:
    name, body = plant.new_name(), webhook(("wamid.whole", "15550001234"))
    await plant.serve(name, plant.http(name, format="Raw"))
    key = key_token(hashlib.sha256(body).hexdigest())
    plant.sink.answer_key(key, 422)
    await plant.store(name, body, headers={"x-hub-signature-256": "sha256=made-up"})
    await plant.letter(name, key)
    done = await replay(plant, name, "--wamid", "wamid.whole", "--kind", "body")
    assert done.record["outcomes"]["replayed"] == 1
    await plant.wait_delivered(name, [key])
    first, again = plant.arrivals(name)
    assert again.body == first.body == body
    assert again.headers["x-hub-signature-256"] == "sha256=made-up"
