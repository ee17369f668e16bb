"""Webhooks leave by the clock, whatever became of those before."""

import asyncio

from forebay_simulator import Plan, simulate
from support.destinations.sink import Sink
from support.timing.wait import eventually


async def test_a_server_that_does_not_answer_gets_all_webhooks_all_the_same(sink: Sink) -> None:
    sink.hold()
    running = asyncio.create_task(simulate(Plan(url=sink.url(), rate=100, duration=0.5)))
    await eventually(lambda: len(sink.arrivals) == 50, saying="50 webhooks, none answered")
    assert not sink.accepted
    assert not running.done()
    sink.release()
    result = await running
    assert (result.sent, result.accepted, result.refused) == (50, 50, {})


async def test_a_wait_for_a_free_connection_counts_into_the_latency(sink: Sink) -> None:
    sink.delay_seconds = 0.05
    result = await simulate(Plan(url=sink.url(), rate=100, duration=0.1, connections=1))
    # Ten webhooks within 0.1 s, one after the other at 50 ms: the last is done after 500 ms.
    assert result.accepted == 10
    assert result.behind_ms > 300
    assert result.ack_ms.max is not None
    assert result.ack_ms.max > 350


async def test_the_schedule_is_kept(sink: Sink) -> None:
    result = await simulate(Plan(url=sink.url(), rate=40, duration=0.5))
    arrived = [arrival.at for arrival in sink.arrivals]
    assert result.sent == len(arrived) == 20
    # 20 webhooks at 40/s: 475 ms lie between the first and the last.
    assert 0.4 < arrived[-1] - arrived[0] < 2


async def test_items_of_batches_are_counted_and_all_arrive(sink: Sink) -> None:
    result = await simulate(Plan(url=sink.url(), rate=20, duration=0.5, batch=25))
    assert (result.sent, result.items) == (10, 250)
    assert len(result.accepted_keys) == 250
    assert sum(arrival.body.count(b'"timestamp"') for arrival in sink.arrivals) == 250


async def test_a_seed_sends_the_same_bytes_again(sink: Sink) -> None:
    plan = Plan(url=sink.url(), rate=50, duration=0.2, seed=5)
    first, second = await simulate(plan), await simulate(plan)
    assert first.accepted_keys == second.accepted_keys
    bodies = [arrival.body for arrival in sink.arrivals]
    assert sorted(bodies[:10]) == sorted(bodies[10:])
    assert first.seed == 5


async def test_without_a_ledger_the_figures_are_the_same(sink: Sink) -> None:
    plan = Plan(url=sink.url(), rate=50, duration=0.2, keep_ledger=False, duplicates=0.5)
    result = await simulate(plan)
    assert (result.sent, result.accepted, result.items, result.ledger) == (10, 10, 10, ())
