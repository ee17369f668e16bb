"""Some webhooks are sent twice, as providers do: the same bytes, counted apart from retries."""

from collections import Counter

from forebay_simulator import Plan, simulate
from support.destinations.sink import Sink


async def test_with_a_share_of_one_every_webhook_comes_twice(sink: Sink) -> None:
    result = await simulate(Plan(url=sink.url(), rate=50, duration=0.4, duplicates=1.0))
    times = Counter(arrival.body for arrival in sink.arrivals)
    assert set(times.values()) == {2}
    assert (result.sent, result.accepted, result.repeats, result.items) == (20, 20, 20, 20)
    assert (result.retries, result.refused) == (0, {})
    assert all(record.attempts == 2 for record in result.ledger)


async def test_a_share_between_repeats_some(sink: Sink) -> None:
    result = await simulate(Plan(url=sink.url(), rate=100, duration=0.4, duplicates=0.4, seed=3))
    times = Counter(arrival.body for arrival in sink.arrivals)
    assert len(times) == result.sent == 40
    assert sum(times.values()) == result.sent + result.repeats
    assert 5 < result.repeats < 35


async def test_nothing_is_repeated_unasked(sink: Sink) -> None:
    result = await simulate(Plan(url=sink.url(), rate=100, duration=0.3))
    assert (result.repeats, len(sink.arrivals)) == (0, 30)


async def test_a_refused_repeat_of_an_accepted_webhook_is_left_at_that(sink: Sink) -> None:
    # Seed 0 draws a repeat that comes after the first was accepted.
    sink.answer_next(200, 503)
    result = await simulate(Plan(url=sink.url(), rate=1, duration=1, duplicates=1.0, seed=0))
    assert (result.sent, result.accepted, result.repeats, result.retries) == (1, 1, 1, 0)
    assert result.refused == {"503": 1}
    assert len(sink.arrivals) == 2
