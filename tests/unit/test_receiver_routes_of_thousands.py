"""A table of 10,000 endpoints: a lookup costs what it costs for 10, a change never takes long."""

import itertools
import time
import timeit
from collections.abc import Iterator

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import ReceiverTable
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import Reason
from forebay_receiver.services.routes import Routes
from forebay_receiver.settings import ReceiverSettings
from support.receiver.many_routes import FILES, many_routes, path_to

MANY = 10_000


def tables(count: int, *, secret: str = "a-secret") -> dict[str, ReceiverTable]:
    routes = many_routes(count, secret=secret)
    return {
        f"{number:02d}.json": ReceiverTable(generation=secret, routes=tuple(routes[number::FILES]))
        for number in range(FILES)
    }


def served(count: int) -> tuple[Routes, ReceiverMetrics]:
    metrics = ReceiverMetrics(pool="test")
    routes = Routes(metrics, ReceiverSettings())
    routes.replace(tables(count))
    return routes, metrics


@pytest.fixture(scope="module")
def many() -> tuple[Routes, ReceiverMetrics]:
    """Give 10,000 endpoints."""
    return served(MANY)


def test_a_lookup_costs_the_same_for_10_and_for_10_000(
    many: tuple[Routes, ReceiverMetrics],
) -> None:
    few, _ = served(10)
    paths = [path_to(route) for route in many_routes(10)]

    def seconds(routes: Routes) -> float:
        def find() -> None:
            for path in paths:
                assert routes.find(path) is not None

        return timeit.timeit(find, timer=time.thread_time, number=500)

    # In turns, so that what slows the machine down slows both.
    among_few, among_many = [], []
    for _ in range(15):
        among_few.append(seconds(few))
        among_many.append(seconds(many[0]))
    assert min(among_many) < 2 * min(among_few)


def test_the_longest_slice_of_a_change_is_a_small_part_of_it(
    many: tuple[Routes, ReceiverMetrics],
) -> None:
    routes, _ = many
    changed = tables(MANY, secret="another-secret")
    runs = [cpu_seconds(routes.replacing(each)) for each in (changed, tables(MANY)) * 3]
    shares = [min(times) for times in zip(*runs, strict=True)]
    assert len(shares) > FILES
    assert max(shares) < sum(shares) / 4
    assert max(shares) < 0.02


def test_the_longest_slice_of_the_metrics_is_a_small_part_of_them(
    many: tuple[Routes, ReceiverMetrics],
) -> None:
    runs = [cpu_seconds(many[1].slices()) for _ in range(6)]
    shares = [min(times) for times in zip(*runs, strict=True)]
    assert len(shares) > MANY / 1_000
    assert max(shares) < sum(shares) / 4
    assert max(shares) < 0.02


def cpu_seconds(slices: Iterator[object]) -> list[float]:
    """Return the processor time of each slice.

    Of this thread, so that what else the machine does counts little; the least of several runs
    leaves out the rest.
    """
    found = []
    end = object()
    while True:
        began = time.thread_time()
        done = next(slices, end) is end
        found.append(time.thread_time() - began)
        if done:
            return found


def test_what_did_not_change_keeps_its_state_and_its_counters() -> None:
    routes, metrics = served(100)
    same, other = (path_to(route) for route in many_routes(2))
    before = routes.find(same)
    assert before is not None
    before.in_flight = 3
    before.metrics.stored(duplicate=False, at=1.0)
    before_other = routes.find(other)
    assert before_other is not None
    routes.replace(tables(100))
    assert routes.find(same) is before
    routes.replace(tables(100, secret="another-secret"))
    after = routes.find(same)
    assert after is not before
    assert after is not None
    assert after.metrics is before.metrics
    assert routes.find(other) is before_other
    assert 'outcome="stored"} 1\n' in "".join(metrics.slices())


def test_an_endpoint_that_goes_takes_its_counters_along() -> None:
    routes, metrics = served(20)
    gone = many_routes(20)[-1]
    assert str(gone.endpoint.name) in "".join(metrics.slices())
    routes.replace(tables(10))
    assert routes.find(path_to(gone)) is None
    assert len(routes) == 10
    assert str(gone.endpoint.name) not in "".join(metrics.slices())


async def test_the_table_before_is_served_until_the_change_is_complete() -> None:
    routes, _ = served(10)
    new = path_to(many_routes(2_000)[-1])
    work = routes.replacing(tables(2_000))
    for _ in work:
        assert routes.find(new) is None
        assert len(routes) == 10
    assert routes.find(new) is not None
    await routes.replace_in_slices(tables(10))
    assert routes.find(new) is None


def test_who_is_refused_for_a_new_reason_during_a_scrape_does_not_end_it() -> None:
    metrics = ReceiverMetrics(pool="test")
    endpoints = [metrics.of(EndpointName("demo", f"whe-{number}")) for number in range(400)]
    first, later = tuple(Reason)[:3], itertools.cycle(tuple(Reason)[3:])
    for each in endpoints:
        for reason in first:
            each.refused(reason, unavailable=False)
    lines = 0
    # A slice of 500 samples ends within an endpoint of 3 reasons.
    for text, reason in zip(metrics.slices(), later, strict=False):
        lines += text.count("forebay_receiver_refused_total{")
        for each in endpoints:
            each.refused(reason, unavailable=False)
    assert lines >= 3 * len(endpoints)
