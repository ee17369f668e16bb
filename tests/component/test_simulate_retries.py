"""Only a 200 counts: everything else is sent again until it is accepted or time is up."""

import asyncio

import pytest

from forebay_simulator import Plan, Result
from forebay_simulator.schedule import RetryDelays
from forebay_simulator.sender import HttpSender
from forebay_simulator.simulation import Simulation
from support.destinations.sink import NO_ANSWER, Sink
from support.programs.ports import HOST, free_port
from support.timing.wait import eventually

QUICK = RetryDelays(first=0.02, longest=0.1)
"""The providers' growth at a pace that a test can wait for."""


async def play(plan: Plan) -> Result:
    async with HttpSender(plan.url, timeout=plan.timeout) as sender:
        return await Simulation(plan, sender, delays=QUICK).run()


async def test_a_webhook_refused_twice_is_accepted_at_the_third_attempt(sink: Sink) -> None:
    sink.answer_next(503, 503)
    result = await play(Plan(url=sink.url(), rate=1, duration=1))
    assert (result.sent, result.accepted, result.retries) == (1, 1, 2)
    assert result.refused == {"503": 2}
    assert result.repeats == 0
    assert result.ledger[0].attempts == 3
    assert len({arrival.body for arrival in sink.arrivals}) == 1
    assert len(sink.arrivals) == 3


async def test_latency_is_that_of_first_attempts(sink: Sink) -> None:
    sink.answer_next(503)
    result = await play(Plan(url=sink.url(), rate=1, duration=1))
    assert result.accepted == 1
    assert result.ack_ms.max is None


@pytest.mark.parametrize("status", [201, 202, 204, 301, 401, 413, 500])
async def test_no_other_status_is_taken_for_a_200(sink: Sink, status: int) -> None:
    sink.answer_next(status)
    result = await play(Plan(url=sink.url(), rate=1, duration=1))
    assert result.refused == {str(status): 1}
    assert (result.accepted, len(sink.arrivals)) == (1, 2)


async def test_a_connection_that_breaks_counts_and_is_retried(sink: Sink) -> None:
    sink.answer_next(NO_ANSWER)
    result = await play(Plan(url=sink.url(), rate=1, duration=1))
    assert (result.accepted, result.refused) == (1, {"connection": 1})


async def test_an_answer_that_does_not_come_in_time_counts_and_is_retried(sink: Sink) -> None:
    sink.hold()
    plan = Plan(url=sink.url(), rate=1, duration=1, timeout=0.1)
    running = asyncio.create_task(play(plan))
    await eventually(lambda: len(sink.arrivals) >= 2, saying="the retry after a timeout")
    sink.release()
    result = await running
    assert result.accepted == 1
    assert result.refused["timeout"] >= 1
    assert result.refused["timeout"] == result.retries


async def test_webhooks_reach_a_server_that_comes_up_later(sink: Sink) -> None:
    await sink.down()
    running = asyncio.create_task(play(Plan(url=sink.url(), rate=20, duration=0.5)))
    await sink.up()
    result = await running
    assert result.accepted == result.sent == 10
    assert {arrival.body for arrival in sink.accepted} == {a.body for a in sink.arrivals}
    assert len({arrival.body for arrival in sink.accepted}) == 10


async def test_what_is_never_accepted_is_given_up_when_the_grace_time_is_over() -> None:
    url = f"http://{HOST}:{free_port()}/"
    result = await play(Plan(url=url, rate=20, duration=0.2, retry_for=0.3))
    assert (result.sent, result.accepted, result.lost) == (4, 0, 4)
    assert result.refused == {"connection": 4 + result.retries}
    assert result.retries >= 4
    assert not result.accepted_keys
    assert result.seconds < 2


async def test_what_never_left_when_the_run_was_ended_is_not_taken_for_refused(sink: Sink) -> None:
    """All but the first wait for the one connection."""
    sink.hold()
    plan = Plan(url=sink.url(), rate=50, duration=30, connections=1)
    async with HttpSender(plan.url, timeout=plan.timeout) as sender:
        simulation = Simulation(plan, sender, delays=QUICK)
        running = asyncio.create_task(simulation.run())
        await eventually(lambda: simulation.progress.started >= 5, saying="some that wait")
        simulation.stop()
        sink.release()
        result = await running
    assert (result.sent, result.accepted, result.started) == (1, 1, 1)
    assert not result.lost
