"""What waits in RETRY for one destination: tried when it is due, given up, forgotten.

Of each conversation one thing is under way at a time. How things get here is the business of
`parking` (from EVENTS) and `backlog_reader` (from RETRY); what of it may be in memory, of
`destination_backlog`.

If the process dies: the states of an entry, and what follows in each, are in docs/design/0020.
"""

import asyncio
import functools
import math
from collections.abc import Callable
from typing import Final

from forebay.core.subjects import REPLAY, Lane
from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.destination_limits import GONE_PLACES, DestinationLimits
from forebay_processor.delivery.destination_settings import DestinationState
from forebay_processor.delivery.entry import EntryState, PendingDelivery, RetryEntry
from forebay_processor.delivery.parking import Parking
from forebay_processor.delivery.retry_table import RetryTable
from forebay_processor.delivery.rows_in_memory import Window
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["ROW_PAUSE_SECONDS", "RetryQueue"]

ROW_PAUSE_SECONDS: Final = 3.0
"""Before a row is tried again when it could not be read or deleted, or its letter not be stored."""

SLICE: Final = 1000
"""Conversations that are gone through in one go: there may be 150,000."""

REST_SECONDS: Final = 3600.0
"""Between two checks of a row that nobody may try: the shard's window may be changed meanwhile."""

_RANKS: Final[dict[str, int]] = {Lane.LIVE: 0, Lane.STATUS: 1, Lane.BULK: 2, REPLAY: 2}

_NOT_STORED: Final = frozenset({EntryState.STORING, EntryState.STORED})
"""States in which an entry is not to be tried, for EVENTS may hand it out again."""

_AT_REST: Final = frozenset({DestinationState.UNKNOWN, DestinationState.PAUSED})
"""States of a destination in which nothing is tried."""


class RetryQueue:
    """Tries what waits for one destination."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        window: Window,
        parking: Parking,
        table: RetryTable,
        limits: DestinationLimits,
        time: StreamTime,
        wake: Callable[[str], None],
        on_ended: Callable[[str, ConversationQueue, AttemptLimiter], None],
    ) -> None:
        """Prepare.

        Args:
            window: What is in memory.
            parking: Stores what RETRY had no room for, again.
            table: Rows one by one.
            limits: Says whether attempts may begin.
            time: What time it is for items.
            wake: Called with a conversation that may have something to be done.
            on_ended: Called when an attempt is over, with where to give its place back.
        """
        self._window = window
        self._parking = parking
        self._table = table
        self._limits = limits
        self._limiter = limits.attempts
        self._time = time
        self._wake = wake
        self._on_ended = on_ended
        self._call_later = asyncio.get_running_loop().call_later
        self._expiry = AttemptLimiter(GONE_PLACES)
        """Places for giving up what cannot be tried before its age is over."""

    def wake(self, key: str, conversation: ConversationQueue) -> None:
        """See to the first of what waits in a conversation: now, later, or not at all.

        Where the answer is "now", there is a place; where it is "later", a timer or a place in the
        line is left behind.
        """
        entry = self._first(key, conversation)
        if entry is None:
            return
        state = self._limits.state
        is_finished = entry.state is EntryState.FINISHED
        if state in _AT_REST and not is_finished:
            if entry.state is EntryState.READY:
                self._wake_at_rest(key, conversation, entry)
            return
        now, wait, expires = self._time.steady(), 0.0, math.inf
        if state is DestinationState.OPEN:
            wait, expires = entry.due - now, self._table.expires_at(entry)
        if wait > 0:
            self._set_timer(key, conversation, wait)
        elif is_finished:
            self._give_up(key, conversation, entry)
        elif self._limiter.try_take():
            self._begin(key, conversation, entry, self._limiter)
        elif now < expires:
            self.queue(key, conversation)
            if expires < math.inf:
                self._set_timer(key, conversation, expires - now)
        else:
            self._give_up(key, conversation, entry)

    async def retry_now(self) -> int:
        """Try what waits in memory for its time now, and probe an open breaker.

        A person asks for it, so it is done also where the destination said when to come again. What
        is not in memory has no pause of its own. Returns how many attempts may begin sooner.
        """
        is_probed = self._limits.probe_now()
        now, count = self._time.steady(), 0
        for number, (key, conversation) in enumerate(self._window.conversations, start=1):
            entry = conversation.entries[0] if conversation.entries else None
            if entry is not None and entry.state is EntryState.READY and entry.due > now:
                entry.due = now
                count += 1
                self._wake(key)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        # Behind an open breaker all of them wait for the one attempt.
        return count if self._limits.breaker.is_closed else int(is_probed or count > 0)

    def _first(self, key: str, conversation: ConversationQueue) -> RetryEntry | None:
        """Return what is to be tried first, where that may be; has it read where it is not here."""
        if conversation.entries:
            entry = conversation.entries[0]
            # What is delivered has its row deleted also while its partition is given back.
            is_finished = entry.state is EntryState.FINISHED
            may_be_tried = entry.state not in _NOT_STORED and entry.partition.is_started
            return entry if is_finished or may_be_tried else None
        if conversation.has_unread:
            self._window.reader.read_conversation(key, conversation)
            return None
        entry = conversation.storing[0]
        backlog = self._window.backlogs.of_subject(entry.partition, entry.subject)
        is_alone = entry.state is EntryState.UNSTORED and backlog.is_caught_up
        return entry if is_alone and entry.partition.is_started else None

    def _wake_at_rest(self, key: str, conversation: ConversationQueue, entry: RetryEntry) -> None:
        """See to a row that nobody may try now: it waits, until its age is over."""
        left = self._table.expires_at(entry) - self._time.steady()
        if left <= 0:
            self._give_up(key, conversation, entry)
        elif left < math.inf:
            self._set_timer(key, conversation, min(left, REST_SECONDS))

    def _set_timer(self, key: str, conversation: ConversationQueue, seconds: float) -> None:
        conversation.set_timer(self._call_later(seconds, self._timer_ended, key, conversation))

    def _timer_ended(self, key: str, conversation: ConversationQueue) -> None:
        conversation.set_timer(None)
        self._wake(key)

    def _give_up(self, key: str, conversation: ConversationQueue, entry: RetryEntry) -> None:
        if self._expiry.try_take():
            self._begin(key, conversation, entry, self._expiry)
        else:
            self._expiry.call_when_free(functools.partial(self._wake, key))

    def queue(self, key: str, conversation: ConversationQueue) -> None:
        """Wait for a place, behind all that is as urgent."""
        if not conversation.is_queued:
            conversation.is_queued = True
            rank = _RANKS[key.partition(".")[0]]
            callback = functools.partial(self._place_free, key, conversation)
            self._limiter.call_when_free(callback, rank, has_failed=conversation.has_failed)

    def _place_free(self, key: str, conversation: ConversationQueue) -> None:
        conversation.is_queued = False
        self._wake(key)

    def _begin(
        self, key: str, conversation: ConversationQueue, entry: RetryEntry, limiter: AttemptLimiter
    ) -> None:
        conversation.set_timer(None)
        conversation.is_busy = True
        work = entry.work if entry.state is EntryState.UNSTORED else None
        if entry.state is not EntryState.FINISHED:
            entry.state = EntryState.IN_FLIGHT
        entry.partition.spawn(self._try(key, conversation, entry, limiter, work))

    async def _try(
        self,
        key: str,
        conversation: ConversationQueue,
        entry: RetryEntry,
        limiter: AttemptLimiter,
        work: PendingDelivery | None,
    ) -> None:
        """Try the first row of a conversation, or give it up. Holds one place.

        Args:
            key: The conversation's.
            conversation: Whose first row it is.
            entry: What to try.
            limiter: Where the place is of.
            work: The item, where RETRY has no room for its row.
        """
        give_up = self._why_untried() if limiter is self._expiry else None
        try:
            if work is not None:
                is_over = await self._table.work_from_memory(entry, work, give_up)
            else:
                is_over = await self._table.work(entry, give_up)
            if entry.partition.is_lost:
                return
            if is_over:
                self._window.forget(conversation, entry)
                entry.report_finished()
            else:
                self._window.block(conversation, entry)
        except StoreError as error:
            if entry.partition.is_lost:
                return
            self._table.trouble("row", error)
            entry.due = self._time.steady() + ROW_PAUSE_SECONDS
            if self._limits.state is not DestinationState.OPEN:
                # A row of a removed destination has no due time to wait for.
                await entry.partition.pause(ROW_PAUSE_SECONDS)
        finally:
            if entry.state is EntryState.IN_FLIGHT:
                entry.state = EntryState.READY if work is None else EntryState.STORING
            if work is not None and not entry.partition.is_lost:
                self._parking.begin(key, conversation)
            self._on_ended(key, conversation, limiter)

    def _why_untried(self) -> str:
        match self._limits.state:
            case DestinationState.PAUSED:
                return "not tried: paused"
            case DestinationState.UNKNOWN:
                return "not tried: no table names the endpoint"
            case _:
                return self._limits.breaker.reason or "not tried: at its limits"
