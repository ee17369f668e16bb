"""How much could be delivered now if there were more processors: what they are scaled by.

That is what waits for a split or a first attempt, and what waits in RETRY for a destination that
takes what is sent. What waits for one that is paused or whose breaker is open is not in it, nor
what waits behind a failed item: another processor would wait just as long.
"""

from itertools import islice
from typing import Final

from forebay_processor.delivery.entry import EntryState
from forebay_processor.delivery.queue import DestinationQueue
from forebay_processor.delivery.queues import DestinationQueues

__all__ = ["parked_deliverable"]

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
        ready = max(queue.parked - queue.backlogs.blocked, 0)
        items += ready
        if ready and searched < SEARCHED:
            searched += min(len(queue.conversations.entries), OLDEST_AMONG)
            since = min(since, _oldest(queue, now))
    return items, max(now - since, 0.0)


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
