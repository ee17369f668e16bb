"""The filters of destinations: asked once for each item, before anything is stored for it.

What a filter keeps back is as if the destination did not exist: it is in no queue and never in
RETRY. What it lets through is never asked about again, at no attempt and after no change: RETRY's
rows and what a person replays go out. If the process dies before an item is acked in EVENTS, it
comes again and is asked about again, with the same answer unless the manifest was changed
meanwhile.

Where a filter fails on an item, the item is delivered: a filter spares a destination what it has no
use for, and an item must not be lost by a misspelt field. That is counted, and logged once a
minute.

An expression that takes long rests (`resting_expressions`), and its items are delivered meanwhile.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.expression_errors import (
    ExpressionFailed,
    ExpressionFailure,
    UnusableExpression,
)
from forebay.core.filter_expression import FilterExpression, compile_filter
from forebay.runtime.log_once import LimitedLog
from forebay_processor.delivery.resting_expressions import RestingExpressions
from forebay_processor.destinations.cloudevents import event_of
from forebay_processor.destinations.port import Attempt
from forebay_processor.filter_metrics import FilterCounts

__all__ = ["Filters"]

_log = structlog.get_logger(__name__)

COMPILED: Final = 4096
"""Expressions that are kept compiled: 6 KB each. To compile one takes 0.1 to 20 ms."""

_Key = tuple[EndpointName, str]

_compiled: Final = lru_cache(COMPILED)(compile_filter)


class Filters:
    """Asks the filters of all destinations."""

    def __init__(
        self, counts: FilterCounts, clock: Callable[[], float], resting: RestingExpressions
    ) -> None:
        """Prepare.

        Args:
            counts: What is counted.
            clock: The steady one.
            resting: What evaluates them.
        """
        self._counts = counts
        self._resting = resting
        self._lines = LimitedLog(_log_failed, clock)

    def lets_through(self, expression: str, attempt: Attempt) -> bool:
        """Say whether an item goes to a destination; the attempt is the one that would be made."""
        endpoint, destination = key = (attempt.endpoint, attempt.destination)
        try:
            passes = self._ask(key, expression, attempt)
        except ExpressionFailed as error:
            self._counts.undecided(endpoint, destination, error.failure)
            self._lines.note((*key, error.failure), str(error))
            return True
        if not passes:
            self._counts.filtered(endpoint, destination)
        return passes

    def settle(self, *, everything: bool = False) -> None:
        """Log what is due though nothing happens any more; `everything` where the process ends."""
        self._lines.settle(everything=everything)

    def _ask(self, key: _Key, expression: str, attempt: Attempt) -> bool:
        if self._resting.seconds_left(key, expression):
            message = "it took long, and rests"
            raise ExpressionFailed(ExpressionFailure.TOO_MUCH_WORK, message)
        compiled = _usable(expression)
        return self._resting.evaluated(key, expression, lambda: compiled.passes(event_of(attempt)))


def _usable(expression: str) -> FilterExpression:
    try:
        return _compiled(expression)
    except UnusableExpression as error:
        # The operator compiles it before it writes a table: this one is of another version.
        message = "it cannot be compiled"
        raise ExpressionFailed(ExpressionFailure.UNUSABLE, message) from error


def _log_failed(key: tuple[EndpointName, str, ExpressionFailure], count: int, latest: str) -> None:
    endpoint, destination, failure = key
    _log.warning(
        "filter_failed",
        endpoint=str(endpoint),
        destination=destination,
        reason=failure,
        error=latest,
        count=count,
    )
