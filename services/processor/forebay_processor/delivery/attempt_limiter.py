"""When an attempt at a destination may begin: places, the endpoint's limit, the rate, the breaker.

The first attempt takes a place or goes away; what waits is called when there may be one. What waits
of an urgent lane is called first, so that a campaign's statuses that pile up before a limit do not
delay a reply; every `TURN`th call is for the least urgent, so that nothing waits forever. In a
lane what failed before has every second call, so that many that fail forever, and are due at the
same time, are not all before the rest. While the breaker is open, what did not fail comes first:
many that fail by themselves would keep it open for as many probes.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from forebay_processor.delivery.circuit_breaker import CircuitBreaker
from forebay_processor.delivery.token_bucket import TokenBucket

__all__ = ["RANKS", "AttemptLimiter", "Share"]


class Share(Protocol):
    """What many attempts have places in together, such as the destinations of an endpoint."""

    taken: int
    """The places that the attempts of one limiter have."""

    @property
    def has_room(self) -> bool:
        """Whether there is a place; whoever got False is called when there is."""

    @property
    def is_held_off(self) -> bool:
        """Whether that there is none is no matter of a moment."""

    def take(self) -> None:
        """Take a place, which `has_room` has found."""

    def give_back(self) -> None:
        """Give a place back."""

    def leave(self) -> None:
        """Give up all places."""


RANKS: Final = 3
"""How many degrees of urgency there are; 0 is the most urgent."""

TURN: Final = 8

_ORDERS: Final = (range(RANKS), range(RANKS - 1, -1, -1))

_Lines = tuple[deque[Callable[[], None]], ...]
"""Who waits, by rank."""


def _by_rank(first: _Lines, second: _Lines, ranks: range) -> _Lines:
    return tuple(line for rank in ranks for line in (first[rank], second[rank]))


class AttemptLimiter:
    """Places for attempts at one destination."""

    def __init__(self, limit: int, breaker: CircuitBreaker | None = None) -> None:
        self._limit = limit
        self._taken = 0
        self._breaker = breaker
        self._bucket: TokenBucket | None = None
        self._share: Share | None = None
        self._waiting: _Lines = tuple(deque() for _ in range(RANKS))
        self._failed: _Lines = tuple(deque() for _ in range(RANKS))
        self._all = (*self._waiting, *self._failed)
        self._turns = tuple(
            tuple(_by_rank(*kinds, ranks) for ranks in _ORDERS)
            for kinds in ((self._waiting, self._failed), (self._failed, self._waiting))
        )
        """Whose turn it is, by whether what failed is first, and whether the least urgent are."""

        self._probes = tuple(
            tuple(kind[rank] for kind in (self._waiting, self._failed) for rank in ranks)
            for ranks in _ORDERS
        )
        """The same while the breaker is open, by whether the least urgent are first."""

        self._calls = 0
        self._is_serving = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def taken(self) -> int:
        """How many attempts are under way."""
        return self._taken

    @property
    def is_held_off(self) -> bool:
        """Whether it is the rate or the breaker that keeps attempts from beginning.

        That is no matter of a moment, as a place is at a quick destination.
        """
        if self._share is not None and self._share.is_held_off:
            return True
        return self._seconds_off() > 0 or (self._bucket is not None and self._is_jumping())

    @property
    def may_begin(self) -> bool:
        """Whether an attempt of somebody who comes now may begin."""
        return self._is_free() and not (self._bucket is not None and self._is_jumping())

    def resize(self, limit: int) -> None:
        """Change the limit; what is under way goes on."""
        self._limit = limit
        self.serve()

    def limit_rate(self, rate: float, clock: Callable[[], float]) -> None:
        """Begin so many attempts a second at most; 0 for as many as there are places."""
        if not rate:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(rate, clock)
        else:
            self._bucket.change(rate)

    def take_part_in(self, share: Share | None) -> None:
        """Take places out of a share from now on, too; what is under way counts as its."""
        if self._share is not None:
            self._share.leave()
        self._share = share
        if share is not None:
            share.taken = self._taken

    def try_take(self) -> bool:
        """Take a place if an attempt may begin now."""
        if not self.may_begin:
            return False
        self._taken += 1
        if self._share is not None:
            self._share.take()
        if self._bucket is not None:
            self._bucket.take()
        if self._breaker is not None:
            self._breaker.begin()
        return True

    def call_when_free(
        self, callback: Callable[[], None], rank: int = 0, *, has_failed: bool = False
    ) -> None:
        """Call once, when an attempt may begin; the callee has to try to take the place.

        Args:
            callback: What to call.
            rank: How urgent it is: 0 the most, below `RANKS`.
            has_failed: Whether an attempt of it failed before.
        """
        (self._failed if has_failed else self._waiting)[rank].append(callback)
        self._plan()

    def give_back(self) -> None:
        """Give a place back."""
        self._taken -= 1
        if self._breaker is not None and not self._taken:
            self._breaker.probe_is_over()
        if self._share is not None:
            self._share.give_back()
        self.serve()

    def serve_anew(self) -> None:
        """Do the same where the breaker has changed: what was planned may be hours too late."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.serve()
        self._plan()

    def serve(self) -> None:
        """Call who waits, as far as attempts may begin."""
        if self._is_serving or not any(self._all):
            return
        self._is_serving = True
        try:
            # Whoever is called may not need the place any more: then the next one is called.
            while self._is_free() and (callback := self._next()) is not None:
                callback()
        finally:
            self._is_serving = False
        self._plan()

    def _next(self) -> Callable[[], None] | None:
        self._calls += 1
        is_last_first = self._calls % TURN == 0
        if self._breaker is not None and not self._breaker.is_closed:
            lines = self._probes[is_last_first]
        else:
            # Both kinds have their turns also among the turns of the least urgent.
            is_failed_first = (self._calls + self._calls // TURN) % 2
            lines = self._turns[is_failed_first][is_last_first]
        for line in lines:
            if line:
                return line.popleft()
        return None

    def _is_free(self) -> bool:
        return self._has_place() and self._seconds_off() <= 0

    def _has_place(self) -> bool:
        return self._taken < self._limit and (self._share is None or self._share.has_room)

    def _is_jumping(self) -> bool:
        """Whether somebody who comes now would be served before those who wait."""
        return not self._is_serving and any(self._all)

    def _seconds_off(self) -> float:
        rate = 0.0 if self._bucket is None else self._bucket.wait
        return rate if self._breaker is None else max(rate, self._breaker.wait)

    def _plan(self) -> None:
        """Set the time at which who waits is called, where it is a matter of time alone.

        That time may just have come: between a failed try and the wait for another one.
        """
        if self._timer is not None or not any(self._all) or not self._has_place():
            return
        seconds = self._seconds_off()
        if seconds < math.inf:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._time_came)

    def _time_came(self) -> None:
        self._timer = None
        self.serve()
