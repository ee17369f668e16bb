"""What work on items needs of the partition that they belong to, and what waits in it."""

from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, Protocol

from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_processor.shared.retention_ages import RetentionAges

__all__ = ["Lag", "Partition", "PartitionStore", "StoredRow"]


class Lag(NamedTuple):
    """What waits in a lane of a partition, parked items aside."""

    items: int
    oldest: float | None
    """When the oldest was stored, seconds since the epoch."""


class StoredRow(NamedTuple):
    """A row of RETRY as it is stored."""

    subject: str
    sequence: int
    stored_at: float
    """Seconds since the epoch."""

    headers: dict[str, str]
    payload: bytes


class PartitionStore(Protocol):
    """RETRY, DEAD, and the claims in EVENTS."""

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a message; raises StoreError."""

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the sequences of the messages that these subjects have; raises StoreError."""

    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of these messages, of those that are there; raises StoreError."""

    async def first_row(self, stream: str, subjects: str, after: int) -> StoredRow | None:
        """Return the first row above a sequence, as the leader has it; raises StoreError."""

    async def next_rows(
        self, stream: str, subjects: str, after: int, limit: int, up_to: int = 0
    ) -> list[StoredRow]:
        """Return the next rows in order, as any replica has them; raises StoreError.

        Args:
            stream: RETRY's name.
            subjects: A wildcard.
            after: Rows above this sequence.
            limit: How many at most; fewer say nothing of what there is behind them.
            up_to: The last sequence; 0 for no end.
        """

    async def row_at(self, stream: str, sequence: int) -> StoredRow | None:
        """Return a row as the leader has it, None where it is gone; raises StoreError."""

    async def delete(self, stream: str, sequence: int) -> None:
        """Delete a message; raises StoreError."""

    async def purge(self, stream: str, subject: str, below: int) -> None:
        """Remove what a subject holds below a sequence; raises StoreError."""


class Partition(PartitionStore, Protocol):
    """What work on an item needs from the partition that it belongs to, while this process owns it.

    The same partition taken again is another one: nothing of an earlier ownership is taken for the
    present one's.

    The store, of which all partitions have the same, and whether work on the item may begin or go
    on. `publish` raises StoreError also where the partition is not surely ours.
    """

    @property
    def partition_id(self) -> str:
        """Such as `event.07`."""

    @property
    def number(self) -> int:
        """The partition's number."""

    @property
    def epoch(self) -> int:
        """Distinguishes this ownership from earlier ones."""

    @property
    def floor(self) -> int:
        """RETRY's last sequence when this ownership began."""

    @property
    def is_vacant(self) -> bool:
        """Whether RETRY held no row of it at that time."""

    @property
    def counted_to(self) -> int:
        """Up to which sequence its rows were counted; at least `floor` once all are."""

    def is_void(self, epoch: int | None, sequence: int) -> bool:
        """Say whether a row was stored by an owner whose partition it was not any more.

        Args:
            epoch: What the row says; None where no processor stored it.
            sequence: The row's.
        """

    @property
    def ages(self) -> RetentionAges:
        """How long the shard keeps items."""

    @property
    def is_started(self) -> bool:
        """Whether rows may be worked: not before all that was left in EVENTS has come again."""

    @property
    def is_closing(self) -> bool:
        """Whether nothing new is to begin: it is given back, or lost."""

    @property
    def remaining(self) -> float:
        """Seconds for which it is certainly ours; 0 or less where that is not known."""

    @property
    def is_lost(self) -> bool:
        """Whether somebody else owns it: then nothing more is done for its items."""

    async def held(self) -> bool:
        """Say whether it is ours at this moment; waits while that is not known."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; it never raises."""

    async def pause(self, seconds: float) -> bool:
        """Wait; returns False, at once, where the partition is given back or lost."""
