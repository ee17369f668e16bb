"""How many requests a second a destination gets at most: a bucket of tokens."""

from collections.abc import Callable
from typing import Final

__all__ = ["TokenBucket"]

DEPTH_SECONDS: Final = 0.1
"""What an idle time lets through at once, in seconds of the rate: any second sees at most a tenth
and one more than the rate. Deeper buckets would break limits that are counted by the second."""


class TokenBucket:
    """Tokens that come at a steady rate; each attempt takes one."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """Begin full.

        Args:
            rate: Tokens a second; more than 0.
            clock: Seconds that never go back, as the event loop's.
        """
        self._clock = clock
        self._rate = rate
        self._depth = max(rate * DEPTH_SECONDS, 1.0)
        self._tokens = self._depth
        self._at = clock()

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self._rate

    def change(self, rate: float) -> None:
        """Change the rate; nothing is given away by it."""
        self._fill()
        self._rate = rate
        self._depth = max(rate * DEPTH_SECONDS, 1.0)
        self._tokens = min(self._tokens, self._depth)

    @property
    def wait(self) -> float:
        """Seconds until there is a token; 0 where there is one."""
        self._fill()
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate

    def take(self) -> None:
        """Take a token, which `wait` has found."""
        self._tokens -= 1.0

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._at) * self._rate, self._depth)
        self._at = now
        if 1.0 - self._tokens < 1e-9:  # noqa: PLR2004  # what rounding left of a whole token
            self._tokens = max(self._tokens, 1.0)
