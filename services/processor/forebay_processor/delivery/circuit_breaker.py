"""The breaker of one destination: while nothing gets through, one request at a time finds out when.

It opens after `FAILURES` failed attempts with no success between them. In a row, not by a ratio: a
destination that takes every second item is worth its attempts, and each failing item has pauses
of its own. One item that a destination can never digest must not close the door to the others, so
the failures have to speak for the destination: no connection does by itself, an answer only
together with answers to other items (`MIN_DISTINCT_ITEMS`). An item that failed before while others
got through, and is answered so again, speaks for itself only: a tenth of the conversations that
fail all the while, tried again together, must not keep the rest from a destination that takes them.

Open, it lets one attempt through after a pause that grows from the destination's `initialDelay` to
`PROBE_SECONDS`: the next item in the line that was not tried yet, else one that was
(`attempt_limiter`). Any success closes it. What waits meanwhile uses up no attempts.

A refused credential (401, 403) and a destination that is gone (410) open it at once: it is
`Refused`, and the pauses between its attempts grow from a minute to hours (`REFUSED_PAUSES`): often
enough that a mended credential at the other side is noticed, seldom enough that nobody locks us out
for asking. It begins anew where the destination's spec changes or it is paused and resumed.
One that says when to come again (429 and 503 with `Retry-After`) is left alone until then.

If the process dies: a breaker is closed when it comes back, which costs a destination that is still
dead a handful of requests. Several processors have a breaker each.
"""

import enum
import math
from collections.abc import Callable
from random import Random
from typing import Final

from forebay.core.tables import Retry
from forebay_processor.delivery.backoff import backoff_seconds
from forebay_processor.destinations.port import Delivered, Failed, Rejected, Result, Trouble

__all__ = ["BreakerState", "CircuitBreaker"]

FAILURES: Final = 5
"""Failed attempts in a row: a restart behind a load balancer fails one or two."""

MIN_DISTINCT_ITEMS: Final = 3
"""Different items among them, where only the items' answers speak against the destination."""

PROBE_SECONDS: Final = 30.0
"""The longest pause between two probes: what a destination's return goes unnoticed at most."""

REFUSED_PAUSES: Final = Retry(initial_delay_seconds=60.0, max_delay_seconds=4 * 3600.0)
"""Those between two probes of a destination that refuses us: some sixteen requests on the first
day and eight on each that follows."""

REFUSED_TRIES: Final = 4
"""So many, at least, within the time after which what waits is given up."""


class BreakerState(enum.StrEnum):
    """What a breaker lets through; the values are shown to people and keep their words."""

    CLOSED = "Closed"
    """Everything."""

    OPEN = "Open"
    """Nothing, until its pause is over."""

    HALF_OPEN = "Probing"
    """One attempt, which is under way."""

    BLOCKED = "Refused"
    """Nothing, until a pause is over that grows to hours."""


class CircuitBreaker:
    """Judges a destination by what its attempts ended in."""

    def __init__(self, random: Random, clock: Callable[[], float]) -> None:
        """Make a closed breaker.

        Args:
            random: For the jitter of its pauses.
            clock: Seconds that never go back, as the event loop's.
        """
        self.state = BreakerState.CLOSED
        self.reason = ""
        """What the last failure said: a status or a kind of failure. Empty while it is closed."""

        self.opened_at = 0.0
        """When it opened, on its clock; of no meaning while it is closed."""

        self.retry = Retry()
        """The destination's pauses."""

        self.is_refused = False
        """Whether the destination's last word was that it refuses us."""

        self.successes = 0
        """How many attempts got through. An item notes it when it fails."""

        self.generation = 0
        """Goes up with each `reset`: an attempt that began under older settings says nothing."""

        self.on_change: Callable[[], None] = lambda: None
        """Called after it opened or closed, or found out that it is refused, or no longer."""

        self._random = random
        self._clock = clock
        self._until = 0.0
        self._pauses = 0
        self._refusals = 0
        """Refused probes in a row, whatever came between them but a success."""

        self._failures = 0
        self._cut_off = 0
        self._items: set[str] = set()
        self._opened_after = 0
        """`successes` when it was opened last; 0 once it was reset."""

    @property
    def is_closed(self) -> bool:
        """Whether everything may go through."""
        return self.state is BreakerState.CLOSED

    @property
    def shown(self) -> BreakerState:
        """What people are shown: one that is refused stays so while it is probed."""
        return BreakerState.BLOCKED if self.is_refused else self.state

    @property
    def wait(self) -> float:
        """Seconds until an attempt may begin; infinite while the one probe is under way."""
        match self.state:
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN | BreakerState.BLOCKED:
                return max(self._until - self._clock(), 0.0)
            case BreakerState.HALF_OPEN:
                return math.inf

    @property
    def next_probe(self) -> float | None:
        """Seconds until the next probe, for people; None while it is under way or none is needed.

        It is 0 where the next item that comes, or is due, is the probe.
        """
        wait = self.wait
        return None if self.is_closed or wait == math.inf else round(wait, 1)

    def probe_now(self) -> bool:
        """Let the next attempt begin at once; returns whether there was a pause to end."""
        if self.is_closed or not 0 < self.wait < math.inf:
            return False
        self._until = self._clock()
        return True

    def begin(self) -> None:
        """Note that an attempt begins, which `wait` has allowed."""
        if not self.is_closed:
            self.state = BreakerState.HALF_OPEN

    def probe_is_over(self) -> None:
        """Note that nothing is under way: a probe without a result is made again."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.BLOCKED if self.is_refused else BreakerState.OPEN

    def failed_with_others(self, failed_after: int | None) -> bool:
        """Say whether an item failed when nothing got through, rather than by itself.

        Args:
            failed_after: `successes` when it failed last; None where it did not fail here.
        """
        return failed_after is None or failed_after >= self._opened_after

    def note(
        self, item: str, result: Result, generation: int, failed_after: int | None = None
    ) -> None:
        """Take what an attempt ended in.

        Args:
            item: The item's token.
            result: Its outcome.
            generation: The breaker's when the attempt began.
            failed_after: `successes` when the item failed before; None where it did not fail here.
        """
        if generation != self.generation:
            return
        match result:
            case Delivered() | Rejected():
                self.successes += 1
                self._close()
            case Failed(trouble=Trouble.REFUSED):
                self._refused(result, failed_after)
            case Failed():
                self._failed(item, result, failed_after)

    def reset(self) -> None:
        """Begin anew, for the settings have changed."""
        self.generation += 1
        self._opened_after = 0
        self._close()

    def _close(self) -> None:
        self._failures = self._cut_off = self._pauses = 0
        self._refusals = 0
        self._items.clear()
        if not self.is_closed:
            self.state, self.reason, self.is_refused = BreakerState.CLOSED, "", False
            self.on_change()

    def _refused(self, result: Failed, failed_after: int | None) -> None:
        if self.state is BreakerState.BLOCKED:
            return  # many were under way when the first was refused: they are one refusal
        if self.is_closed and failed_after is not None and failed_after < self.successes:
            return  # it was refused before, and others got through since: it is the item
        self._refusals += 1
        pause = backoff_seconds(REFUSED_PAUSES, self._refusals, self._random)
        # What waits is to be tried some times before it is too old.
        longest = max(self.retry.max_age_seconds / REFUSED_TRIES, PROBE_SECONDS)
        self._open(BreakerState.BLOCKED, result, min(pause, longest))

    def _failed(self, item: str, result: Failed, failed_after: int | None) -> None:
        match self.state:
            case BreakerState.BLOCKED:
                return
            case BreakerState.OPEN:
                # It began before the others failed; but when to come again is worth knowing.
                self._until = max(self._until, self._clock() + result.retry_after)
            case BreakerState.HALF_OPEN:
                self._probe_again(result)
            case BreakerState.CLOSED:
                is_cut_off = result.trouble is Trouble.DESTINATION
                if not is_cut_off and failed_after is not None and failed_after < self.successes:
                    return
                self._failures += 1
                if is_cut_off:
                    self._cut_off += 1
                elif len(self._items) < MIN_DISTINCT_ITEMS:
                    self._items.add(item)
                is_asked = is_cut_off and result.retry_after > 0
                distinct = self._cut_off + len(self._items)
                if is_asked or (self._failures >= FAILURES and distinct >= MIN_DISTINCT_ITEMS):
                    self._probe_again(result)

    def _probe_again(self, result: Failed) -> None:
        self._pauses += 1
        pause = min(backoff_seconds(self.retry, self._pauses, self._random), PROBE_SECONDS)
        self._open(BreakerState.OPEN, result, pause)

    def _open(self, state: BreakerState, result: Failed, pause: float) -> None:
        was, was_refused = self.state, self.is_refused
        if was is BreakerState.CLOSED:
            self._opened_after = self.successes
            self.opened_at = self._clock()
        self.state, self.reason = state, result.error
        self.is_refused = state is BreakerState.BLOCKED
        self._until = self._clock() + max(pause, result.retry_after)
        if was is BreakerState.CLOSED or self.is_refused is not was_refused:
            self.on_change()
