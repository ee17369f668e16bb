"""How far a consumer was, as its owner wrote it down in the table of leases.

A consumer can vanish: deleted by hand, or set back by a backup that was restored. Then the store
does not know any more what of its stream was processed, and whoever makes it again begins there.
Pure data: the processor writes it, whoever makes consumers reads it (docs/design/0017).
"""

import contextlib
from typing import Final

import msgspec

from forebay.core.subjects import Lane, consumer_name

__all__ = ["AckFloor", "consumer_floors"]

STEPS: Final = {"raw": "split", "event": "deliver"}
"""By the first word of a partition's name in the table."""


class AckFloor(msgspec.Struct, frozen=True, array_like=True):
    """The sequence up to which a consumer had acked everything, and when that was so."""

    sequence: int
    at: int
    """Nanoseconds since the epoch, by the server's clock. A message that was stored later is not
    meant, whatever its sequence: a stream that was made anew, or restored, counts again."""

    def covers(self, sequence: int, stored_at: int) -> bool:
        """Say whether a message was processed at that time."""
        return sequence <= self.sequence and stored_at <= self.at


class _Partition(msgspec.Struct, frozen=True):
    acked: dict[str, AckFloor] = {}


class _Table(msgspec.Struct, frozen=True):
    partitions: dict[str, _Partition] = {}


def consumer_floors(table: bytes) -> dict[str, AckFloor]:
    """Return the floors that a table of leases holds, by the consumer's name.

    What cannot be read counts as not known: then a consumer begins with what its stream holds.
    """
    floors: dict[str, AckFloor] = {}
    with contextlib.suppress(msgspec.DecodeError, ValueError, KeyError):
        for unit, partition in msgspec.json.decode(table, type=_Table).partitions.items():
            kind, _, number = unit.partition(".")
            for lane, floor in partition.acked.items():
                floors[consumer_name(STEPS[kind], Lane(lane), int(number))] = floor
    return floors
