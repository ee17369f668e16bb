"""What a queue needs to know from the tables: its destination's settings and its state."""

import enum

import msgspec

from forebay.core.tables import Destination
from forebay_processor.delivery.endpoint_limit import EndpointLimit
from forebay_processor.destinations.port import DestinationPort

__all__ = ["DestinationSettings", "DestinationState"]


class DestinationState(enum.Enum):
    """What the tables say about a destination."""

    UNKNOWN = enum.auto()
    """No table names the endpoint, none says that it is gone: all waits."""

    OPEN = enum.auto()
    PAUSED = enum.auto()
    """What comes is parked: somebody paused the endpoint, or items of another shard go first."""

    REMOVED = enum.auto()
    """The endpoint is there without this destination: what waits becomes dead letters."""

    DELETED = enum.auto()
    """The endpoint is gone: what is left of it is dropped."""


class DestinationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue needs to know from the tables."""

    state: DestinationState = DestinationState.UNKNOWN
    config: Destination | None = None
    port: DestinationPort | None = None
    """Both are there where the state is OPEN or PAUSED."""

    own_channel: str | None = None
    """The phone number id of the endpoint: items of others are marked."""

    is_ordered: bool = True
    is_monotonic: bool = True
    """Whether statuses that come late are marked."""

    other_shards: tuple[str, ...] = ()
    """Where else a higher status than one that is outside the order may be claimed."""

    endpoint_limit: EndpointLimit | None = None
    """The endpoint's requests in all, where the state is OPEN or PAUSED."""
