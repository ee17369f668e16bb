"""Tasks that belong together: run until a stop or until one fails, ended together, none left.

For the `main` of a part, and for whoever owns tasks of its own.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from typing import Any, Final, TypeVar

__all__ = ["all_of", "end_tasks", "run_until", "to_the_end"]

_Result = TypeVar("_Result")

CANCEL_AGAIN_SECONDS: Final = 0.1


async def run_until(
    stop: asyncio.Event, tasks: Collection[asyncio.Task[Any]]
) -> list[asyncio.Task[Any]]:
    """Wait for a stop, or for the first task that ends; the others run on.

    Returns those that ended: none should before the stop, so it is a crash of each. One that was
    cancelled was ended by somebody on purpose, and is not among them.
    """
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    return [task for task in done if task is not stopping and not task.cancelled()]


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended.

    Once is not enough: nats-py, and `asyncio.wait_for` of Python 3.11 where an answer comes at the
    same moment, can swallow a cancellation. What a task does at its end must therefore survive
    another
    one: see `to_the_end`.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)


async def all_of(works: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Run all of these side by side, and raise what the first raised when all have ended."""
    results = await asyncio.gather(*works, return_exceptions=True)
    done: list[_Result] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, however often whoever waits for it is cancelled meanwhile.

    For what ends a session or a partition: half of it would leave consumers that nobody pulls from
    and that count as pulled from.
    """
    task = asyncio.create_task(work)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            is_cancelled = True
    task.result()
    if is_cancelled:
        raise asyncio.CancelledError
