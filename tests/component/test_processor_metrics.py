"""What a processor's /metrics say after what they are about has happened."""

import contextlib
import gzip
import socket

import pytest

from forebay.core.subjects import Lane
from forebay.core.tables import Batch, Retry
from forebay_processor.metrics import DECLARED
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.programs.dead_command import forebay_dead
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = Retry(initial_delay_seconds=60, max_delay_seconds=60, max_age_seconds=3600)
"""What fails once waits for longer than a test takes."""


async def shown(processor: ProcessorHarness, metric: str, **labels: str) -> float:
    """Return a metric of the processor: the sum of the samples with these labels."""
    return await processor.part.metric(f"forebay_processor_{metric}", **labels)


async def wait_shown(processor: ProcessorHarness, value: float, metric: str, **labels: str) -> None:
    """Wait until a metric has a value."""

    async def is_so() -> bool:
        return await shown(processor, metric, **labels) == value

    await eventually(is_so, saying=f"{metric} of {labels} to be {value}")


@pytest.mark.parametrize(
    ("status", "result"), [(200, "2xx"), (422, "4xx"), (429, "4xx"), (500, "5xx"), (302, "other")]
)
async def test_attempts_are_counted_by_the_class_of_their_answer(
    processor: ProcessorHarness, status: int, result: str
) -> None:
    name = processor.plain()
    message = f"wamid.answer.{status}"
    if status != 200:
        processor.sink.answer_key(token(message), status)
    await processor.send(name, message)
    await wait_shown(processor, 1, "answers_total", endpoint=name, result=result)


async def test_an_answer_that_does_not_come_in_time_is_a_timeout(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, timeout_seconds=0.2, retry=LATER))
    processor.sink.hold()
    try:
        await processor.send(name, "wamid.silent")
        await wait_shown(processor, 1, "answers_total", endpoint=name, result="timeout")
    finally:
        processor.sink.release()


async def test_where_nobody_listens_it_is_the_connection(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    nobody = processor.http(name, url=f"http://127.0.0.1:{port}/", retry=LATER)
    await processor.serve(name, nobody)
    await processor.send(name, "wamid.nobody")
    await wait_shown(processor, 1, "answers_total", endpoint=name, result="connection")


async def test_what_waits_is_shown_with_its_age_and_the_time_that_is_left(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    first = "wamid.first"
    processor.sink.refuse_key(token(first))
    await processor.send(name, first, "wamid.behind", "wamid.behind.too")
    await wait_shown(processor, 3, "parked_items", endpoint=name)
    await wait_shown(processor, 1, "blocked_conversations", endpoint=name)
    age = await shown(processor, "oldest_parked_seconds", endpoint=name)
    left = await shown(processor, "oldest_parked_expires_seconds", endpoint=name)
    assert 0 < age < 60
    assert left == pytest.approx(LATER.max_age_seconds - age, abs=5)
    assert await shown(processor, "breaker_state", endpoint=name, state="Closed") == 1


async def test_where_nothing_waits_there_is_no_age(processor: ProcessorHarness) -> None:
    name = processor.plain()
    keys = await processor.send(name, "wamid.quick")
    await processor.wait_delivered(name, keys)
    text = (await processor.part.admin("/metrics")).body.decode()
    assert f'forebay_processor_parked_items{{namespace="demo",endpoint="{name}"' in text
    assert f'oldest_parked_seconds{{namespace="demo",endpoint="{name}"' not in text


async def test_a_refused_credential_is_a_state_of_the_breaker(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    processor.sink.answer_key(token("wamid.unwelcome"), 401)
    await processor.send(name, "wamid.unwelcome")
    await wait_shown(processor, 1, "breaker_state", endpoint=name, state="Refused")
    assert await shown(processor, "breaker_open", endpoint=name) == 1
    assert await shown(processor, "breaker_state", endpoint=name) == 1, "one state at a time"
    assert 0 < await shown(processor, "breaker_next_attempt_seconds", endpoint=name) <= 60


async def test_batches_are_counted_with_their_items(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    batch = Batch(max_items=10, max_wait_seconds=0.3)
    await processor.serve(name, processor.http(name, batch=batch))
    people = [(f"wamid.batch.{number}", f"1555{number}") for number in range(10)]
    await processor.store(name, webhook(*people))
    await processor.wait_delivered(name, [token(message) for message, _ in people])
    sent = [each for each in processor.arrivals(name) if each.is_batch]
    assert await shown(processor, "batches_total", endpoint=name) == len(sent)
    items = sum(len(each.items) for each in sent)
    assert await shown(processor, "batch_items_total", endpoint=name) == items


async def test_unreadable_bodies_are_counted_by_reason(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.store(name, b"\xffno json", lane=Lane.INVALID)
    await wait_shown(processor, 1, "unreadable_bodies_total", endpoint=name, reason="NotJson")
    assert await shown(processor, "webhooks_total", endpoint=name, outcome="invalid") == 1


async def test_a_body_beyond_a_limit_is_counted_by_that_limit(processor: ProcessorHarness) -> None:
    name = processor.plain()
    bomb = gzip.compress(bytes(17 * 1024 * 1024))
    await processor.store(name, bomb, headers={"Content-Encoding": "gzip"})
    await wait_shown(processor, 1, "unreadable_bodies_total", endpoint=name, reason="ExpandsTooFar")


async def test_a_reason_that_is_none_of_ours_makes_no_series_of_its_own(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    odd = {"Forebay-Reason": "somebody's own words"}
    await processor.store(name, b"{}", lane=Lane.INVALID, headers=odd)
    await wait_shown(processor, 1, "unreadable_bodies_total", endpoint=name, reason="Unknown")


async def test_replayed_dead_letters_are_counted(processor: ProcessorHarness) -> None:
    name = processor.plain()
    processor.sink.answer_key(token("wamid.again"), 422)
    (key,) = await processor.send(name, "wamid.again")
    await processor.letter(name, key)
    assert await shown(processor, "replayed_items_total", endpoint=name) == 0
    done = await forebay_dead(
        *("replay", "--endpoint", f"demo/{name}", "--yes", "--rate", "0"),
        nats_url=processor.stack.nats_server.url,
    )
    assert done.code == 0
    await processor.wait_delivered(name, [key])
    await wait_shown(processor, 1, "replayed_items_total", endpoint=name)


@pytest.mark.parametrize("kind", ["raw", "event"])
async def test_what_is_owned_was_taken(processor: ProcessorHarness, kind: str) -> None:
    assert await shown(processor, "partitions_owned", kind=kind) == 16
    assert await shown(processor, "takeovers_total", kind=kind) >= 16
    assert await shown(processor, "partitions_lost_total", kind=kind) == 0


@pytest.mark.parametrize("histogram", ["loop_lag_seconds", "heartbeat_seconds"])
async def test_what_may_make_items_late_is_measured_again_and_again(
    processor: ProcessorHarness, histogram: str
) -> None:
    count = await shown(processor, f"{histogram}_count")

    async def is_measured() -> bool:
        return await shown(processor, f"{histogram}_count") > count

    await eventually(is_measured, saying=f"{histogram} to be measured again")


async def test_the_tables_are_followed(processor: ProcessorHarness) -> None:
    endpoints = await shown(processor, "endpoints")
    name = processor.new_name()
    before = await shown(processor, "table_age_seconds")
    await processor.serve(name, processor.http(name))
    assert await shown(processor, "endpoints") == endpoints + 1
    assert await shown(processor, "table_age_seconds") < before + 5


async def test_every_metric_that_is_declared_is_shown(processor: ProcessorHarness) -> None:
    text = (await processor.part.admin("/metrics")).body.decode()
    for metric in DECLARED:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text
