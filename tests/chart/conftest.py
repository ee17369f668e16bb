"""Fixtures of the chart level."""

import pytest

from support.cluster.chart import VALUE_SETS, Rendered, render_set


@pytest.fixture(params=list(VALUE_SETS))
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Give the chart rendered with each shipped set of values in turn."""
    return render_set(request.param)
