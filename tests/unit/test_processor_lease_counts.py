"""A processor's lease counts from the moment at which it asked, not from the answer."""

import asyncio
import contextlib
from typing import cast

from forebay_processor.adapters.leases import LeaseStore
from forebay_processor.models.leases import LeaseTable
from forebay_processor.services.lease import VALID_SECONDS, lease_clock
from forebay_processor.services.membership import Membership
from support.wait import eventually

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
