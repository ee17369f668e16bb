"""Nothing is sent to a destination that takes nothing, until it takes something again."""

import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forebay.core.tables import Retry
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def is_open(processor: ProcessorHarness, name: str) -> bool:
    return await processor.part.metric("forebay_processor_breaker_open", endpoint=name) == 1


async def shown_breaker(processor: ProcessorHarness, name: str) -> dict[str, Any] | None:
    """Return what the admin port says of an endpoint's only destination."""
    answer = json.loads((await processor.part.admin("/breakers")).body)
    return next((each for each in answer["open"] if each["endpoint"] == name), None)


@pytest.mark.parametrize("status", [401, 403, 410])
async def test_who_refuses_us_gets_nothing_for_a_while_and_all_when_its_spec_changes(
    processor: ProcessorHarness, status: int
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    first = f"wamid.refused.{status}"
    begun = datetime.now(UTC) - timedelta(seconds=1)  # NATS has its own time
    processor.sink.answer_key(token(first), status)
    await processor.send(name, first)
    await eventually(lambda: is_open(processor, name))
    rest = [f"{first}.{number}" for number in range(20)]
    for number, message in enumerate(rest):
        await processor.send(name, message, person=f"1555{number % 5}")

    async def all_wait() -> bool:
        return await processor.rows(name) == 21

    await eventually(all_wait, saying="all items in RETRY")
    said = await shown_breaker(processor, name)
    assert said is not None
    since = datetime.fromisoformat(said.pop("since"))
    assert begun <= since <= datetime.now(UTC)
    assert 0 < said.pop("next_attempt_seconds") <= 60
    assert said == {
        "namespace": "demo",
        "endpoint": name,
        "destination": "sink",
        "state": "Refused",
        "reason": f"status {status}",
        "parked": 21,
    }
    # Longer than any pause between attempts of this destination.
    end = time.monotonic() + 1.2
    await eventually(lambda: time.monotonic() > end)
    assert len(processor.arrivals(name)) == 1
    await processor.serve(name, processor.http(name, headers={"Authorization": "Bearer new"}))
    await processor.wait_delivered(name, [token(first), *map(token, rest)])
    assert len(processor.arrivals(name)) == 22
    assert not await is_open(processor, name)
    assert await shown_breaker(processor, name) is None


async def test_a_dead_destination_is_asked_one_at_a_time_and_gets_all_in_order_when_it_is_back(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.2, max_delay_seconds=0.4, max_age_seconds=60)
    await processor.serve(name, processor.http(name, retry=retry, max_in_flight=8))
    talks = {
        f"1555{number}": [f"wamid.{number}.{part}" for part in range(5)] for number in range(12)
    }
    async with processor.sink_answers(503):
        for number in range(3):
            await processor.send(name, f"wamid.first.{number}", person=f"1555{number}")
        await eventually(lambda: is_open(processor, name), saying="the breaker to open")
        for person, messages in talks.items():
            await processor.send(name, *messages, person=person)
        (before,) = processor.arrivals(name)[-1:]
        await eventually(
            lambda: len([a for a in processor.arrivals(name) if a.at > before.at]) >= 4
        )
        probes = [each.at for each in processor.arrivals(name)][-4:]
    # With 12 conversations and pauses of 0.4 s at most, 30 a second would come without a breaker.
    assert all(later - earlier >= 0.09 for earlier, later in itertools.pairwise(probes))
    await processor.wait_delivered(
        name, [token(m) for own in talks.values() for m in own], within=20
    )
    delivered = processor.delivered(name)
    for messages in talks.values():
        keys = [token(message) for message in messages]
        assert [key for key in delivered if key in keys] == keys
    assert len(delivered) == len(set(delivered)) == 63
    assert not await is_open(processor, name)


async def test_one_item_that_always_fails_does_not_close_the_door_to_the_others(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=60)
    await processor.serve(name, processor.http(name, retry=retry))
    poison = token("wamid.poison")
    processor.sink.answer_key(poison, *[500] * 8)
    await processor.send(name, "wamid.poison", person="15550000")
    await eventually(lambda: len(processor.arrivals(name)) >= 7)
    (fine,) = await processor.send(name, "wamid.fine", person="15550001")
    await processor.wait_delivered(name, [fine, poison])
    assert [each.attempt for each in processor.arrivals(name) if each.key == fine] == [1]


async def test_an_item_whose_age_ends_before_a_closed_door_is_a_dead_letter(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=1)
    await processor.serve(name, processor.http(name, retry=retry))
    processor.sink.answer_key(token("wamid.tried"), 401)
    await processor.send(name, "wamid.tried", person="15550000")
    await eventually(lambda: is_open(processor, name))
    await processor.send(name, "wamid.never", person="15550001")
    for message, attempts in (("wamid.tried", "1"), ("wamid.never", "0")):
        headers = (await processor.letter(name, token(message))).headers or {}
        assert headers["Forebay-Reason"] == "Expired"
        assert headers["Forebay-Error"] == "status 401"
        assert headers["Forebay-Attempts"] == attempts
    assert len(processor.arrivals(name)) == 1

    async def has_no_rows() -> bool:
        return await processor.rows(name) == 0

    await eventually(has_no_rows)


async def test_pausing_and_resuming_tries_a_refused_destination_again(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    processor.sink.answer_key(token("wamid.mended"), 401)
    (key,) = await processor.send(name, "wamid.mended")
    await eventually(lambda: is_open(processor, name))
    await processor.serve(name, processor.http(name), paused=True)
    await processor.serve(name, processor.http(name))
    await processor.wait_delivered(name, [key])


async def test_who_says_when_to_come_again_is_left_alone_until_then(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    async with processor.sink_answers(429, **{"Retry-After": "1"}):
        await processor.send(name, "wamid.busy", person="15550000")
        await eventually(lambda: is_open(processor, name))
    (other,) = await processor.send(name, "wamid.other", person="15550001")
    await processor.wait_delivered(name, [token("wamid.busy"), other])
    first, *later = processor.arrivals(name)
    assert min(each.at for each in later) - first.at >= 0.95


async def test_a_removed_destination_is_cleared_though_its_breaker_is_open(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), processor.http(f"{name}/stays", name="stays"))
    processor.sink.answer_key(token("wamid.removed"), 403)
    await processor.send(name, "wamid.removed")
    await eventually(lambda: is_open(processor, name))
    await processor.serve(name, processor.http(f"{name}/stays", name="stays"))
    headers = (await processor.letter(name, token("wamid.removed"))).headers or {}
    assert headers["Forebay-Reason"] == "DestinationRemoved"
    assert not await is_open(processor, name)
