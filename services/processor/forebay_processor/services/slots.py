"""How many attempts a destination may have under way at one time."""

from collections import deque
from collections.abc import Callable

__all__ = ["Slots"]


class Slots:
    """Places for attempts: the first attempt takes one or goes away, what waits is called."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def taken(self) -> int:
        """How many attempts are under way."""
        return self._taken

    def resize(self, limit: int) -> None:
        """Change the limit; what is under way goes on."""
        self._limit = limit

    def try_take(self) -> bool:
        """Take a place if there is one."""
        if self._taken >= self._limit:
            return False
        self._taken += 1
        return True

    def call_when_free(self, callback: Callable[[], None]) -> None:
        """Call once, when a place becomes free; the callee has to try to take it."""
        self._waiting.append(callback)

    def give_back(self) -> None:
        """Give a place back."""
        self._taken -= 1
        # Whoever is called may not need the place any more: then the next one is called.
        while self._waiting and self._taken < self._limit:
            self._waiting.popleft()()
