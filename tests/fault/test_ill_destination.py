"""A destination that is dead or slow hurts no other, and gets all in order when it is back."""

from pathlib import Path

from support.processor.neighbours import Neighbours, ten_destinations, usual_percentile
from support.timing.wait import eventually

RATE, SECONDS = 20.0, 5.0

FACTOR = 1.5
"""What an ill neighbour may cost the others, by their 99th percentile."""

QUICK_SECONDS = 0.15
"""The promise from webhook to destination: within it nobody is hurt, whatever the factor of two
short measurements on a busy machine."""


def assert_unhurt(before: list[float], meanwhile: list[float]) -> None:
    usual, now = usual_percentile(before, 0.99), usual_percentile(meanwhile, 0.99)
    assert now <= max(FACTOR * usual, QUICK_SECONDS), f"{usual * 1000:.0f} to {now * 1000:.0f} ms"


async def breaker(neighbours: Neighbours) -> float:
    return await neighbours.processor.part.metric(
        "forebay_processor_breaker_open", endpoint=neighbours.name, destination="ill"
    )


async def test_a_dead_destination_among_ten(tmp_path: Path) -> None:
    async with ten_destinations(tmp_path) as neighbours:
        before = await neighbours.phase(rate=RATE, seconds=SECONDS)
        await neighbours.wait_all_at_the_ill_one(within=10)
        await neighbours.ill.down()
        meanwhile = await neighbours.phase(rate=RATE, seconds=SECONDS)
        assert_unhurt(before, meanwhile)
        assert await breaker(neighbours) == 1
        await neighbours.ill.up()
        await neighbours.wait_all_at_the_ill_one(within=20)
        assert await breaker(neighbours) == 0


async def test_a_destination_that_answers_after_nine_seconds_among_ten(tmp_path: Path) -> None:
    async with ten_destinations(tmp_path) as neighbours:
        before = await neighbours.phase(rate=RATE, seconds=SECONDS)
        await neighbours.wait_all_at_the_ill_one(within=10)
        neighbours.ill.delay_seconds = 9
        meanwhile = await neighbours.phase(rate=RATE, seconds=SECONDS)
        assert_unhurt(before, meanwhile)
        # What waits for its nine seconds keeps them.
        late = [each for each in neighbours.ill.arrivals if not each.accepted]
        assert late
        neighbours.ill.delay_seconds = 0
        await neighbours.wait_all_at_the_ill_one(within=25)
        # It answered 200, if late: its breaker was closed all the time.
        assert all(each.accepted for each in late)
        assert not neighbours.processor.part.logged("breaker_opened")


async def test_a_killed_processor_finds_out_again_who_is_dead(tmp_path: Path) -> None:
    async with ten_destinations(tmp_path) as neighbours:
        neighbours.ill.status = 503
        await neighbours.phase(rate=RATE, seconds=1)
        await eventually(lambda: breaker(neighbours))
        await neighbours.processor.part.kill()
        asked = len(neighbours.ill.arrivals)
        await neighbours.processor.part.start()
        await eventually(lambda: breaker(neighbours), within=30)
        # What a closed breaker lets through until it knows: no more than has a place at a time.
        assert len(neighbours.ill.arrivals) - asked <= 64 + 5
        neighbours.ill.status = 200
        await neighbours.wait_all_at_the_ill_one(within=25)
