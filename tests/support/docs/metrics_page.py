"""docs/metrics.md: made of what the parts declare."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from forebay.core.dead_letters import DeadReason
from forebay.core.invalid_reasons import InvalidReason
from forebay.core.item_kinds import KINDS
from forebay.core.subjects import Lane
from forebay.runtime.metric_declarations import LABELS, Kind, Metric
from forebay_api.metrics import DECLARED as API
from forebay_operator.metrics import DECLARED as OPERATOR
from forebay_operator.metrics import OLDEST
from forebay_processor.destination_metrics import OF_DESTINATIONS
from forebay_processor.destinations.result_labels import AnswerClass
from forebay_processor.metrics import DECLARED as PROCESSOR
from forebay_receiver.metrics import DECLARED as RECEIVER
from forebay_receiver.outcomes import Outcome, Reason

__all__ = [
    "METRICS",
    "MOST_AT_RECEIVER",
    "MOST_OF_DESTINATION",
    "MOST_OF_ENDPOINT",
    "MOST_RECORDS",
    "OPTIONAL",
    "PAGE",
    "page",
    "sample_names",
]

PAGE: Final = Path(__file__).parents[3] / "docs" / "metrics.md"

METRICS: Final = {
    "Receiver": tuple(RECEIVER),
    "Processor": tuple(PROCESSOR),
    "Operator": tuple(OPERATOR),
    "HTTP API": tuple(API),
}
"""Every metric there is, by the part that shows it."""

OPTIONAL: Final = frozenset({"HTTP API"})
"""Parts that are off as shipped: on no dashboard, and not in the run by which these are tried."""

MOST_AT_RECEIVER: Final = len(Outcome) + len(Reason) + 1
"""Series of one endpoint: requests, refusals, and when the last webhook came."""

MOST_OF_ENDPOINT: Final = 3 * len(KINDS) + 3 * len(Lane) + len(InvalidReason) + 1
"""Items and webhooks by three outcomes each (a kind of items has one lane), unreadable bodies."""

MOST_OF_DESTINATION: Final = 3 + 3 + len(AnswerClass) + len(DeadReason) + 1 + len(OF_DESTINATIONS)
"""Deliveries and attempts, answers, dead letters, replays, and what its queue shows."""

MOST_RECORDS: Final = 29
"""Records of the chart's rules that name an endpoint: `tests/observability` counts them."""

_HEAD: Final = """\
# Metrics

Every part shows its metrics on its port for operators (9090), path `/metrics`, in Prometheus' text
format. `make generate` writes this page from the declarations in each part's module `metrics`.

Times are in seconds, sizes in bytes. Counters begin at 0 with each process: use `rate` or
`increase`. Every histogram of times has edges at 0.25 s and 1 s, the providers' standard, and
reaches 5 s, their limit.

## How many series there are

With `E` endpoints and `D` destinations in all, a receiver shows at most `{receiver} E` series, a
processor `{endpoint} E + {destination} D`; less than 200 more of each part are of the process.
These are bounds: an outcome, a reason or a kind that never occurred has no series. Endpoints that
only ever get text messages and statuses, at destinations that take them, have `2 E` at a receiver
and `4 E + 9 D` at a processor: `make bench-series` counts them ([1,000 endpoints with 2
destinations each](results/bench-series.md), and what a scrape costs).

Prometheus has the sum over all pods. Each of `R` receivers that serve an endpoint counts it, and of
`P` processors those that had a partition of it since their start: at most
`R ({receiver} E + 200) + P ({endpoint} E + {destination} D + 200)`, with plain traffic
`R (2 E + 200) + P (4 E + 9 D + 200)`. The chart's rules add at most `{records} E` records, and less
than 150 that name no endpoint.

A series of an endpoint, or of a destination, that left the tables goes too, so their number does
not grow with time: at a receiver at once; at a processor when its last values have been shown for
`FOREBAY_PROCESSOR_KEEP_GONE_SECONDS` (2 h) to 1.25 times that; how much waits of it is shown for
as long as something does. The operator names {oldest} endpoints at most in each of two metrics.

## Labels

| label | its values |
| --- | --- |
"""


def page() -> str:
    """Return the whole file."""
    used = {label for metrics in METRICS.values() for metric in metrics for label in metric.labels}
    labels = (f"| `{label}` | {says} |" for label, says in LABELS.items() if label in used)
    parts = ("\n".join(_part(name, metrics)) for name, metrics in METRICS.items())
    head = _HEAD.format(
        receiver=MOST_AT_RECEIVER,
        endpoint=MOST_OF_ENDPOINT,
        destination=MOST_OF_DESTINATION,
        records=MOST_RECORDS,
        oldest=OLDEST,
    )
    return head + "\n".join((*labels, *parts)) + "\n"


def _part(name: str, metrics: tuple[Metric, ...]) -> Iterator[str]:
    yield f"\n## {name}\n"
    yield "| metric | type | unit | labels | what it says | what to do with it |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield (
            f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} "
            f"| {metric.says} | {metric.use} |"
        )


def sample_names() -> frozenset[str]:
    """Return the name of every sample that a part may show."""
    names: set[str] = set()
    for metric in (metric for metrics in METRICS.values() for metric in metrics):
        if metric.kind is Kind.HISTOGRAM:
            names |= {f"{metric.name}{end}" for end in ("_bucket", "_sum", "_count")}
        names.add(metric.name)
    return frozenset(names)
