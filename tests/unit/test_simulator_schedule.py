"""When webhooks leave, when refused ones come again, and which come twice."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay_simulator.schedule import RepeatMoment, Repeats, RetryDelays, SendTimes


class Middle(Random):
    """Randomness that always takes the middle."""

    def random(self) -> float:  # type: ignore[explicit-override]  # typing.override: Python 3.12
        """Return the middle."""
        return 0.5


@pytest.mark.parametrize(
    ("rate", "duration", "count"), [(1000, 30, 30_000), (0.5, 4, 2), (3, 0.5, 2), (0.1, 1, 1)]
)
def test_the_schedule_holds_rate_times_duration_webhooks(
    rate: float, duration: float, count: int
) -> None:
    assert SendTimes(rate=rate, duration=duration).count == count


@given(
    rate=st.floats(min_value=0.1, max_value=20_000),
    index=st.integers(min_value=0, max_value=2_000_000),
)
def test_moments_do_not_drift(rate: float, index: int) -> None:
    times = SendTimes(rate=rate, duration=1)
    assert times.offset(index) * rate == pytest.approx(index)


def test_delays_double_up_to_the_longest() -> None:
    delays = [RetryDelays().delay(retry, Middle()) for retry in range(7)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@given(
    retry=st.integers(min_value=0, max_value=10_000), seed=st.integers(min_value=0, max_value=99)
)
def test_jitter_stays_within_its_share(retry: int, seed: int) -> None:
    delay = RetryDelays().delay(retry, Random(seed))  # no secrets
    middle = min(8.0, 0.5 * 2 ** min(retry, 10))
    assert middle * 0.8 <= delay <= middle * 1.2


def test_the_share_of_repeats_is_as_asked_for_and_all_moments_occur() -> None:
    repeats = Repeats(0.3, Random(4))  # no secrets
    drawn = Counter(repeats.draw() for _ in range(10_000))
    assert drawn[None] == pytest.approx(7_000, abs=300)
    assert all(drawn[moment] > 800 for moment in RepeatMoment)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 500)])
def test_none_or_all_are_repeated_at_the_ends(share: float, expected: int) -> None:
    repeats = Repeats(share, Random(4))  # no secrets
    assert sum(repeats.draw() is not None for _ in range(500)) == expected


def test_only_a_later_repeat_waits_and_at_most_two_seconds() -> None:
    repeats = Repeats(1.0, Random(4))  # no secrets
    assert repeats.pause(RepeatMoment.AT_ONCE) == repeats.pause(RepeatMoment.ONCE_ACCEPTED) == 0
    pauses = [repeats.pause(RepeatMoment.LATER) for _ in range(1_000)]
    assert min(pauses) < 0.1
    assert 1.9 < max(pauses) <= 2.0
