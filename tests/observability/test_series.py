"""The number of series is what the formula of docs/metrics.md says, and does not grow with time.

`make bench-series` does the same with a thousand endpoints, and keeps what a scrape costs.
"""

from pathlib import Path

from bench.series import bound, formula, measure
from forebay_operator.metrics import OLDEST
from support.docs.metrics_page import PAGE
from support.observability.series import DESTINATIONS, MOST_OWN, PLAIN

ENDPOINTS = 60


async def test_series_are_as_many_as_the_formula_says_and_no_more_later(tmp_path: Path) -> None:
    found = await measure(ENDPOINTS, tmp_path)
    for part in ("receiver", "processor"):
        steps = {step: parts[part] for step, parts in found.items()}
        assert steps["traffic"].of_endpoints == formula(part, ENDPOINTS), steps
        assert steps["the same again"].of_endpoints == steps["traffic"].of_endpoints
        assert steps["half deleted"].of_endpoints == formula(part, ENDPOINTS // 2), steps
        assert steps["made again"].of_endpoints == steps["traffic"].of_endpoints
        for shown in steps.values():
            assert shown.own <= MOST_OWN
            assert shown.series <= bound(part, ENDPOINTS)

    operator = found["traffic"]["operator"]
    # Two metrics name endpoints: those with the oldest Secrets, and whose certificates end first.
    assert OLDEST <= operator.of_endpoints <= 2 * OLDEST < ENDPOINTS
    assert operator.series <= MOST_OWN


def test_the_page_says_what_an_endpoint_with_texts_and_statuses_costs() -> None:
    at_receiver = PLAIN["receiver"][0]
    of_endpoint, of_destination = PLAIN["processor"]
    says = " ".join(PAGE.read_text().split())
    assert f"{at_receiver} E` at a receiver and `{of_endpoint} E + {of_destination} D` at a" in says
    assert DESTINATIONS == 2
