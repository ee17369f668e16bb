"""A task that was cancelled has ended, even where something in it caught the cancellation."""

import asyncio
from typing import cast

from forebay.runtime.jetstream.pull_status import OnRefused
from forebay.runtime.supervise import end_tasks, to_the_end
from forebay_processor.adapters.connection import Session
from forebay_processor.shared.lease import Lease
from forebay_processor.shared.partition_view import PartitionStore
from support.processor.partition_alone import owned_partition
from support.timing.wait import eventually


async def test_a_task_that_swallows_a_cancellation_ends_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)  # so that it has begun
    await end_tasks([task])
    assert task.done()


async def test_tasks_that_ended_before_are_no_trouble() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end_tasks([task])
    await end_tasks([])


async def test_what_is_done_to_the_end_is_done_however_often_it_is_cancelled() -> None:
    may_end, steps = asyncio.Event(), list[str]()

    async def cleaning() -> None:
        steps.append("begun")
        await may_end.wait()
        steps.append("ended")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await to_the_end(cleaning())

    task = asyncio.create_task(work())
    await asyncio.sleep(0)  # so that it has begun
    ending = asyncio.create_task(end_tasks([task]))
    await eventually(lambda: task.cancelling() >= 3, saying="it to be cancelled again")
    assert steps == ["begun"]
    may_end.set()
    await ending
    assert steps == ["begun", "ended"]
    assert task.cancelled()


class SlowSession:
    """A session of which inboxes close when the test says so."""

    def __init__(self) -> None:
        self.may_close = asyncio.Event()
        self.closed = 0

    async def open_inbox(self, _: OnRefused) -> object:
        """Return an inbox that nobody uses."""
        return object()

    async def close_inbox(self, _: object) -> None:
        """Wait, and count."""
        await self.may_close.wait()
        self.closed += 1


async def test_a_partition_is_begun_anew_though_its_session_took_long_to_end() -> None:
    # A busy machine: it was cancelled again half-way, counted as begun, and nobody pulled for it.
    consumers = owned_partition("raw.03", Lease(), cast("PartitionStore", None)).consumers
    session = SlowSession()
    consumers.is_begun = True
    await consumers.begin(cast("Session", session))
    assert consumers.is_attached
    task = asyncio.create_task(consumers.detach())
    await asyncio.sleep(0)  # so that it has begun
    ending = asyncio.create_task(end_tasks([task]))
    await eventually(lambda: task.done() or task.cancelling() >= 3, saying="it to be cancelled")
    session.may_close.set()
    await ending
    assert session.closed == 1
    assert not consumers.is_begun
    assert not consumers.is_attached
