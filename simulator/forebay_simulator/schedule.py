"""When to send: new webhooks on a schedule, refused ones with growing delay, some of them twice."""

import enum
from dataclasses import dataclass
from random import Random
from typing import Final

__all__ = ["RepeatMoment", "Repeats", "RetryDelays", "SendTimes"]

REPEAT_WITHIN_SECONDS: Final = 2.0
"""A repeat that is drawn to come later comes within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTimes:
    """The schedule of an open loop: it knows no answers."""

    rate: float
    duration: float

    @property
    def count(self) -> int:
        """How many webhooks there are: at least one."""
        return max(1, round(self.rate * self.duration))

    def offset(self, index: int) -> float:
        """Return the seconds from the start to the webhook. Computed anew, so nothing adds up."""
        return index / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDelays:
    """How long to wait before a refused webhook is sent again."""

    first: float = 0.5
    """Seconds. The providers begin with more; a test should not have to wait for that."""

    longest: float = 8.0
    jitter: float = 0.2
    """Share by which a delay is longer or shorter, so that a batch of refused ones spreads out."""

    def delay(self, retry: int, random: Random) -> float:
        """Return the seconds before the retry with this number, counted from 0."""
        # 2**retry would grow without bound, and no delay does after the longest is reached.
        grown: float = self.first * 2 ** min(retry, 32)
        return min(self.longest, grown) * random.uniform(1 - self.jitter, 1 + self.jitter)


class RepeatMoment(enum.Enum):
    """When a webhook comes a second time."""

    AT_ONCE = enum.auto()
    """Side by side with the first: both may be in the store's hands at the same time."""

    LATER = enum.auto()
    """At a random moment, before or after the first is answered."""

    ONCE_ACCEPTED = enum.auto()
    """As soon as the first was answered 200: a provider that missed the answer."""


class Repeats:
    """Draws which webhooks come twice, and when."""

    def __init__(self, share: float, random: Random) -> None:
        """Take the share of webhooks, 0 to 1."""
        self._share = share
        self._random = random
        self._moments = tuple(RepeatMoment)

    def draw(self) -> RepeatMoment | None:
        """Return when the next webhook is to come again, or None for once only."""
        if self._random.random() >= self._share:
            return None
        return self._random.choice(self._moments)

    def pause(self, moment: RepeatMoment) -> float:
        """Return the seconds before the repeat is sent."""
        if moment is RepeatMoment.LATER:
            return self._random.uniform(0, REPEAT_WITHIN_SECONDS)
        return 0.0
