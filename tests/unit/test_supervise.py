"""A part runs until it is stopped, or until a task of it ends that should not."""

import asyncio

import pytest

from forebay.runtime.supervise import all_of, end_tasks, run_until


async def forever() -> None:
    """Run until cancelled."""
    await asyncio.Event().wait()


async def crash() -> None:
    """Fail at once."""
    message = "a bug"
    raise ValueError(message)


async def test_a_stop_is_no_crash_and_the_tasks_run_on() -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(forever())
    asyncio.get_running_loop().call_soon(stop.set)
    assert await run_until(stop, [task]) == []
    assert not task.done()
    await end_tasks([task])


async def test_a_task_that_fails_is_returned_with_its_error() -> None:
    tasks = [asyncio.create_task(forever()), asyncio.create_task(crash(), name="bad")]
    (crashed,) = await run_until(asyncio.Event(), tasks)
    assert crashed.get_name() == "bad"
    assert isinstance(crashed.exception(), ValueError)
    await end_tasks(tasks)


async def test_a_task_that_returns_has_ended_as_well() -> None:
    task = asyncio.create_task(asyncio.sleep(0), name="short")
    assert await run_until(asyncio.Event(), [task]) == [task]


async def test_a_task_that_was_cancelled_is_no_crash() -> None:
    task = asyncio.create_task(forever())
    asyncio.get_running_loop().call_soon(task.cancel)
    assert await run_until(asyncio.Event(), [task]) == []


async def test_nothing_is_left_behind() -> None:
    task = asyncio.create_task(crash())
    await run_until(asyncio.Event(), [task])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_works_that_fail_are_raised_when_all_have_ended() -> None:
    ended = []

    async def slow() -> None:
        await asyncio.sleep(0)
        ended.append("slow")

    with pytest.raises(ValueError, match="a bug"):
        await all_of([crash(), slow()])
    assert ended == ["slow"]


async def test_works_return_their_results_in_order() -> None:
    assert await all_of([asyncio.sleep(0, "first"), asyncio.sleep(0, "second")]) == [
        "first",
        "second",
    ]
