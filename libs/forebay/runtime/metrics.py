"""The metrics kit: each metric is declared once, counted in plain numbers, and written in slices.

A part declares its metrics in its module `metrics` (`metric_declarations`) and counts them through
the verbs of one class there, over a `MetricSet`.

Two things are not as in prometheus_client, and are why this is here (docs/design/0002):

- Its counters take a lock and make strings of all labels, 2 µs each time; its histogram walks the
  buckets in Python. Here everything is counted on the event loop's thread, in dictionaries and
  lists: a tenth of that. What can be read when somebody asks is counted nowhere (`follow`).
- It writes all samples in one go: 0.75 s for 10,000 endpoints, in which no webhook is served.
  `MetricSet.slices` stops every `SLICE` samples.

Labels are bounded (`metric_declarations.LABELS`). What is counted for an endpoint or a destination
that no table names any more is shown for a while, so that the last counts are collected, and then
forgotten (`sweep`).
"""

import asyncio
import functools
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from forebay.runtime.metric_declarations import LAG_SECONDS, START_TIME, Kind, Metric
from forebay.runtime.periodic import periodically

__all__ = [
    "CONTENT_TYPE",
    "OPENMETRICS_TYPE",
    "Exposition",
    "Histogram",
    "Labels",
    "MetricSet",
    "Owner",
    "Sample",
    "Series",
]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus' text format."""

OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""Of OpenMetrics' text format, which has exemplars."""

SLICE: Final = 500
"""Samples that are written, or swept, in one go: about half a millisecond."""

SWEEPS: Final = 4
"""Sweeps for what is gone in the time that it is kept: a series goes within 1.25 times that."""

Labels = tuple[str, ...]
"""Values of a metric's labels, in the order of its declaration, always of the same types."""

Owner = tuple[str, ...]
"""Whose a series is: namespace and endpoint, and where there is one, the destination."""

Sample = tuple[Labels, float]


class Exposition(NamedTuple):
    """What `/metrics` answers."""

    content: bytes
    content_type: str


class _Exemplar(NamedTuple):
    """One value of a bucket, and the trace of what it was measured at."""

    value: float
    trace_id: str
    at: float
    """Seconds since the epoch."""

    @property
    def text(self) -> str:
        return f' # {{trace_id="{self.trace_id}"}} {self.value} {self.at:.3f}'


class Series:
    """The samples of one counter or gauge in this process."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._cells: dict[Labels, float] = {}
        if not metric.labels:
            self._cells[()] = 0
        self._read: Callable[[], Iterable[Sample]] | None = None
        labels = ",".join(f'{label}="%s"' for label in metric.labels)
        self._line = f"{metric.name}{f'{{{labels}}}' if labels else ''} %s\n"

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Count; a quarter of a microsecond."""
        cells = self._cells
        cells[labels] = cells.get(labels, 0) + amount

    def set(self, value: float, labels: Labels = ()) -> None:
        """Take a value."""
        self._cells[labels] = value

    def replace(self, samples: Iterable[Sample]) -> None:
        """Take these values, and forget all others."""
        self._cells = dict(samples)

    def follow(self, read: Callable[[], Iterable[Sample]]) -> None:
        """Ask for the samples whenever they are shown, instead of keeping any.

        Others have their turns between them: a generator must not go through what they change.
        """
        self._cells.clear()
        self._read = read

    def follow_value(self, read: Callable[[], float]) -> None:
        """Ask for the one value of a metric without labels whenever it is shown."""
        self.follow(lambda: [((), read())])

    def cells(self) -> list[Labels]:
        """Return the labels of all that is kept here."""
        return list(self._cells)

    def forget(self, labels: Labels) -> None:
        """Show this one no more, until it is counted again."""
        self._cells.pop(labels, None)

    def slices(self) -> Iterator[str]:
        """Return the samples in Prometheus' text format."""
        samples = iter(list(self._cells.items()) if self._read is None else self._read())
        line = self._line
        while some := list(islice(samples, SLICE)):
            yield "".join([line % (*_escaped(labels), _number(value)) for labels, value in some])


class Histogram:
    """A distribution in this process."""

    def __init__(self, metric: Metric, pool: str) -> None:
        self.metric = metric
        self._pool = pool
        self._buckets = list(metric.buckets)
        self._counts = [0] * (len(metric.buckets) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, _Exemplar] = {}
        """The newest of each bucket."""

    def observe(self, value: float) -> None:
        """Count one value; a quarter of a microsecond."""
        self._counts[bisect_left(self._buckets, value)] += 1
        self._sum += value

    def exemplify(self, value: float, trace_id: str, at: float) -> None:
        """Name the trace of a value that was observed; `at` in seconds since the epoch."""
        bucket = bisect_left(self._buckets, value)
        self._exemplars[bucket] = _Exemplar(value, trace_id, at)

    def slices(self, *, has_exemplars: bool = False) -> Iterator[str]:
        """Return the buckets, the sum and the count in text.

        Args:
            has_exemplars: Whether exemplars are in it, as OpenMetrics has them.
        """
        name, pool = self.metric.name, f'pool="{self._pool}"'
        total = 0
        lines: list[str] = []
        edges = (*map(float, self._buckets), "+Inf")
        for bucket, (edge, count) in enumerate(zip(edges, self._counts, strict=True)):
            total += count
            exemplar = self._exemplars.get(bucket) if has_exemplars else None
            own = "" if exemplar is None else exemplar.text
            lines.append(f'{name}_bucket{{{pool},le="{edge}"}} {total}{own}\n')
        lines.append(f"{name}_sum{{{pool}}} {self._sum}\n{name}_count{{{pool}}} {total}\n")
        yield "".join(lines)


class MetricSet:
    """All metrics of one process: all that its part declares, shown even where nothing happened."""

    def __init__(self, declared: Iterable[Metric], pool: str) -> None:
        self._shown: list[Series | Histogram] = []
        self._series: dict[str, Series] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in declared:
            each: Series | Histogram
            if metric.kind is Kind.HISTOGRAM:
                each = self._histograms[metric.name] = Histogram(metric, pool)
            else:
                each = self._series[metric.name] = Series(metric)
            self._shown.append(each)
            if metric.name.endswith(START_TIME):
                self._series[metric.name].set(time.time())
        self._surveys: list[Callable[[], Iterable[object]]] = []
        self._gone_since: dict[Owner, float] = {}
        self._has_exemplars = False

    def series(self, metric: Metric) -> Series:
        """Return a counter or a gauge."""
        return self._series[metric.name]

    def histogram(self, metric: Metric) -> Histogram:
        """Return a histogram."""
        return self._histograms[metric.name]

    # -- showing

    def before(self, survey: Callable[[], Iterable[object]]) -> None:
        """Run this before anything is written: what several metrics are read from.

        It stops wherever others are to have their turn.
        """
        self._surveys.append(survey)

    def follow_spans(
        self, spans: Metric, read: Callable[[], Iterable[tuple[tuple[str], int]]]
    ) -> None:
        """Ask what became of spans whenever it is shown, and show exemplars from now on."""
        self._series[spans.name].follow(read)
        self._has_exemplars = True

    def slices(self, *, is_open: bool = False) -> Iterator[str]:
        """Return everything in text, a slice at a time.

        Args:
            is_open: Whether in the format of OpenMetrics, with exemplars; else in Prometheus'.
        """
        for survey in self._surveys:
            for _ in survey():
                yield ""
        for each in self._shown:
            metric = each.metric
            # A counter's family has no suffix in OpenMetrics, its samples have.
            name = metric.name.removesuffix("_total") if is_open else metric.name
            yield f"# HELP {name} {metric.says}\n# TYPE {name} {metric.kind}\n"
            if isinstance(each, Histogram):
                yield from each.slices(has_exemplars=is_open)
            else:
                yield from each.slices()
        if is_open:
            yield "# EOF\n"

    async def exposition(self, accept: str = "") -> Exposition:
        """Return everything in text; webhooks are served in between.

        Prometheus asks for OpenMetrics first, and gets it where there are exemplars: nothing else
        of it is of use here.

        Args:
            accept: The request's header of that name.
        """
        is_open = self._has_exemplars and "application/openmetrics-text" in accept
        text: list[str] = []
        for each in self.slices(is_open=is_open):
            text.append(each)
            await asyncio.sleep(0)
        return Exposition("".join(text).encode(), OPENMETRICS_TYPE if is_open else CONTENT_TYPE)

    # -- forgetting

    def sweep(
        self, is_known: Callable[[Owner], bool], keep_seconds: float, now: float
    ) -> Iterator[None]:
        """Forget series whose owner is unknown for so long; stops every `SLICE` of them.

        What is counted after that begins at 0 again, and goes again.

        Args:
            is_known: Whether an endpoint, or a destination of one, is still there.
            keep_seconds: How long the last values are shown: several scrapes.
            now: Seconds that never go back.
        """
        gone: dict[Owner, float] = {}
        is_there = functools.cache(is_known)
        for series in self._series.values():
            size = series.metric.owner_size
            if not size:
                continue
            for number, labels in enumerate(series.cells(), start=1):
                owner = labels[:size]
                if not is_there(owner):
                    since = gone[owner] = self._gone_since.get(owner, now)
                    if now - since >= keep_seconds:
                        series.forget(labels)
                if number % SLICE == 0:
                    yield
            yield
        self._gone_since = gone

    async def forget_gone(self, is_known: Callable[[Owner], bool], keep_seconds: float) -> None:
        """Sweep again and again; until cancelled. Takes what `sweep` takes."""

        async def sweep() -> None:
            for _ in self.sweep(is_known, keep_seconds, time.monotonic()):
                await asyncio.sleep(0)

        await periodically(sweep, keep_seconds / SWEEPS)

    async def measure_lag(self, lag: Metric) -> None:
        """Measure how late the event loop wakes, into a histogram; until cancelled."""
        observe = self.histogram(lag).observe
        while True:
            due = time.monotonic() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            observe(max(time.monotonic() - due, 0.0))


def _escaped(labels: Sequence[str]) -> Sequence[str]:
    text = "".join(labels)
    if '"' in text or "\\" in text or "\n" in text:
        return [
            each.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for each in labels
        ]
    return labels


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
