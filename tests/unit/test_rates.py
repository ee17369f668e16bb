"""A bucket lets through its rate, and no burst worth speaking of."""

import pytest

from forebay_processor.delivery.token_bucket import TokenBucket


class Clock:
    """A clock that the test turns."""

    now = 50.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now


def take_for(bucket: TokenBucket, clock: Clock, seconds: float) -> int:
    """Take whenever there is a token, and return how many there were."""
    taken, end = 0, clock.now + seconds
    while clock.now <= end:
        if bucket.wait == 0:
            bucket.take()
            taken += 1
        else:
            clock.now += bucket.wait
    return taken


@pytest.mark.parametrize("rate", [0.5, 1, 7.3, 100, 3000])
def test_the_rate_holds_over_time(rate: float) -> None:
    clock = Clock()
    taken = take_for(TokenBucket(rate, clock), clock, 20)
    assert rate * 20 - 1 <= taken <= rate * 20.1 + 2


@pytest.mark.parametrize(("rate", "burst"), [(1, 1), (10, 1), (50, 5), (1000, 100)])
def test_after_a_long_rest_no_second_sees_more_than_a_tenth_above(rate: float, burst: int) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    clock.now += 3600
    taken = 0
    while bucket.wait == 0:
        bucket.take()
        taken += 1
    assert taken == burst


def test_the_wait_is_until_the_next_token() -> None:
    clock = Clock()
    bucket = TokenBucket(4, clock)
    bucket.take()
    assert bucket.wait == pytest.approx(0.25)
    clock.now += 0.1
    assert bucket.wait == pytest.approx(0.15)
    clock.now += bucket.wait
    assert bucket.wait == 0


def test_a_change_of_the_rate_gives_nothing_away() -> None:
    clock = Clock()
    bucket = TokenBucket(1, clock)
    bucket.take()
    bucket.change(100)
    assert bucket.wait == pytest.approx(0.01)
    assert bucket.rate == 100
