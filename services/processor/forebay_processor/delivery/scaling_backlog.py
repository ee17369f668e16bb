"""How much could be delivered now if there were more processors: what they are scaled by.

That is what waits for a split or a first attempt, and what waits in RETRY for a destination that
takes what is sent. What waits for one that is paused or whose breaker is open is not in it, nor a
failed item with all that waits behind it: another processor would wait just as long.

How many those are is a running count (`Backlogs.blocked_rows`), so a question costs the same
whatever waits. Rows that were not read yet count as deliverable: whether their conversation fails
is found out by whoever tries it.
"""

from itertools import islice
from typing import Final

from forebay_processor.delivery.entry import EntryState
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.queues import DestinationQueues

__all__ = ["OLDEST_AMONG", "parked_deliverable", "rows_deliverable"]

OLDEST_AMONG: Final = 100
"""Entries of one queue that are searched for its oldest. They are read in the order in which they
were stored, so the oldest is near the beginning."""

SEARCHED: Final = 10_000
"""Entries that are searched in one go, of all queues: about two milliseconds."""


def parked_deliverable(queues: DestinationQueues) -> tuple[int, float]:
    """Return how many items in RETRY could be delivered now, and the age of the oldest in seconds.

    With very many queues the age is that of those that were searched.
    """
    now = queues.time.steady()
    items, since, searched = 0, now, 0
    for queue in queues.taking():
        ready = rows_deliverable(queue)
        items += ready
        if ready and searched < SEARCHED:
            searched += min(len(queue.conversations.entries), OLDEST_AMONG)
            since = min(since, _oldest(queue, now))
    return items, max(now - since, 0.0)


def rows_deliverable(queue: DestinationQueue) -> int:
    """Return how many rows of one destination do not wait behind a failed one, and are none.

    While a new owner counts, less is counted than there is, and more may be known to be blocked.
    """
    return max(queue.parked - queue.backlogs.blocked_rows, 0)


def _oldest(queue: DestinationQueue, now: float) -> float:
    """Return since when the oldest entry waits that is tried as soon as there is room; else now."""
    conversations = queue.conversations
    found = now
    for entry in islice(conversations.entries.values(), OLDEST_AMONG):
        conversation = conversations.find(conversations.key(entry.subject))
        is_blocked = conversation is not None and conversation.is_blocked
        if entry.state is not EntryState.FINISHED and not is_blocked and entry.due <= now:
            found = min(found, entry.since)
    return found
