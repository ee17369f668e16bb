"""The table in which a shard's processors agree who owns what (docs/design/0005).

It is stored: its fields keep the names that they have in JSON, whatever they are called here.
"""

from typing import Final

import msgspec

from forebay.core.consumer_ack_floors import AckFloor

__all__ = ["Assignment", "LeaseTable", "Member"]


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A processor that lives."""

    listener_id: str = msgspec.field(name="place")
    """Where it listens, such that no two live processes can have the same."""

    heartbeat: int = msgspec.field(default=0, name="beat")
    """Grows with every step that it takes."""

    leaving: bool = False
    """Whether it gives back what it has and takes nothing."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One partition."""

    owner: str = ""
    """The member that owns it; empty where it is free."""

    epoch: int = 0
    """Grows with every new owner."""

    loaded: int = 0
    """The last epoch whose owner said that it has loaded RETRY."""

    floor: int = 0
    """The last sequence of RETRY at that time: what an earlier owner stored above it is void."""

    acked: dict[str, AckFloor] = {}
    """How far the consumer of each lane was, as its owner saw it last: where one has to be made
    again, it begins there (docs/design/0017)."""


class LeaseTable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the one message of a shard's lease stream holds."""

    members: dict[str, Member] = {}
    partitions: dict[str, Assignment] = {}

    def assignment(self, partition_id: str) -> Assignment:
        """Return a partition, which nobody may have had yet."""
        return self.partitions.get(partition_id, _FREE)


_FREE: Final = Assignment()
