"""Who owns which partition: the table that a shard's processors share, and what follows from it.

The table is only ever replaced as a whole, by compare-and-set, so all processors see one history of
tables (docs/design/0005). Everything here is a pure function of a table and of what one processor
knows; clocks and NATS are elsewhere.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.subjects import PARTITIONS
from forebay_processor.shared.lease_table import Assignment, LeaseTable, Member

__all__ = ["KINDS", "FailureDetector", "next_table", "owned", "partition_ids", "surplus"]

KINDS: Final = ("raw", "event")
"""Partitions of RAW and of EVENTS; those of EVENTS bring RETRY's along."""


def partition_ids(kind: str, partitions: int = PARTITIONS) -> Iterator[str]:
    """Yield the names of all partitions of a kind, such as `event.07`."""
    return (f"{kind}.{partition:02d}" for partition in range(partitions))


def owned(table: LeaseTable, member: str) -> dict[str, int]:
    """Return what a member owns, each with its epoch."""
    return {
        partition_id: assignment.epoch
        for partition_id, assignment in table.partitions.items()
        if assignment.owner == member
    }


def surplus(table: LeaseTable, member: str, partitions: int = PARTITIONS) -> list[str]:
    """Return what a member has above its share, and has to drain and give back."""
    mine = sorted(owned(table, member))
    there = table.members.get(member)
    if there is None or there.leaving:
        return mine
    given: list[str] = []
    for kind in KINDS:
        of_kind = [partition_id for partition_id in mine if partition_id.startswith(f"{kind}.")]
        given += of_kind[_share(table, member, kind, partitions) :]
    return given


def next_table(  # noqa: PLR0913  # all that one step is made of
    table: LeaseTable,
    me: str,
    *,
    listener_id: str,
    dead: Collection[str] = (),
    released: Collection[str] = (),
    floors: Mapping[str, int] | None = None,
    acked: Mapping[str, Mapping[str, AckFloor]] | None = None,
    leaving: bool = False,
    partitions: int = PARTITIONS,
) -> LeaseTable:
    """Return the table after a step of one processor.

    Args:
        table: The table as it is.
        me: The processor's own id, new for each process.
        listener_id: Where it listens.
        dead: Members whose heartbeat stood still for too long.
        released: Partitions that it has drained: they become free.
        floors: RETRY's last sequence at the time it loaded the rows of each partition.
        acked: How far it saw the consumers of its partitions, by lane.
        leaving: Whether it is on its way out; without anything left it is not in the table.
        partitions: How many the shard has of each kind.
    """
    mine = table.members.get(me)
    members = {
        name: member
        for name, member in table.members.items()
        if name != me and name not in dead and member.listener_id != listener_id
    }
    assignments = {
        partition_id: _free(assignment)
        if (assignment.owner != me and assignment.owner not in members)
        or (assignment.owner == me and (partition_id in released or mine is None))
        else assignment
        for partition_id, assignment in table.partitions.items()
    }
    for partition_id, floor in (floors or {}).items():
        assignment = assignments.get(partition_id, Assignment())
        if assignment.owner == me:
            assignments[partition_id] = msgspec.structs.replace(
                assignment, loaded=assignment.epoch, floor=floor
            )
    for partition_id, lanes in (acked or {}).items():
        assignment = assignments.get(partition_id, Assignment())
        if assignment.owner == me:
            assignments[partition_id] = msgspec.structs.replace(
                assignment, acked={**assignment.acked, **lanes}
            )
    if leaving and not any(assignment.owner == me for assignment in assignments.values()):
        return LeaseTable(members=members, partitions=assignments)
    heartbeat = mine.heartbeat + 1 if mine is not None else 1
    members[me] = Member(listener_id=listener_id, heartbeat=heartbeat, leaving=leaving)
    after = LeaseTable(members=members, partitions=assignments)
    if not leaving:
        for kind in KINDS:
            _take(after, me, kind, partitions)
    return after


def _take(table: LeaseTable, me: str, kind: str, partitions: int) -> None:
    """Take what is free, up to one's share; changes the table, which nobody else has yet."""
    room = _share(table, me, kind, partitions) - _count(table, me, kind)
    for partition_id in partition_ids(kind, partitions):
        assignment = table.assignment(partition_id)
        if room > 0 and not assignment.owner:
            table.partitions[partition_id] = msgspec.structs.replace(
                assignment, owner=me, epoch=assignment.epoch + 1
            )
            room -= 1


def _share(table: LeaseTable, member: str, kind: str, partitions: int) -> int:
    """Return how many partitions of a kind a member should have.

    Where they do not come out even, those who have most keep the larger share: so nothing moves
    that need not. Among equals it is the first for one kind and the last for the other.
    """
    staying = [name for name, each in table.members.items() if not each.leaving]
    staying.sort(reverse=kind == KINDS[0])
    staying.sort(key=lambda name: -_count(table, name, kind))
    each, more = divmod(partitions, len(staying))
    return each + (1 if staying.index(member) < more else 0)


def _count(table: LeaseTable, member: str, kind: str) -> int:
    return sum(
        1
        for partition_id, assignment in table.partitions.items()
        if assignment.owner == member and partition_id.startswith(f"{kind}.")
    )


def _free(assignment: Assignment) -> Assignment:
    return msgspec.structs.replace(assignment, owner="")


class FailureDetector:
    """Judges by their heartbeats which members are dead.

    Only time in which the table was read again and again counts: after an outage of NATS everybody
    gets as long as before.
    """

    def __init__(self, patience: float, longest_gap: float) -> None:
        self._patience = patience
        self._longest_gap = longest_gap
        self._seen: dict[str, tuple[int, float]] = {}
        self._last: float | None = None

    def observe(self, table: LeaseTable, now: float) -> set[str]:
        """Take notice of a table that was read now; return who is dead."""
        gap = 0.0 if self._last is None else min(now - self._last, self._longest_gap)
        self._last = now
        seen: dict[str, tuple[int, float]] = {}
        for name, member in table.members.items():
            heartbeat, silent = self._seen.get(name, (-1, 0.0))
            seen[name] = (member.heartbeat, silent + gap if member.heartbeat == heartbeat else 0.0)
        self._seen = seen
        return {name for name, (_, silent) in seen.items() if silent >= self._patience}
