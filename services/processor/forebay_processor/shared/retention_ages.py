"""How long a shard's streams keep what is in them, and when what is unfinished has to be seen to.

The ages belong to the streams; whoever set them up may change them while processors run.
"""

import math
from typing import Final

__all__ = ["RetentionAges"]

LONGEST_MARGIN_SECONDS: Final = 3600.0
SHARE_OF_AGE: Final = 1 / 8
"""An unfinished item becomes a dead letter so long before its age ends: an hour, or this share of a
shorter age. NATS can be away, or DEAD full, at the moment itself."""


class RetentionAges:
    """The ages of one shard's streams, in seconds; the same object for all of its partitions."""

    def __init__(self, raw: float = math.inf, events: float = math.inf) -> None:
        self.raw = raw
        """Webhooks that are older are gone from RAW."""

        self.events = events
        """Items, and their claims, that are older are gone from EVENTS: the window."""

    def take(self, raw: float | None, events: float | None) -> None:
        """Follow the streams' settings; 0 and None stand for no limit."""
        self.raw = raw or math.inf
        self.events = events or math.inf

    def item_ends(self, since: float) -> float:
        """Return until when an item may be unfinished that is so old, in the same clock."""
        return since + self.events - min(LONGEST_MARGIN_SECONDS, self.events * SHARE_OF_AGE)
