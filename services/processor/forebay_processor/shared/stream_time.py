"""What time it is for items: the streams' own, carried on by a clock that does not jump.

Ages are what the streams' time says that has gone by since the streams stored something; pauses are
lengths of time. Neither asks what this machine takes for the time of day: that is set back and
forth by people, by NTP after a start, by a hypervisor that lets a machine go on. With it, an hour
back meant that nothing was tried for an hour, and 80 hours ahead that everything was `Expired`.

`StreamTime` asks NATS what time it has (each answer about a stream says so), and between two
answers goes on by the monotonic clock. Items in memory are kept by that clock alone: when NATS' own
clock is set, what was seen before keeps its age. What is stored is the streams' time, so that all
processors mean the same by it.

- This machine's wall clock jumps: nothing follows; `clock_jumped` is logged once.
- The machine sleeps: pauses that end meanwhile end when it wakes.
- NATS' clock jumps: what is in memory keeps its age, what is loaded later has the age that NATS'
  time gives it; `stream_clock_jumped` is logged.

If the process dies nothing is lost: the next one asks NATS before it loads anything.
"""

from typing import Final

import structlog

from forebay.core.clock import Clock

__all__ = ["JUMP_SECONDS", "StreamTime"]

_log = structlog.get_logger(__name__)

JUMP_SECONDS: Final = 5.0
"""What a clock may be off before it is reported: above what NTP corrects without a jump, and above
what servers of one cluster differ by."""


class StreamTime:
    """The time of the streams, at any moment."""

    def __init__(self, clock: Clock) -> None:
        """Begin with this machine's time, until NATS has sent its own."""
        self._clock = clock
        self._offset = clock.wall() - clock.monotonic()
        self._is_known = False
        self._reported = 0.0
        """By how much the wall clock was ahead when that was reported last."""

    def steady(self) -> float:
        """Return seconds on the clock that does not jump, by which items in memory are kept."""
        return self._clock.monotonic()

    def now(self) -> float:
        """Return the streams' time, seconds since the epoch."""
        return self.steady() + self._offset

    def to_steady(self, moment: float) -> float:
        """Return a moment of the streams' time on the steady clock."""
        return moment - self._offset

    def to_streams(self, moment: float) -> float:
        """Return a moment of the steady clock in the streams' time."""
        return moment + self._offset

    def observe(self, time: float, asked_at: float) -> None:
        """Take what NATS says that its time is.

        Args:
            time: NATS' time, seconds since the epoch.
            asked_at: When it was asked, on the steady clock.
        """
        now = self.steady()
        doubt = (now - asked_at) / 2
        offset = time - (asked_at + doubt)
        change = offset - self._offset
        if self._is_known and abs(change) > JUMP_SECONDS + doubt:
            _log.warning("stream_clock_jumped", seconds=round(change, 1))
        elif self._is_known and doubt > abs(change):
            # A slow answer says less than what is known already.
            offset = self._offset
        self._offset = offset
        self._is_known = True
        self._compare(doubt)

    def _compare(self, doubt: float) -> None:
        """Report where this machine's wall clock has jumped since the last report."""
        ahead = self._clock.wall() - self.now()
        jumped = ahead - self._reported
        if abs(jumped) <= JUMP_SECONDS + doubt:
            return
        self._reported = ahead
        _log.warning("clock_jumped", seconds=round(jumped, 1), ahead_of_nats=round(ahead, 1))
