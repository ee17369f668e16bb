"""Which items go to a destination: what its filter says, what fails, and what takes long."""

import msgspec
import pytest
import structlog

from forebay_processor.delivery.filters import Filters
from forebay_processor.delivery.resting_expressions import (
    REST_TIMES,
    SLOW_SECONDS,
    RestingExpressions,
)
from forebay_processor.destinations.port import Attempt
from forebay_processor.metrics import ProcessorMetrics
from support.processor.attempts import attempt


class Clocks:
    """A steady clock, and what a thread has spent: `costs` at each look."""

    def __init__(self) -> None:
        self.now = 0.0
        self.spent = 0.0
        self.costs = 0.0

    def steady(self) -> float:
        """Return the time."""
        return self.now

    def spend(self) -> float:
        """Return what was spent, and spend more."""
        self.spent += self.costs
        return self.spent


@pytest.fixture
def metrics() -> ProcessorMetrics:
    return ProcessorMetrics("default")


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def filters(metrics: ProcessorMetrics, clocks: Clocks) -> Filters:
    resting = RestingExpressions(clocks.steady, clocks.spend)
    return Filters(metrics.filters, clocks.steady, resting)


async def counted(metrics: ProcessorMetrics) -> list[str]:
    text = (await metrics.exposition()).content.decode()
    return [
        line.removeprefix("forebay_processor_").replace('"', "'")
        for line in text.splitlines()
        if line.startswith("forebay_processor_filter")
    ]


OF = "namespace='demo',endpoint='meta',destination='crm'"


async def test_what_a_filter_keeps_back_is_counted_and_nothing_else(
    filters: Filters, metrics: ProcessorMetrics
) -> None:
    with structlog.testing.capture_logs() as lines:
        assert filters.lets_through('itemtype == "text"', attempt())
        assert not filters.lets_through('itemtype == "image"', attempt())
    assert await counted(metrics) == [f"filtered_items_total{{{OF}}} 1"]
    assert lines == []


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("data.value.messages[0].id == 'x'", "Missing"),
        ("data.id", "Type"),
        ("misspelt == 'x'", "Unusable"),
        ("data.a.all(b, true)", "Unusable"),
    ],
)
async def test_where_a_filter_fails_the_item_is_delivered_counted_and_logged_once_a_minute(
    filters: Filters, metrics: ProcessorMetrics, clocks: Clocks, expression: str, reason: str
) -> None:
    private = attempt(key="msg:1:wamid.private")
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            assert filters.lets_through(expression, private)
        assert len(lines) == 1
        clocks.now = 61.0
        filters.settle()
    assert await counted(metrics) == [f"filter_failures_total{{{OF},reason='{reason}'}} 5"]
    assert [(each["event"], each["reason"], each["count"]) for each in lines] == [
        ("filter_failed", reason, 1),
        ("filter_failed", reason, 4),
    ]
    assert "private" not in str(lines)


async def test_an_expression_that_takes_long_rests_a_hundred_times_as_long(
    filters: Filters, metrics: ProcessorMetrics, clocks: Clocks
) -> None:
    no = "kind == 'statuses'"
    clocks.costs = 2 * SLOW_SECONDS
    assert not filters.lets_through(no, attempt())
    clocks.costs = 0.0
    with structlog.testing.capture_logs() as lines:
        clocks.now = 2 * SLOW_SECONDS * REST_TIMES - 0.01
        assert filters.lets_through(no, attempt())
    assert [each["reason"] for each in lines] == ["TooMuchWork"]
    assert f"filter_failures_total{{{OF},reason='TooMuchWork'}} 1" in await counted(metrics)
    clocks.now += 0.02
    assert not filters.lets_through(no, attempt())


async def test_a_rest_is_of_one_destination_and_one_expression(
    filters: Filters, clocks: Clocks
) -> None:
    no = "kind == 'statuses'"
    clocks.costs = 2 * SLOW_SECONDS
    filters.lets_through(no, attempt())
    clocks.costs = 0.0
    other: Attempt = msgspec.structs.replace(attempt(), destination="other")
    assert not filters.lets_through(no, other)
    assert not filters.lets_through("kind == 'calls'", attempt())
    assert filters.lets_through(no, attempt())


async def test_what_takes_long_and_fails_rests_too(filters: Filters, clocks: Clocks) -> None:
    clocks.costs = 2 * SLOW_SECONDS
    with structlog.testing.capture_logs() as lines:
        assert filters.lets_through("data.nothing == 1", attempt())
        assert filters.lets_through("data.nothing == 1", attempt())
    assert [each["reason"] for each in lines] == ["Missing", "TooMuchWork"]
