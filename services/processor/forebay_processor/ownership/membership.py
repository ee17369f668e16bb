"""This process' part in the agreement of a shard's processors on who owns what.

One step a second, and one at once when somebody else changed something: read the table, work out
the next one, write it. What a step means is in `ownership/assignment.py`.

If the process dies before the write, nothing happened; after it, the others find what it took in
the table, and that its heartbeat stands still.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

import structlog

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.subjects import partitions_of
from forebay.runtime.jetstream.errors import SequenceMismatch, StoreError, StoreUnavailable
from forebay.runtime.supervise import to_the_end
from forebay_processor.adapters.lease_store import LeaseStore
from forebay_processor.ownership.assignment import FailureDetector, next_table, owned
from forebay_processor.shared.lease import DEAD_SECONDS, HEARTBEAT_SECONDS, Lease, lease_clock
from forebay_processor.shared.lease_table import LeaseTable

__all__ = ["Membership"]

_log = structlog.get_logger(__name__)

TRIES: Final = 8
"""Writes of one step, where others were quicker."""

SETTLE_SECONDS: Final = 0.02
"""The shortest time between two steps: several changes at once are one step."""


class Membership:
    """One process as a member of one shard."""

    def __init__(
        self,
        shard: str,
        me: str,
        listener_id: str,
        on_table: Callable[[LeaseTable], None],
        on_answer: Callable[[], None],
        on_written: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is asked before `run`.

        Args:
            shard: Which shard.
            me: An id that no other process has, or had.
            listener_id: Where this process listens.
            on_table: Called with the table after each step.
            on_answer: Called whenever NATS answered.
            on_written: Called with the seconds that NATS took for a heartbeat.
        """
        self.me = me
        self.lease = Lease()
        self.table = LeaseTable()
        """As it was after the last step."""

        self.floors: dict[str, int] = {}
        """RETRY's last sequence when the rows of a partition were loaded, to be written down."""

        self.acked: dict[str, dict[str, AckFloor]] = {}
        """How far the consumers of owned partitions are, by lane, to be written down."""

        self.trouble: str | None = None
        """Why the last step failed; None where it did not."""

        self.left = asyncio.Event()
        """Set when it is not in the table any more, after `leave`."""

        self._shard = shard
        self._listener_id = listener_id
        self._on_table = on_table
        self._on_answer = on_answer
        self._on_written = on_written
        self._released: set[str] = set()
        self._is_leaving = False
        self._failure_detector = FailureDetector(DEAD_SECONDS, 1.5 * HEARTBEAT_SECONDS)
        self._wake = asyncio.Event()

    def is_releasing(self, partition_id: str) -> bool:
        """Whether a partition is given back and the table does not say so yet."""
        return partition_id in self._released

    def release(self, partition_id: str) -> None:
        """Give a partition back, in a step that is made at once."""
        self._released.add(partition_id)
        self._wake.set()

    def leave(self) -> None:
        """Take nothing any more, and be gone when all is given back."""
        self._is_leaving = True
        self._wake.set()

    async def run(self, store: LeaseStore) -> None:
        """Take steps over one connection; until cancelled."""
        with contextlib.suppress(StoreError):
            # Without hints it checks once a second.
            await store.follow(self._hint)
        try:
            while not self.left.is_set():
                self._wake.clear()
                await self._try_step(store)
                await asyncio.sleep(SETTLE_SECONDS)
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            await to_the_end(store.close())

    async def _try_step(self, store: LeaseStore) -> None:
        try:
            await self._step(store)
        except StoreError as error:
            if self.trouble is None:
                _log.warning("lease_not_renewed", shard=self._shard, reason=str(error))
            self.trouble = str(error)
        else:
            self.trouble = None

    async def _step(self, store: LeaseStore) -> None:
        for _ in range(TRIES):
            table, sequence = await store.read()
            self._on_answer()
            dead = self._failure_detector.observe(table, lease_clock()) - {self.me}
            released, floors = set(self._released), dict(self.floors)
            after = next_table(
                table,
                self.me,
                listener_id=self._listener_id,
                dead=dead,
                released=released,
                floors=floors,
                acked=self.acked,
                leaving=self._is_leaving,
                partitions=partitions_of(self._shard),
            )
            began = lease_clock()
            try:
                await store.write(after, sequence)
            except SequenceMismatch:
                await asyncio.sleep(random.random() * SETTLE_SECONDS)  # noqa: S311
                continue
            self._on_written(lease_clock() - began)
            for name in sorted(dead):
                _log.warning("processor_declared_dead", shard=self._shard, member=name)
            self._released -= released
            for partition_id in floors:
                del self.floors[partition_id]
            self.table = after
            self.lease.renew(began)
            self._on_table(after)
            if self._is_leaving and self.me not in after.members:
                self.left.set()
            return
        message = "other processors were quicker each time"
        raise StoreUnavailable(message)

    def _hint(self, table: LeaseTable) -> None:
        """Check at once where another one tried to change more than its own heartbeat."""
        if _shape(table) != _shape(self.table):
            self._wake.set()

    @property
    def owned(self) -> dict[str, int]:
        """The partitions that the table gives to this process, with their epochs."""
        return owned(self.table, self.me)


def _shape(table: LeaseTable) -> tuple[object, ...]:
    members = {name: member.leaving for name, member in table.members.items()}
    owners = {
        partition_id: assignment.owner for partition_id, assignment in table.partitions.items()
    }
    return members, owners
