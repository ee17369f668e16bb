"""Until when an item may be unfinished: some time before its stream forgets it."""

import math

import pytest

from forebay_processor.shared.retention_ages import RetentionAges

HOUR = 3600.0
SINCE = 1000.0


@pytest.mark.parametrize(
    ("age", "margin"), [(192 * HOUR, HOUR), (8 * HOUR, HOUR), (4 * HOUR, HOUR / 2), (80.0, 10.0)]
)
def test_an_item_ends_an_hour_or_an_eighth_before_its_age(age: float, margin: float) -> None:
    assert RetentionAges(events=age).item_ends(SINCE) == SINCE + age - margin


@pytest.mark.parametrize("limit", [0, 0.0, None])
def test_without_a_limit_it_never_ends(limit: float | None) -> None:
    ages = RetentionAges(raw=1.0, events=1.0)
    ages.take(limit, limit)
    assert ages.raw == math.inf
    assert ages.item_ends(SINCE) == math.inf


def test_a_changed_age_counts_for_what_is_there() -> None:
    ages = RetentionAges(events=80.0)
    ages.take(None, 160.0)
    assert ages.item_ends(SINCE) == SINCE + 140.0
