"""A queue notes what fails at its destination, when it is tried again, and what gets through."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from forebay_processor.delivery.circuit_breaker import BreakerState
from forebay_processor.destinations.port import Delivered, Failed, Rejected, Result, Trouble
from support.processor.queue_alone import NAME, QueueAlone
from support.timing.wait import eventually


@pytest.fixture
async def alone() -> AsyncIterator[QueueAlone]:
    alone = QueueAlone()
    yield alone
    await alone.end()


async def failing(alone: QueueAlone) -> None:
    """Let an item fail, and wait in RETRY, acked in EVENTS."""
    work = alone.works[-1]
    await eventually(lambda: work.after_ack is not None, saying="the item to be parked")
    assert work.after_ack is not None
    work.after_ack()


async def test_a_first_attempt_that_fails_is_noted_with_the_next_one(alone: QueueAlone) -> None:
    alone.offer(0, "k")
    alone.answer(Failed("status 500"))
    await failing(alone)
    found = alone.incidents.find(NAME, "sink")
    assert found is not None
    assert (found.error, found.answer) == ("status 500", "5xx")
    assert 0 < found.next_at - found.last < 60


async def test_attempts_from_retry_that_fail_are_noted_too(alone: QueueAlone) -> None:
    alone.offer(0, "k")
    alone.answer(Failed("status 500"))
    await failing(alone)
    alone.answer_anew(Failed("timeout"))

    def failed_again() -> bool:
        alone.let_pass(30)
        found = alone.incidents.find(NAME, "sink")
        return found is not None and found.error == "timeout" and found.failures > 1

    await eventually(failed_again, saying="another failure")


async def test_where_a_credential_is_refused_the_next_attempt_is_the_next_probe(
    alone: QueueAlone,
) -> None:
    alone.offer(0, "k")
    alone.answer(Failed("status 401", trouble=Trouble.REFUSED))
    await failing(alone)
    found = alone.incidents.find(NAME, "sink")
    assert found is not None
    assert 29 < found.next_at - found.last <= 60


async def test_what_a_refused_probe_was_made_with_is_delivered_by_the_one_that_gets_through(
    alone: QueueAlone,
) -> None:
    refused = Failed("status 401", trouble=Trouble.REFUSED)
    alone.offer(0, "k")
    alone.answer(refused)
    await failing(alone)
    for probes in range(2, 5):
        await eventually(lambda: alone.queue.breaker.state is BreakerState.BLOCKED)
        alone.let_pass(60 * 2 ** (probes - 2))
        await alone.tried(*["k"] * probes)
    alone.answer_anew(Delivered())
    alone.let_pass(600)
    await eventually(lambda: alone.queue.parked == 0, saying="the item to be over")
    assert alone.queue.breaker.is_closed
    assert not [each for each in alone.table.rows if "dead" in each]


@pytest.mark.parametrize("result", [Delivered(), Rejected("status 400")])
async def test_what_gets_an_answer_ends_it(alone: QueueAlone, result: Result) -> None:
    with capture_logs() as lines:
        alone.offer(0, "k")
        alone.answer(Failed("status 500"))
        await failing(alone)
        alone.answer_anew(result)
        alone.let_pass(30)
        await eventually(lambda: alone.queue.parked == 0, saying="the item to be over")
        alone.let_pass(30)
        alone.incidents.settle()
    assert "destination_recovered" in [each["event"] for each in lines]
    assert alone.incidents.find(NAME, "sink") is None


async def test_a_dead_letter_has_a_line(alone: QueueAlone) -> None:
    with capture_logs() as lines:
        alone.offer(0, "k")
        alone.answer(Rejected("status 400"))
        await eventually(lambda: alone.done == ["k"], saying="the item to be over")
    (line,) = [each for each in lines if each["event"] == "dead_letter"]
    assert [line[each] for each in ("reason", "error", "key", "count")] == [
        *("Rejected", "status 400", "k", 1)
    ]


async def test_a_dead_letter_that_finds_no_room_is_no_failure_of_the_destination(
    alone: QueueAlone,
) -> None:
    alone.table.full = {"forebay.dead."}
    with capture_logs() as lines:
        alone.offer(0, "k")
        alone.answer(Rejected("status 400"))
        await failing(alone)
    assert alone.incidents.find(NAME, "sink") is None
    (line,) = lines
    assert [line[each] for each in ("event", "step")] == ["store_failed", "dead_letter"]
