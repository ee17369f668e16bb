"""Metrics for the hot paths: a histogram whose observation costs a quarter of a microsecond.

prometheus_client's own histogram takes a lock, adds to two values and walks the buckets in Python:
three of them for each webhook were a tenth of what a webhook may cost. This one counts in a list on
the event loop's thread and is shown by prometheus_client as a custom collector.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

__all__ = ["LoopHistogram"]


class LoopHistogram(Collector):
    """A histogram with one label, observed from one thread only."""

    def __init__(
        self,
        name: str,
        documentation: str,
        label: tuple[str, str],
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        """Register the histogram; `label` is a name and its one value, `buckets` rise."""
        self._name = name
        self._documentation = documentation
        self._label = label
        self._buckets = list(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._buckets, value)] += 1
        self._sum += value

    @override
    def collect(self) -> Iterable[Metric]:
        """Return the histogram as prometheus_client shows it."""
        name, value = self._label
        family = HistogramMetricFamily(self._name, self._documentation, labels=[name])
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip([*self._buckets, float("inf")], self._counts, strict=True):
            total += count
            buckets.append((_bound_text(bound), total))
        family.add_metric([value], buckets, self._sum)
        return [family]


def _bound_text(bound: float) -> str:
    """Return a bucket's bound as the exposition format writes it: `+Inf`, `0.25`."""
    return "+Inf" if bound == float("inf") else repr(float(bound))
