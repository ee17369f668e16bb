"""The metrics of destinations' filters: what they kept back, and what they could not decide.

A part of `metrics`.
"""

from typing import Final

from forebay.core.endpoint_name import EndpointName
from forebay.core.expression_errors import ExpressionFailure
from forebay.runtime.metric_declarations import DESTINATION, Declarations
from forebay.runtime.metrics import MetricSet

__all__ = ["OF_FILTERS", "FilterCounts"]

_OWN: Final = Declarations("processor")

FILTERED: Final = _OWN.counter(
    "forebay_processor_filtered_items_total",
    "Items that a destination's filter expression did not let through.",
    labels=DESTINATION,
    unit="items",
    use="With what was delivered and is dead: all that came for the destination's kinds.",
)
UNDECIDED: Final = _OWN.counter(
    "forebay_processor_filter_failures_total",
    "Items that were let through because a filter expression failed on them, by reason: Missing "
    "(a field is not there), Type (a value is of another type), TooLarge, TooMuchWork (it took "
    "long, and rests), Unusable (it cannot be compiled).",
    labels=(*DESTINATION, "reason"),
    unit="items",
    use="Try the expression by `forebay filter try`, and ask by `has` or `?` for what may lack.",
)

OF_FILTERS: Final = tuple(_OWN)
"""Both of them, in the order in which they are shown."""


class FilterCounts:
    """Counts what filters do."""

    def __init__(self, metrics: MetricSet) -> None:
        self._filtered = metrics.series(FILTERED)
        self._undecided = metrics.series(UNDECIDED)

    def filtered(self, endpoint: EndpointName, destination: str) -> None:
        """Count an item that was kept back."""
        self._filtered.add((*endpoint, destination))

    def undecided(
        self, endpoint: EndpointName, destination: str, failure: ExpressionFailure
    ) -> None:
        """Count an item that was let through because the filter failed on it."""
        self._undecided.add((*endpoint, destination, failure))
