"""The filters of destinations: asked once for each item, before anything is stored for it.

What a filter keeps back is as if the destination did not exist: it is in no queue and never in
RETRY. What it lets through is never asked about again, at no attempt and after no change: RETRY's
rows and what a person replays go out. If the process dies before an item is acked in EVENTS, it
comes again and is asked about again, with the same answer unless the manifest was changed
meanwhile.

Where a filter fails on an item, the item is delivered: a filter spares a destination what it has no
use for, and an item must not be lost by a misspelt field. That is counted, and logged once a
minute.

Whose expression takes long is not asked again for a hundred times as long, so no tenant's
expression has more than a hundredth of a processor's time by taking long; a single evaluation is
bounded by `filter_expression`.
"""

import time
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
from forebay_processor.destinations.cloudevents import event_of
from forebay_processor.destinations.port import Attempt
from forebay_processor.filter_metrics import FilterCounts

__all__ = ["Filters"]

_log = structlog.get_logger(__name__)

SLOW_SECONDS: Final = 0.005
"""Of processor time, after which an expression rests. Usual ones take 3 to 15 microseconds."""

REST_TIMES: Final = 100
"""How many times as long it rests."""

COMPILED: Final = 4096
"""Expressions that are kept compiled: 6 KB each. To compile one takes 0.1 to 20 ms."""

MOST_RESTING: Final = 10_000

_Key = tuple[EndpointName, str]

_compiled: Final = lru_cache(COMPILED)(compile_filter)


class Filters:
    """Asks the filters of all destinations."""

    def __init__(
        self,
        counts: FilterCounts,
        clock: Callable[[], float],
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        """Prepare.

        Args:
            counts: What is counted.
            clock: The steady one.
            spent: Processor time of this thread, in seconds: a busy machine makes no filter slow.
        """
        self._counts = counts
        self._clock = clock
        self._spent = spent
        self._resting: dict[_Key, tuple[str, float]] = {}
        """Expressions that took long, and until when they rest."""

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
        if self._resting:
            self._check_rest(key, expression)
        compiled = _usable(expression)
        began = self._spent()
        try:
            return compiled.passes(event_of(attempt))
        finally:
            seconds = self._spent() - began
            if seconds > SLOW_SECONDS:
                self._rest(key, expression, seconds)

    def _check_rest(self, key: _Key, expression: str) -> None:
        resting, until = self._resting.get(key, ("", 0.0))
        if resting != expression:
            return
        if self._clock() < until:
            message = "it took long, and rests"
            raise ExpressionFailed(ExpressionFailure.TOO_MUCH_WORK, message)
        del self._resting[key]

    def _rest(self, key: _Key, expression: str, seconds: float) -> None:
        if len(self._resting) >= MOST_RESTING:
            now = self._clock()
            self._resting = {name: one for name, one in self._resting.items() if now < one[1]}
        if len(self._resting) < MOST_RESTING:
            self._resting[key] = expression, self._clock() + seconds * REST_TIMES


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
