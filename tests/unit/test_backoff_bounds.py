"""The wait before another try grows, has a ceiling, and is drawn from its upper half."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.tables import Retry
from forebay_processor.delivery.backoff import backoff_seconds

RETRY = Retry(initial_delay_seconds=1.0, max_delay_seconds=60.0)


def _draws(attempts: int) -> list[float]:
    """Return a thousand waits after so many attempts, the shortest first."""
    random = Random(attempts)
    return sorted(backoff_seconds(RETRY, attempts, random) for _ in range(1000))


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    waits = [_draws(attempts)[-1] for attempts in range(1, 9)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], rel=0.01)


def test_the_shortest_draw_is_half_of_the_longest() -> None:
    waits = [_draws(attempts)[0] for attempts in range(1, 9)]
    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30], rel=0.01)


@given(
    st.floats(0.001, 3600), st.floats(0.001, 86_400), st.integers(1, 10**9), st.integers(0, 2**32)
)
def test_no_number_of_attempts_leads_out_of_the_bounds(
    initial: float, longest: float, attempts: int, seed: int
) -> None:
    retry = Retry(initial_delay_seconds=initial, max_delay_seconds=longest)
    seconds = backoff_seconds(retry, attempts, Random(seed))
    assert min(initial, longest) / 2 <= seconds <= longest


def test_those_that_failed_together_do_not_come_back_together() -> None:
    random = Random(1)
    assert len({backoff_seconds(RETRY, 3, random) for _ in range(100)}) == 100
