"""When a processor takes a step, and from when its lease counts."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import cast

import msgspec

from forebay_processor.adapters.lease_store import LeaseStore
from forebay_processor.ownership.membership import Membership
from forebay_processor.shared.lease import HEARTBEAT_SECONDS, VALID_SECONDS, lease_clock
from forebay_processor.shared.lease_table import LeaseTable, Member
from support.timing.wait import eventually

SLOW_SECONDS = 0.3


class SlowStore:
    """A table of leases that is written when the test says so."""

    def __init__(self) -> None:
        self.asked_at = 0.0
        self.may_answer = asyncio.Event()

    async def follow(self, _: object) -> None:
        """Give no hints."""

    async def read(self) -> tuple[LeaseTable, int]:
        """Return a table that nobody wrote yet."""
        return LeaseTable(), 0

    async def write(self, _: LeaseTable, sequence: int) -> int:
        """Take a table, late."""
        self.asked_at = self.asked_at or lease_clock()
        await self.may_answer.wait()
        return sequence + 1

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_lease_counts_from_the_request_not_from_the_answer() -> None:
    # Others wait 6 s from when they saw the step: a slow answer must not lengthen ours.
    store, steps = SlowStore(), list[LeaseTable]()
    membership = Membership("0", "me", "here", steps.append, lambda: None)
    running = asyncio.create_task(membership.run(cast("LeaseStore", store)))
    await eventually(
        lambda: store.asked_at and lease_clock() - store.asked_at > SLOW_SECONDS,
        saying="the answer to be late",
    )
    assert not membership.lease.is_valid
    store.may_answer.set()
    await eventually(lambda: steps, saying="a step")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert membership.lease.remaining <= VALID_SECONDS - SLOW_SECONDS


class HintingStore:
    """A table of leases of two: whenever one writes, the other one's heartbeat comes as a hint."""

    def __init__(self) -> None:
        self.table = LeaseTable(members={"other": Member(listener_id="there")})
        self.written_at: list[float] = []
        self._hint: Callable[[LeaseTable], None] = lambda _: None

    async def follow(self, on_table: Callable[[LeaseTable], None]) -> None:
        """Give hints to this one."""
        self._hint = on_table

    async def read(self) -> tuple[LeaseTable, int]:
        """Return the table."""
        return self.table, len(self.written_at)

    async def write(self, table: LeaseTable, sequence: int) -> int:
        """Take a table, and let the other one write it with its own heartbeat."""
        self.written_at.append(lease_clock())
        other = table.members["other"]
        heard = msgspec.structs.replace(other, heartbeat=other.heartbeat + 1)
        self.table = msgspec.structs.replace(table, members={**table.members, "other": heard})
        asyncio.get_running_loop().call_soon(self._hint, self.table)
        return sequence + 1

    async def close(self) -> None:
        """Nothing is open."""


async def test_the_beat_of_another_one_is_no_reason_for_a_step() -> None:
    # Else two processors would drive each other on, as fast as NATS can write.
    store = HintingStore()
    membership = Membership("0", "me", "here", lambda _: None, lambda: None)
    running = asyncio.create_task(membership.run(cast("LeaseStore", store)))
    await eventually(lambda: len(store.written_at) == 2, saying="two steps")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    first, second = store.written_at[:2]
    assert second - first >= HEARTBEAT_SECONDS
