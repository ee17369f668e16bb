"""What cannot be finished is reported, or becomes a dead letter, before its stream forgets it."""

import functools
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from nats.js.api import RawStreamMsg

from forebay.core import envelope
from forebay.core.subjects import EventSubject
from forebay.core.tables import Retry
from support.processor.processor_harness import EVENTS, ProcessorHarness, token
from support.programs.stack import SHARD
from support.timing.wait import eventually

WINDOW = timedelta(seconds=8)
"""Items are given up after 7 s: an eighth of the window before it ends."""

NOT_BEFORE = timedelta(seconds=6.5)
"""The age below which none of them may be given up; some of it is for clocks that differ."""

RATIO = "forebay_processor_unsplit_age_ratio"


@pytest.fixture
async def brief(tmp_path: Path) -> AsyncIterator[ProcessorHarness]:
    """Give a processor whose streams soon forget what they hold."""
    shard = msgspec.structs.replace(SHARD, window=WINDOW, raw_max_age=timedelta(seconds=20))
    async with ProcessorHarness(
        tmp_path, shard=shard, FOREBAY_PROCESSOR_RETENTION_CHECK_SECONDS="0.2"
    ) as running:
        yield running


def age_of(letter: RawStreamMsg) -> timedelta:
    """Return how long after its webhook came an item was given up."""
    received = int((letter.headers or {})[envelope.RECEIVED_AT]) / 1000
    assert letter.time is not None
    return timedelta(seconds=letter.time.timestamp() - received)


def reason_error_attempts(letter: RawStreamMsg) -> tuple[str, str, str]:
    headers = letter.headers or {}
    names = ("Forebay-Reason", "Forebay-Error", "Forebay-Attempts")
    reason, error, attempts = (headers[name] for name in names)
    return reason, error, attempts


async def test_an_endpoint_paused_past_its_window_has_its_items_in_dead(
    brief: ProcessorHarness,
) -> None:
    name = brief.new_name()
    # `maxAge` does not count while nobody may try.
    quick = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=1)
    await brief.serve(name, brief.http(name, retry=quick), paused=True)
    keys = await brief.send(name, *(f"wamid.paused.{number}" for number in range(5)))
    await eventually(lambda: rows_are(brief, name, 5), saying="all to be parked")
    for key in keys:
        letter = await brief.letter(name, key)
        assert reason_error_attempts(letter) == ("Expired", "not tried: paused", "0")
        assert age_of(letter) > NOT_BEFORE
    await eventually(lambda: rows_are(brief, name, 0), saying="RETRY to be empty")
    assert not brief.arrivals(name)


async def test_a_pause_within_the_window_costs_nothing(tmp_path: Path) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        paused, other = processor.new_name(), processor.new_name()
        quick = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=1)
        await processor.serve(paused, processor.http(paused, retry=quick), paused=True)
        keys = await processor.send(paused, "wamid.0", "wamid.1")
        await eventually(lambda: rows_are(processor, paused, 2), saying="all to be parked")
        # Longer than `maxAge`: an item that came later, and could be tried, is over before.
        await processor.serve(other, processor.http(other, retry=quick))
        processor.sink.answer_key(token("wamid.other"), *[503] * 50)
        await processor.send(other, "wamid.other")
        await processor.letter(other, token("wamid.other"))
        assert await processor.letters(paused) == 0
        await processor.serve(paused, processor.http(paused, retry=quick))
        await processor.wait_delivered(paused, keys)
        await eventually(lambda: rows_are(processor, paused, 0), saying="RETRY to be empty")
        assert await processor.letters(paused) == 0


async def test_items_of_an_endpoint_that_nobody_knows_any_more_are_in_dead(
    brief: ProcessorHarness,
) -> None:
    name = brief.new_name()
    await brief.serve(name, brief.http(name), paused=True)
    (parked,) = await brief.send(name, "wamid.parked")
    await eventually(lambda: rows_are(brief, name, 1), saying="it to be parked")
    # The table forgets the endpoint without a word of its deletion, with an item in EVENTS.
    file = f"{name}.json"
    await brief.follow(brief.stack.tables.write_endpoints(file=file), name)
    row = await brief.client.jetstream().get_last_msg(EVENTS, f"forebay.event.0.*.*.demo.{name}.>")
    subject = EventSubject.parse(row.subject or "")._replace(key=token("wamid.unknown"))
    # Without the claim of the one that it is a copy of.
    headers = {k: v for k, v in (row.headers or {}).items() if not k.startswith("Nats-Expected")}
    await brief.client.jetstream().publish(str(subject), row.data or b"", headers=headers)
    for key, destination, error in (
        (parked, "sink", "not tried: no table names the endpoint"),
        (token("wamid.unknown"), "-", "no table names the endpoint"),
    ):
        letter = await brief.letter(name, key, destination)
        assert reason_error_attempts(letter) == ("Expired", error, "0")
    await eventually(functools.partial(none_unacked, brief, EVENTS), saying="all to be acked")


async def test_what_retry_has_no_room_for_is_in_dead(tmp_path: Path) -> None:
    shard = msgspec.structs.replace(SHARD, window=timedelta(seconds=5), retry_max_bytes=3000)
    async with ProcessorHarness(tmp_path, shard=shard) as processor:
        name = processor.new_name()
        await processor.serve(name, processor.http(name), paused=True)
        keys = await processor.send(name, *(f"wamid.full.{number}" for number in range(12)))
        await eventually(
            lambda: processor.part.logged("backlog_beyond_share"), saying="RETRY to be full"
        )
        letters = [await processor.letter(name, key) for key in keys]
        errors = {reason_error_attempts(letter)[1] for letter in letters}
        assert errors == {"RETRY has no room", "not tried: paused"}
        await eventually(lambda: rows_are(processor, name, 0), saying="RETRY to be empty")
        assert not processor.arrivals(name)


async def test_webhooks_that_nobody_splits_are_reported_at_half_their_age(
    brief: ProcessorHarness,
) -> None:
    name, known = brief.new_name(), brief.plain()
    await brief.wait_delivered(known, await brief.send(known, "wamid.split"))
    await brief.send(name, "wamid.unsplit")
    early = await brief.part.metric(RATIO)
    assert early < 0.5
    assert not brief.part.logged("webhooks_unsplit_for_long")
    await eventually(
        lambda: brief.part.logged("webhooks_unsplit_for_long"), within=20, saying="a warning"
    )
    assert 0.5 <= await brief.part.metric(RATIO) < 0.9
    await brief.serve(name, brief.http(name))
    await brief.wait_delivered(name, [token("wamid.unsplit")])
    await eventually(lambda: is_calm(brief), saying="the metric to be calm")


async def is_calm(processor: ProcessorHarness) -> bool:
    return await processor.part.metric(RATIO) < 0.5


async def rows_are(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count


async def none_unacked(processor: ProcessorHarness, stream: str) -> bool:
    return await processor.unacked(stream) == 0
