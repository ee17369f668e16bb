"""What work on items needs of the partition that they belong to, and what waits in it."""

from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from forebay.runtime.outgoing import PubAck
from forebay_processor.shared.retention_ages import RetentionAges

__all__ = ["Lag", "Partition"]


class Lag(NamedTuple):
    """What waits in a lane of a partition, parked items aside."""

    items: int
    oldest: float | None
    """When the oldest was stored, seconds since the epoch."""


class Partition(Protocol):
    """What a channel needs from the partition that an item belongs to, while this process owns it.

    RETRY as a table, DEAD, and whether work on the item may begin or go on.
    """

    @property
    def epoch(self) -> int:
        """Tells this ownership from earlier ones."""

    @property
    def ages(self) -> RetentionAges:
        """How long the shard keeps items."""

    @property
    def is_started(self) -> bool:
        """Whether rows may be worked: not before all that was left in EVENTS has come again."""

    @property
    def is_lost(self) -> bool:
        """Whether somebody else owns it: then nothing more is done for its items."""

    async def held(self) -> bool:
        """Say whether it is ours at this moment; waits while that is not known."""

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row or a dead letter; raises StoreError, also where it is not surely ours."""

    async def read(self, stream: str, subject: str) -> tuple[bytes, dict[str, str], int] | None:
        """Read a row; raises StoreError."""

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the sequences of those of these items that are claimed; raises StoreError."""

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a row; raises StoreError."""

    async def purge(self, stream: str, subject: str, below: int) -> None:
        """Remove what a subject holds below a sequence; raises StoreError."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; it never raises."""

    async def pause(self, seconds: float) -> bool:
        """Wait; returns False, at once, where the partition is given back or lost."""
