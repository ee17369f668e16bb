"""How often something is logged: when it begins, and then now and again, with a count.

`LogOnce` is for one state that lasts, `LogLimit` for what happens to many: destinations, endpoints,
reasons; `LimitedLog` is one that writes its lines. Whoever logs keeps its own event and fields:

    if self._unseen.is_due():
        _log.warning("streams_not_seen", ...)

    lines = LimitedLog(write)  # def write(endpoint, count, reason): _log.warning(..., count=count)
    lines.note(endpoint, reason)
    await periodically(lines.settle, LATE_SECONDS)
"""

import itertools
import math
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, TypeVar

__all__ = ["AGAIN_SECONDS", "LATE_LINES", "LATE_SECONDS", "LimitedLog", "LogLimit", "LogOnce"]

AGAIN_SECONDS: Final = 60.0
"""Between two lines about the same: often enough for an eye, and 1,440 lines a day at most."""

LATE_SECONDS: Final = 1.0
"""Between two calls of `LogLimit.late`."""

LATE_LINES: Final = 100
"""That such a call returns at most: to write them holds up the loop for some milliseconds."""

MOST_KEYS: Final = 10_000
"""That a limit remembers: 2 MB."""

_NOTHING: Final = object()

Key = TypeVar("Key", bound=Hashable)
Latest = TypeVar("Latest")


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


class LogLimit(Generic[Key, Latest]):
    """Lets one line through for each key in `again_seconds`, and counts what it does not.

    Nothing that was counted goes unsaid: what comes after the last line of a key is in the next
    one, and where nothing else comes, `late` returns it. Only beyond `most` keys there are no lines
    for those that are too many; metrics count them.
    """

    def __init__(
        self,
        again_seconds: float = AGAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_KEYS,
    ) -> None:
        """Prepare; the first line of each key is due.

        Args:
            again_seconds: Between two lines of a key.
            clock: In seconds, that never go back.
            most: Keys that are remembered.
        """
        self._again_seconds = again_seconds
        self._clock = clock
        self._most = most
        self._lines: dict[Key, _Line[Latest]] = {}
        """In the order in which they were logged, the oldest line first."""

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._lines)

    def count(self, key: Key, latest: Latest) -> int:
        """Count one; returns how many a line is due for, 0 where none is.

        Args:
            key: What there is one line for.
            latest: What `late` returns with the count.
        """
        now = self._clock()
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= self._most and not self._make_room(now):
                return 0
            self._lines[key] = _Line(now, latest)
            return 1
        line.unlogged += 1
        line.latest = latest
        return self._log(key, line, now) if self._is_old(line, now) else 0

    def late(self, *, everything: bool = False) -> Iterator[tuple[Key, int, Latest]]:
        """Return each key with what no line was due for, and the latest of it, when one is due.

        To be called now and again: it also forgets what did not happen any more. Returns
        `LATE_LINES` at most, those that have waited for longest; the next call returns more.

        Args:
            everything: Whether to return all that is in no line yet, since nobody asks again.
        """
        now = self._clock()
        due: list[tuple[Key, _Line[Latest]]] = []
        old = itertools.takewhile(
            lambda each: everything or self._is_old(each[1], now), self._lines.items()
        )
        for key, line in list(old):
            if line.unlogged:
                due.append((key, line))
            else:
                del self._lines[key]
        for key, line in due if everything else due[:LATE_LINES]:
            yield key, self._log(key, line, now), line.latest

    def take(self, key: Key) -> int:
        """Return how many of a key are in no line yet, for a line of another kind that is due.

        When the next line of the key is due does not change.
        """
        line = self._lines.get(key)
        if line is None:
            return 0
        count, line.unlogged = line.unlogged, 0
        return count

    def forget(self, key: Key) -> None:
        """Drop a key, with what was counted: it is gone."""
        self._lines.pop(key, None)

    def _log(self, key: Key, line: "_Line[Latest]", now: float) -> int:
        count, line.unlogged, line.logged_at = line.unlogged, 0, now
        del self._lines[key]
        self._lines[key] = line
        return count

    def _make_room(self, now: float) -> bool:
        key, line = next(iter(self._lines.items()))
        if line.unlogged or not self._is_old(line, now):
            # What is counted and in no line stays until it is.
            return False
        del self._lines[key]
        return True

    def _is_old(self, line: "_Line[Latest]", now: float) -> bool:
        return now - line.logged_at >= self._again_seconds


class LimitedLog(LogLimit[Key, Latest]):
    """A limit that writes the lines which are due."""

    def __init__(
        self,
        write: Callable[[Key, int, Latest], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; the first line of each key is due.

        Args:
            write: Writes a line, of a key, how many it counts, and the latest of them.
            clock: In seconds, that never go back.
        """
        super().__init__(clock=clock)
        self._write = write

    def note(self, key: Key, latest: Latest) -> None:
        """Count one, and write a line if one is due; half a microsecond where none is."""
        if count := self.count(key, latest):
            self._write(key, count, latest)

    def settle(self, *, everything: bool = False) -> None:
        """Write what is due though nothing else comes, as `late` has it."""
        for key, count, latest in self.late(everything=everything):
            self._write(key, count, latest)


class _Line(Generic[Latest]):
    """What is known of a key's last line."""

    __slots__ = ("latest", "logged_at", "unlogged")

    def __init__(self, now: float, latest: Latest) -> None:
        self.logged_at = now
        self.latest = latest
        self.unlogged = 0
