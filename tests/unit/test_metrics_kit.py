"""What the metrics kit writes is what Prometheus' own reader reads, and what is gone goes."""

import math
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from forebay.runtime.metric_declarations import DESTINATION, ENDPOINT, Declarations
from forebay.runtime.metrics import SLICE, MetricSet, Owner

DECLARED = Declarations("test")
DONE = DECLARED.counter(
    "forebay_test_done_total", 'Says "this".', unit="x", use="U.", labels=(*ENDPOINT, "kind")
)
SENT = DECLARED.counter("forebay_test_sent_total", "S.", unit="x", use="U.", labels=DESTINATION)
FULL = DECLARED.gauge("forebay_test_full", "S.", unit="x", use="U.")
TOOK = DECLARED.histogram(
    "forebay_test_seconds", "S.", unit="seconds", use="U.", buckets=(0.25, 1.0, 5.0)
)
KEPT_SECONDS = 100.0


def read(metrics: MetricSet) -> dict[tuple[str, ...], float]:
    """Return all samples, by name and the values of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families("".join(metrics.slices()))
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> MetricSet:
    return MetricSet(DECLARED, pool="p")


def test_what_never_happened_is_0_where_there_are_no_labels(metrics: MetricSet) -> None:
    shown = read(metrics)
    assert shown["forebay_test_full",] == 0
    assert shown["forebay_test_seconds_count", "p"] == 0
    assert not any(name.startswith("forebay_test_done") for name, *_ in shown)


def test_every_metric_is_exposed_with_its_type(metrics: MetricSet) -> None:
    found = {
        each.name: (each.type, each.documentation)
        for each in text_string_to_metric_families("".join(metrics.slices()))
    }
    assert found == {
        "forebay_test_done": ("counter", 'Says "this".'),
        "forebay_test_sent": ("counter", "S."),
        "forebay_test_full": ("gauge", "S."),
        "forebay_test_seconds": ("histogram", "S."),
    }


@pytest.mark.parametrize("odd", ['quo"ted', "back\\slash", "new\nline", "50%s", "ünicode", ""])
def test_labels_are_read_as_they_were(metrics: MetricSet, odd: str) -> None:
    metrics.series(DONE).add(("a", "b", odd))
    assert read(metrics)["forebay_test_done_total", "a", "b", odd] == 1


@pytest.mark.parametrize("value", [0, 1.5, -2, 1e300, math.inf, True])
def test_values_are_read_as_they_were(metrics: MetricSet, value: float) -> None:
    metrics.series(FULL).set(value)
    assert read(metrics)["forebay_test_full",] == value


def test_a_histogram_counts_up_to_and_with_each_edge(metrics: MetricSet) -> None:
    for value in (0.25, 0.26, 1.0, 5.5):
        metrics.histogram(TOOK).observe(value)
    shown = read(metrics)
    edges = {labels[1]: value for (name, *labels), value in shown.items() if "bucket" in name}
    assert edges == {"0.25": 1, "1.0": 3, "5.0": 3, "+Inf": 4}
    assert shown["forebay_test_seconds_sum", "p"] == pytest.approx(7.01)


def test_much_is_written_in_slices(metrics: MetricSet) -> None:
    for number in range(10 * SLICE):
        metrics.series(DONE).add(("a", f"b{number}", "k"))
    slices = list(metrics.slices())
    assert max(each.count("\n") for each in slices) == SLICE
    assert len(read(metrics)) > 10 * SLICE


def test_what_is_followed_is_asked_for_at_each_read(metrics: MetricSet) -> None:
    asked = iter(range(1, 10))

    def survey() -> Iterator[None]:
        metrics.series(FULL).set(next(asked))
        yield

    metrics.before(survey)
    metrics.series(SENT).follow(lambda: [(("a", "b", "d"), 7)])
    assert [read(metrics)["forebay_test_full",] for _ in range(2)] == [1, 2]
    assert read(metrics)["forebay_test_sent_total", "a", "b", "d"] == 7


class Tables:
    """What is known: a set that a test changes."""

    def __init__(self, metrics: MetricSet) -> None:
        self.known: set[Owner] = set()
        self._metrics = metrics

    def sweep(self, now: float) -> None:
        """Have what is gone forgotten, at a time."""
        for _ in self._metrics.sweep(self.known.__contains__, KEPT_SECONDS, now):
            pass


def count(metrics: MetricSet, endpoint: str) -> None:
    metrics.series(DONE).add(("a", endpoint, "k"))
    metrics.series(SENT).add(("a", endpoint, "d"))


def shown(metrics: MetricSet) -> set[tuple[str, ...]]:
    return {
        labels
        for (name, *rest), _ in read(metrics).items()
        if (labels := (*rest,)) and "_total" in name
    }


def test_what_is_gone_is_shown_for_a_while_and_then_goes(metrics: MetricSet) -> None:
    tables = Tables(metrics)
    count(metrics, "stays")
    count(metrics, "goes")
    tables.known = {("a", "stays"), ("a", "stays", "d")}
    tables.sweep(0.0)
    tables.sweep(KEPT_SECONDS - 1)
    assert ("a", "goes", "k") in shown(metrics)
    tables.sweep(KEPT_SECONDS)
    assert shown(metrics) == {("a", "stays", "k"), ("a", "stays", "d")}


def test_a_destination_goes_and_its_endpoint_stays(metrics: MetricSet) -> None:
    tables = Tables(metrics)
    count(metrics, "b")
    tables.known = {("a", "b")}
    for now in (0.0, KEPT_SECONDS):
        tables.sweep(now)
    assert shown(metrics) == {("a", "b", "k")}


def test_what_comes_back_in_time_is_kept(metrics: MetricSet) -> None:
    tables = Tables(metrics)
    count(metrics, "b")
    tables.sweep(0.0)
    tables.known = {("a", "b"), ("a", "b", "d")}
    tables.sweep(KEPT_SECONDS / 2)
    tables.known = set()
    tables.sweep(KEPT_SECONDS)
    assert ("a", "b", "k") in shown(metrics), "its time begins anew"


def test_what_is_counted_after_it_went_goes_too(metrics: MetricSet) -> None:
    tables = Tables(metrics)
    for now in (0.0, KEPT_SECONDS, KEPT_SECONDS * 2):
        count(metrics, "b")
        tables.sweep(now)
    for now in (KEPT_SECONDS * 3, KEPT_SECONDS * 4):
        tables.sweep(now)
    assert not shown(metrics)


def test_a_thousand_endpoints_that_come_and_go_leave_nothing(metrics: MetricSet) -> None:
    tables = Tables(metrics)
    most = 0
    for number in range(1000):
        tables.known = {("a", f"b{number}"), ("a", f"b{number}", "d")}
        count(metrics, f"b{number}")
        tables.sweep(number * KEPT_SECONDS / 4)
        most = max(most, len(metrics.series(DONE).cells()))
    assert most <= 6
