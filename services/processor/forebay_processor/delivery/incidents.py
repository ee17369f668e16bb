"""What goes wrong at destinations: one line in the log now and again, and what there is to see now.

A destination is failing from its first failed attempt until one got through and none failed for
`QUIET_SECONDS`. Of that the log has one warning at once and then one a minute at most, with how
often, by what, and when the next attempt comes; one line when it is over; nothing of what goes
well. The same for breakers, dead letters and faults of our own.

For metrics see `queue_figures`; here is what they cannot say: by what, and since when. Bounded:
`MOST` destinations, beyond which there are no lines; of a queue that is gone everything is dropped.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec
import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.log_once import LATE_LINES, LimitedLog
from forebay_processor.destinations.port import Failed
from forebay_processor.destinations.result_labels import answer_class
from forebay_processor.shared.ignored_message_log import StrayLog

__all__ = ["DestinationIncidents", "Failing", "Incidents", "StoreStep"]

_log = structlog.get_logger(__name__)

QUIET_SECONDS: Final = 10.0
"""Without a failure before a destination counts as well again: a mixed one fails all the while."""

FORGET_SECONDS: Final = 3600.0
"""Beyond the next attempt: then somebody else has its items, or they are gone."""

MOST: Final = 10_000
"""Destinations that are known to be failing."""

StoreStep = Literal["park", "row", "dead_letter", "read_backlog", "delete_void_row"]
"""What NATS refused or did not answer: a row written, one worked or deleted, a dead letter, a look
at what waits, a row deleted that counts for nothing."""

_Key = tuple[EndpointName, str]

_DeadKey = tuple[EndpointName, str, str]
"""Endpoint, destination, and the reason of a dead letter."""

_Dead = tuple[str, str, str | None]
"""Of a dead letter: what the destination said last, the item's key, and its trace."""


class Failing(msgspec.Struct, kw_only=True):
    """One destination of which attempts fail."""

    endpoint: EndpointName
    destination: str
    since: float
    """The first failure, as all times here on the steady clock."""

    last: float
    """The last one."""

    next_at: float
    """The next attempt."""

    failures: int
    error: str
    """What the last one said: a status or a kind of failure, never the destination's text."""

    answer: str
    """Its class, as metrics have it."""

    got_through: float = -math.inf
    """The last attempt that was delivered, or rejected for good: that is an answer, too."""

    is_logged: bool = False
    """Whether a line told of it, so that another one says that it is over."""


class Incidents:
    """All destinations of a process that have troubles."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Prepare; nothing is wrong.

        Args:
            clock: The steady one.
        """
        self.clock = clock
        self._failing: dict[_Key, Failing] = {}
        self._failing_lines = LimitedLog(self._log_failing, clock)
        self._opened_lines = LimitedLog(self._log_opened, clock)
        self._open: dict[_Key, tuple[str, str, float]] = {}
        """State and reason of open breakers, and when the next attempt may begin."""

        self._open_logged: set[_Key] = set()
        self._dead_lines = LimitedLog(_log_dead, clock)
        self._crashed_lines = LimitedLog(_log_crashed, clock)
        self._store_lines = LimitedLog(_log_store_failed, clock)
        self._share_lines = LimitedLog(_log_beyond_share, clock)
        self.strays = StrayLog(clock)
        """Messages of EVENTS and RETRY that are nobody's."""

    def of(self, endpoint: EndpointName, destination: str) -> "DestinationIncidents":
        """Return the incidents of one destination."""
        return DestinationIncidents(self, (endpoint, destination))

    def failing(self) -> Iterator[Failing]:
        """Return the destinations of which attempts fail."""
        yield from list(self._failing.values())

    def find(self, endpoint: EndpointName, destination: str) -> Failing | None:
        """Return how one destination fails, if it does."""
        return self._failing.get((endpoint, destination))

    # -- what happens

    def failed(self, key: _Key, result: Failed, next_at: float) -> None:
        """Note an attempt that failed and will be made again.

        Args:
            key: Where.
            result: What came of it.
            next_at: When it is made again.
        """
        now = self.clock()
        failing = self._failing.get(key)
        answer = answer_class(result).value
        if failing is None:
            if len(self._failing) >= MOST:
                return
            failing = self._failing[key] = Failing(
                endpoint=key[0],
                destination=key[1],
                since=now,
                last=now,
                next_at=next_at,
                failures=1,
                error=result.error,
                answer=answer,
            )
        else:
            failing.last, failing.next_at = now, next_at
            failing.failures += 1
            failing.error, failing.answer = result.error, answer
        self._failing_lines.note(key, (answer, result.error))

    def got_through(self, key: _Key) -> None:
        """Note an attempt that did not fail."""
        failing = self._failing.get(key)
        if failing is not None:
            failing.got_through = self.clock()
            self._end_if_over(key, failing)

    def breaker_changed(
        self, key: _Key, state: str, reason: str, next_at: float, *, is_open: bool
    ) -> None:
        """Note that a breaker has opened or closed, or is refused now, or no longer."""
        if is_open:
            self._open[key] = (state, reason, next_at)
            self._opened_lines.note(key, None)
            return
        self._open.pop(key, None)
        if key in self._open_logged:
            self._open_logged.discard(key)
            _log.info("breaker_closed", endpoint=str(key[0]), destination=key[1])

    def dead(
        self, key: _Key, reason: str, error: str, token: str, trace_id: str | None = None
    ) -> None:
        """Note a dead letter that is stored; `token` is the item's key."""
        self._dead_lines.note((*key, reason), (error, token, trace_id))

    def crashed(self, key: _Key, place: str) -> None:
        """Note an attempt that ended by a fault of our own; `place` says where."""
        self._crashed_lines.note(key, place)

    def store_failed(self, key: _Key, step: StoreStep, error: StoreError) -> None:
        """Note that NATS did not do something for a destination's items, which is tried again.

        By step and reason alone: while NATS is away, or RETRY is full, it is all destinations.
        """
        self._store_lines.note((step, str(error)), key)

    def beyond_share(self, key: _Key, mebibytes: float) -> None:
        """Note an item that finds no room, for its destination has its share of RETRY.

        Args:
            key: The destination.
            mebibytes: What it has of it in this process' partitions.
        """
        self._share_lines.note(key, mebibytes)

    def forget(self, key: _Key) -> None:
        """Drop all of a destination: its queue is gone."""
        self._failing.pop(key, None)
        self._failing_lines.forget(key)
        self._open.pop(key, None)
        self._open_logged.discard(key)
        self._opened_lines.forget(key)

    # -- now and again

    def settle(self, *, everything: bool = False) -> None:
        """Log what is due though nothing happens any more, and end what is over.

        Args:
            everything: Whether to log all that is in no line yet: the process ends.
        """
        now = self.clock()
        ended = 0
        for key, failing in list(self._failing.items()):
            if ended < LATE_LINES:
                # When NATS or the network is back, all of them are over at the same time.
                ended += self._end_if_over(key, failing)
            if now - max(failing.last, failing.next_at) > FORGET_SECONDS:
                self._failing.pop(key, None)
        self._failing_lines.settle(everything=everything)
        self._opened_lines.settle(everything=everything)
        self._dead_lines.settle(everything=everything)
        self._crashed_lines.settle(everything=everything)
        self._store_lines.settle(everything=everything)
        self._share_lines.settle(everything=everything)
        self.strays.settle(everything=everything)

    def _end_if_over(self, key: _Key, failing: Failing) -> bool:
        """End what is over; returns whether it was.

        One of which no line told stays in the limit: the next line that is due counts it.
        """
        now = self.clock()
        if failing.got_through <= failing.last or now - failing.last < QUIET_SECONDS:
            return False
        del self._failing[key]
        if failing.is_logged:
            _log.info(
                "destination_recovered",
                endpoint=str(failing.endpoint),
                destination=failing.destination,
                count=self._failing_lines.take(key),
                failures=failing.failures,
                seconds=round(failing.last - failing.since, 1),
            )
        return True

    def _log_failing(self, key: _Key, count: int, latest: tuple[str, str]) -> None:
        """Say that a destination fails, or, where it is well meanwhile, how often it did."""
        failing = self._failing.get(key)
        if failing is None:
            _log_flapped(key, count, *latest)
            return
        failing.is_logged = True
        now = self.clock()
        wait = failing.next_at - now
        _log.warning(
            "destination_failing",
            endpoint=str(failing.endpoint),
            destination=failing.destination,
            answer=failing.answer,
            error=failing.error,
            count=count,
            failing_seconds=round(now - failing.since, 1),
            next_attempt_seconds=round(max(wait, 0.0), 1),
        )

    def _log_opened(self, key: _Key, count: int, _latest: None) -> None:
        """Say that a breaker is open, or, where it closed meanwhile, how often it was."""
        endpoint, destination = key
        found = self._open.get(key)
        if found is None:
            _log.info(
                "breaker_flapped", endpoint=str(endpoint), destination=destination, count=count
            )
            return
        state, reason, next_at = found
        wait = max(next_at - self.clock(), 0.0)
        self._open_logged.add(key)
        _log.warning(
            "breaker_opened",
            endpoint=str(endpoint),
            destination=destination,
            state=state,
            reason=reason,
            count=count,
            next_attempt_seconds=round(wait, 1),
        )


def _log_flapped(key: _Key, count: int, answer: str, error: str) -> None:
    endpoint, destination = key
    _log.info(
        "destination_flapped",
        endpoint=str(endpoint),
        destination=destination,
        answer=answer,
        error=error,
        count=count,
    )


def _log_dead(key: _DeadKey, count: int, dead: _Dead) -> None:
    (endpoint, destination, reason), (error, token, trace_id) = key, dead
    _log.warning(
        "dead_letter",
        endpoint=str(endpoint),
        destination=destination,
        key=token,
        reason=reason,
        error=error,
        count=count,
        trace_id=trace_id,
    )


def _log_crashed(key: _Key, count: int, place: str) -> None:
    endpoint, destination = key
    _log.error(
        "attempt_crashed",
        endpoint=str(endpoint),
        destination=destination,
        error=place,
        count=count,
    )


def _log_store_failed(refusal: tuple[StoreStep, str], count: int, latest: _Key) -> None:
    (step, reason), (endpoint, destination) = refusal, latest
    _log.warning(
        "store_failed",
        endpoint=str(endpoint),
        destination=destination,
        step=step,
        reason=reason,
        count=count,
    )


def _log_beyond_share(key: _Key, count: int, mebibytes: float) -> None:
    endpoint, destination = key
    _log.warning(
        "backlog_beyond_share",
        endpoint=str(endpoint),
        destination=destination,
        has_mib=round(mebibytes, 1),
        count=count,
    )


class DestinationIncidents:
    """The same for one destination: what its queue, its limits and its attempts have."""

    __slots__ = ("_all", "key")

    def __init__(self, every: Incidents, key: tuple[EndpointName, str]) -> None:
        self._all = every
        self.key = key
        """The endpoint and the destination's name."""

    @property
    def strays(self) -> StrayLog:
        """Messages that are nobody's, of all destinations."""
        return self._all.strays

    def failed(self, result: Failed, next_at: float) -> None:
        """Note an attempt that failed and will be made again at a time."""
        self._all.failed(self.key, result, next_at)

    def got_through(self) -> None:
        """Note an attempt that did not fail: cheap, for it is called for each."""
        self._all.got_through(self.key)

    def breaker_changed(self, state: str, reason: str, next_at: float, *, is_open: bool) -> None:
        """Note that the breaker has opened or closed; `next_at` is on the steady clock."""
        self._all.breaker_changed(self.key, state, reason, next_at, is_open=is_open)

    def dead(self, reason: str, error: str, token: str, trace_id: str | None = None) -> None:
        """Note a dead letter that is stored."""
        self._all.dead(self.key, reason, error, token, trace_id)

    def store_failed(self, step: StoreStep, error: StoreError) -> None:
        """Note that NATS did not do something for the destination's items."""
        self._all.store_failed(self.key, step, error)

    def beyond_share(self, mebibytes: float) -> None:
        """Note an item that finds no room, for the destination has its share of RETRY."""
        self._all.beyond_share(self.key, mebibytes)

    def crashed(self, place: str) -> None:
        """Note a fault of our own."""
        self._all.crashed(self.key, place)
