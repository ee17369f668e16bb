"""Expressions that take long rest, so that no tenant's has a large share of a processor.

What one evaluation may take is bounded by its language (`filter_expression`,
`transform_expression`); here is bounded what many of them take: after one that took more than
`SLOW_SECONDS`, its expression is not evaluated for `REST_TIMES` as long, a hundredth of the time at
most. What becomes of items meanwhile is for who asks to say.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

__all__ = ["REST_TIMES", "SLOW_SECONDS", "RestingExpressions"]

SLOW_SECONDS: Final = 0.005
"""Of processor time, after which an expression rests. Usual ones take 3 to 30 microseconds."""

REST_TIMES: Final = 100
"""How many times as long it rests."""

MOST: Final = 10_000
"""That are known to rest: beyond it none does."""

_Result = TypeVar("_Result")


class RestingExpressions:
    """Evaluates expressions, and remembers those that took long."""

    def __init__(
        self, clock: Callable[[], float], spent: Callable[[], float] = time.thread_time
    ) -> None:
        """Prepare.

        Args:
            clock: The steady one.
            spent: Processor time of this thread, in seconds: a busy machine makes nothing slow.
        """
        self._clock = clock
        self._spent = spent
        self._until: dict[tuple[Hashable, str], float] = {}

    def seconds_left(self, owner: Hashable, expression: str) -> float:
        """Return how long an owner's expression still rests; 0 where it may be evaluated."""
        if not self._until:
            return 0.0
        left = self._until.get((owner, expression), 0.0) - self._clock()
        return max(left, 0.0)

    def evaluated(
        self, owner: Hashable, expression: str, evaluate: Callable[[], _Result]
    ) -> _Result:
        """Evaluate an expression that may be, and return or raise what comes of it."""
        began = self._spent()
        try:
            return evaluate()
        finally:
            seconds = self._spent() - began
            if seconds > SLOW_SECONDS:
                self._rest((owner, expression), seconds)

    def _rest(self, key: tuple[Hashable, str], seconds: float) -> None:
        now = self._clock()
        if len(self._until) >= MOST:
            self._until = {each: until for each, until in self._until.items() if now < until}
        if len(self._until) < MOST:
            self._until[key] = now + seconds * REST_TIMES
