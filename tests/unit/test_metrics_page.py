"""docs/metrics.md has every metric, and nothing names one that is not there; `make generate`."""

import re
from pathlib import Path
from typing import Final

import pytest

from forebay.runtime.metric_declarations import Declarations
from support.docs.metrics_page import METRICS, PAGE, page, sample_names

ROOT: Final = Path(__file__).parents[2]

NAMED: Final = re.compile(
    r"\bforebay_(?:api|receiver|processor|operator|stream)_[a-z0-9_]*[a-z0-9]\b"
)
LEFT_OUT: Final = ("docs/results", "docs/design")
"""What was measured and decided at a time, by the names of then."""

FILES: Final = ("*.md", "*.yaml", "*.yml", "*.json", "*.tpl", "*.txt")


def test_the_page_is_what_the_parts_declare(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-test-data"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run `make generate`"


def test_every_metric_has_a_row_with_all_that_there_is_to_say() -> None:
    text = PAGE.read_text()
    for metric in (metric for metrics in METRICS.values() for metric in metrics):
        assert f"| `{metric.name}` |" in text
        assert all((metric.says, metric.use, metric.unit)), metric.name


def test_every_metric_that_is_named_in_docs_and_chart_exists() -> None:
    known = sample_names()
    for folder in ("docs", "charts"):
        for pattern in FILES:
            for file in sorted((ROOT / folder).rglob(pattern)):
                where = str(file.relative_to(ROOT))
                if where.startswith(LEFT_OUT):
                    continue
                for name in NAMED.findall(file.read_text()):
                    assert name in known, f"{where} names {name}"


@pytest.mark.parametrize(
    ("name", "labels", "problem"),
    [
        ("forebay_x_count", (), "end in _total"),
        ("forebay_x_total", ("phone",), "not in LABELS"),
        ("forebay_x_total", ("outcome", "namespace", "endpoint"), "first labels"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_refused(
    name: str, labels: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        Declarations("x").counter(name, "Says.", unit="things", use="Use.", labels=labels)


@pytest.mark.parametrize("buckets", [(0.1, 1.0, 5.0), (0.25, 5.0), (0.25, 1.0, 2.5)])
def test_a_histogram_of_times_has_the_edges_of_the_providers_limits(
    buckets: tuple[float, ...],
) -> None:
    with pytest.raises(ValueError, match="edges at"):
        Declarations("x").histogram(
            "forebay_x_seconds", "S.", unit="seconds", use="U.", buckets=buckets
        )


def test_a_metric_is_declared_once() -> None:
    declared = Declarations("x")
    declared.gauge("forebay_x", "Says.", unit="things", use="Use.")
    with pytest.raises(ValueError, match="twice"):
        declared.gauge("forebay_x", "Says.", unit="things", use="Use.")
