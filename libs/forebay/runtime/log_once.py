"""A state that lasts is logged when it begins, not each time that somebody looks.

Whoever logs keeps its own event and fields: `if self._unseen.is_due(): _log.warning(...)`.
"""

import math
import time
from collections.abc import Callable, Hashable
from typing import Final

__all__ = ["LogOnce"]

_NOTHING: Final = object()


class LogOnce:
    """Says whether a line is due; remembers the last one."""

    def __init__(
        self, again_seconds: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; the first line is due.

        Args:
            again_seconds: After which the same is logged again.
            clock: In seconds, of which none may be missing.
        """
        self._again_seconds = again_seconds
        self._clock = clock
        self._logged: Hashable = _NOTHING
        self._logged_at = 0.0

    def is_due(self, state: Hashable = None) -> bool:
        """Say whether this is to be logged now, and count it as logged.

        Args:
            state: What would be logged, such as a reason; another one than the last is due.
        """
        if state == self._logged and not self._is_old():
            return False
        self._logged = state
        self._logged_at = self._clock()
        return True

    def reset(self) -> None:
        """Take it that the state is over: the next one is due, whatever it is."""
        self._logged = _NOTHING

    def _is_old(self) -> bool:
        return self._clock() - self._logged_at >= self._again_seconds
