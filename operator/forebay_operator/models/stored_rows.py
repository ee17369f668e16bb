"""What the streams of a shard say of what waits there: places, rows, and sums for an endpoint."""

from datetime import datetime
from typing import NamedTuple

from forebay.core.endpoint_name import EndpointName

__all__ = ["LanePosition", "ParkedItems", "RowPosition", "StreamPosition", "Waiting"]


class Waiting(NamedTuple):
    """What is stored for an endpoint and not delivered yet."""

    items: int
    oldest: datetime | None


class ParkedItems(NamedTuple):
    """What waits in RETRY for one endpoint, as a processor counts it."""

    endpoint: EndpointName
    items: int
    oldest_seconds: float


class RowPosition(NamedTuple):
    """A message of RAW, EVENTS or RETRY."""

    sequence: int
    endpoint: EndpointName
    lane: str
    """Partition and lane, such as `03.live`."""

    stored_at: float
    """Seconds since 1970."""


class LanePosition(NamedTuple):
    """How far one lane of a partition is processed."""

    lane: str
    floor: int
    """The sequence up to which all is processed."""

    waiting: int
    """How many messages are not."""


class StreamPosition(NamedTuple):
    """What a stream holds, and how far its lanes are processed."""

    first: int
    last: int
    messages: int
    lanes: tuple[LanePosition, ...] = ()
    """Those of RAW and EVENTS; RETRY has none, for all that is there waits."""
