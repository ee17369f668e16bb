"""What `forebay size` reckons with stands in this repository, where it says."""

import math
import re
from pathlib import Path

import pytest

from forebay.core import measured_costs
from forebay.core.measured_costs import MEASURED, MeasuredCost

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("cost", MEASURED, ids=lambda cost: cost.what[:50])
def test_a_figure_stands_on_the_page_that_it_names(cost: MeasuredCost) -> None:
    text = (ROOT / cost.page).read_text()
    assert any(cost.quote in line for line in text.splitlines())
    if cost.page.startswith("docs/results/"):
        assert str(cost.measured) in text


def test_no_figure_is_left_out_of_the_list() -> None:
    declared = {
        name for name, value in vars(measured_costs).items() if isinstance(value, MeasuredCost)
    }
    assert len(declared) == len(MEASURED)


def test_figures_are_what_the_quotes_say() -> None:
    """Each that is no difference of several stands in its quote as it is."""
    derived = {
        measured_costs.RECEIVER_CPU_KB: (392.2 - 28.7) / 99.5,
        measured_costs.NATS_STORE_CPU_KB: (242.6 - 14.8) / 99.5,
        measured_costs.NATS_CLAIM_CPU: 60 - 42,
        measured_costs.KEY_RESTART: 13.0 / 10_000_000,
        measured_costs.MESSAGE_OVERHEAD: 1026 - 623,
        measured_costs.WAITING_MEMORY: 2884 * 1024 * 1024 / 800_000,
    }
    for cost in MEASURED:
        if cost in derived:
            assert math.isclose(cost.value, derived[cost], rel_tol=0.02), cost.what
        else:
            figures = re.findall(r"[0-9][0-9,.]*", cost.quote)
            assert cost.value in {float(each.replace(",", "").rstrip(".")) for each in figures}
