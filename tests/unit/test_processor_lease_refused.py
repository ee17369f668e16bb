"""A lease table that takes no writes: nobody believes in a lease that was not stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest

from forebay.runtime.jetstream.errors import (
    SequenceMismatch,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from forebay_processor.adapters.lease_store import LeaseStore
from forebay_processor.ownership.membership import Membership
from forebay_processor.shared.lease_table import LeaseTable
from support.timing.wait import eventually


class MemoryLeases:
    """A table of leases in memory, which takes nothing while `refusal` says why."""

    def __init__(self) -> None:
        self.table, self.sequence = LeaseTable(), 0
        self.refusal: StoreError | None = None
        self.asked = 0

    async def follow(self, _: object) -> None:
        """Give no hints."""

    async def read(self) -> tuple[LeaseTable, int]:
        """Return the table."""
        return self.table, self.sequence

    async def write(self, table: LeaseTable, sequence: int) -> int:
        """Take a table, or refuse it."""
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        if sequence != self.sequence:
            raise SequenceMismatch
        self.table, self.sequence = table, sequence + 1
        return self.sequence

    async def close(self) -> None:
        """Nothing is open."""


class Member:
    """One processor's membership, and the tables that it worked by."""

    def __init__(self, name: str) -> None:
        self.steps: list[LeaseTable] = []
        self.membership = Membership(
            "0", name, f"listener of {name}", self.steps.append, lambda: None
        )


@contextlib.asynccontextmanager
async def running(member: Member, store: MemoryLeases) -> AsyncIterator[None]:
    """Let a processor take steps."""
    task = asyncio.create_task(member.membership.run(cast("LeaseStore", store)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("refusal", [StoreFull("no room"), StoreUnavailable("no answer")])
async def test_nothing_is_owned_until_the_table_is_stored(refusal: StoreError) -> None:
    store, member = MemoryLeases(), Member("one")
    store.refusal = refusal
    async with running(member, store):
        await eventually(lambda: member.membership.trouble, saying="the refusal to be noticed")
        assert member.membership.trouble == str(refusal)
        assert not member.membership.lease.is_valid
        assert (member.steps, member.membership.owned) == ([], {})
        store.refusal = None
        await eventually(lambda: member.steps, saying="a step once there is room")
        assert member.membership.lease.is_valid
        assert member.membership.trouble is None
        assert len(member.membership.owned) > 0
        assert member.membership.owned.keys() == member.steps[-1].partitions.keys()


async def test_what_is_given_back_is_given_back_though_the_table_was_refused_before() -> None:
    store, member = MemoryLeases(), Member("one")
    async with running(member, store):
        await eventually(lambda: member.steps, saying="a step")
        partition_id = min(member.membership.owned)
        epoch = member.membership.owned[partition_id]
        store.refusal = StoreFull("no room")
        before = store.asked
        member.membership.release(partition_id)
        await eventually(lambda: store.asked > before, saying="a step that is refused")
        assert member.membership.is_releasing(partition_id)
        assert member.membership.owned[partition_id] == epoch
        store.refusal = None
        await eventually(
            lambda: not member.membership.is_releasing(partition_id), saying="it to learn of it"
        )
        # Alone, it takes the partition again: in another epoch.
        await eventually(lambda: member.membership.owned.get(partition_id, epoch) != epoch)
