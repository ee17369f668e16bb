"""The port that every kind of destination stands behind, and what an attempt can end in."""

import enum
from collections.abc import Sequence, Sized
from typing import Any, Protocol, runtime_checkable

import msgspec

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem
from forebay.core.subjects import Lane

__all__ = [
    "Attempt",
    "BatchPort",
    "Delivered",
    "DestinationPort",
    "Failed",
    "Rejected",
    "Result",
    "Trouble",
]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One item on its way to one destination, for the n-th time."""

    endpoint: EndpointName
    destination: str
    lane: Lane
    token: str
    """The key's hash: the idempotency key, the same at every attempt."""

    conversation: str
    item: StoredItem
    number: int
    """1 for the first attempt."""

    received_at: float
    """When the webhook came, seconds since the epoch."""

    traceparent: str
    """The item's: the same at every attempt."""

    other_channel: bool
    """Whether the item is of another channel than the endpoint's."""

    superseded: bool = False
    """Whether it is a status that comes after a higher one of its message."""

    transformed: msgspec.Raw | None = None
    """What the destination's transform made of the item's data; None where it has none."""

    request_traceparent: str = ""
    """This attempt's own; empty where nothing is traced: then the item's goes along."""


class Delivered(msgspec.Struct, frozen=True):
    """The destination has it."""


class Trouble(enum.Enum):
    """What a failure says about the destination."""

    ITEM = enum.auto()
    """Nothing for sure: another item might have got through."""

    DESTINATION = enum.auto()
    """No item would have got through now."""

    REFUSED = enum.auto()
    """No item will get through with these settings."""


class Failed(msgspec.Struct, frozen=True):
    """The destination did not take it now: try again."""

    error: str
    """A status or a kind of failure, never the destination's text."""

    retry_after: float = 0.0
    """Seconds that the destination asked for."""

    trouble: Trouble = Trouble.ITEM

    said: str = ""
    """The first words of its answer, without what could be private: for the index only."""


class Rejected(msgspec.Struct, frozen=True):
    """The destination will never take this item: trying again is of no use."""

    error: str
    said: str = ""


Result = Delivered | Failed | Rejected


class DestinationPort(Protocol):
    """One destination of one endpoint."""

    async def deliver(self, attempt: Attempt) -> Result:
        """Try to deliver; never raises for what the destination does."""

    def close(self) -> None:
        """Close connections; attempts that are under way go on."""


@runtime_checkable
class BatchPort(DestinationPort, Protocol):
    """One that takes several items at once, too."""

    def encode(self, attempt: Attempt) -> Sized:
        """Return an item as it stands in a batch; its length is the bytes that it takes there."""

    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],
        items: Sequence[Any],
        traceparent: str = "",
    ) -> Result:
        """Try to deliver items of one endpoint together; never raises for what is done there.

        Args:
            endpoint: Whose they are.
            tokens: Of each item its own.
            items: What `encode` made of them, in the same order.
            traceparent: The request's own; empty where nothing is traced.

        Returns:
            The outcome for all of them; a failure may be any one's.
        """
