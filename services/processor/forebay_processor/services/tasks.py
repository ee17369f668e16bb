"""Ending tasks, so that they have ended."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["end_tasks"]

CANCEL_AGAIN_SECONDS: Final = 0.1


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended.

    Once is not enough: nats-py, and `asyncio.wait_for` of Python 3.11 where an answer comes at the
    same moment, can swallow a cancellation.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)
