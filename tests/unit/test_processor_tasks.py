"""A task that was told to end has ended, whoever swallows a cancellation."""

import asyncio

from forebay_processor.services.tasks import end_tasks


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
