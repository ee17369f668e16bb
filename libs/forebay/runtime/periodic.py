"""A loop that does one thing again and again: the one shape of all polling.

For whoever runs as a task of its own until it is cancelled. What may fail is caught by the action,
which knows what to log; what it raises ends the loop, and with it the task.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

__all__ = ["periodically"]


async def periodically(
    action: Callable[[], Awaitable[object] | None],
    pause: float | Callable[[], float],
    *,
    at_once: bool = False,
) -> NoReturn:
    """Do something, wait, and do it again; until cancelled.

    Args:
        action: What is done; awaited where it is a coroutine function.
        pause: Seconds between the end of one action and the next one, or what returns them.
        at_once: Whether the first action comes before the first pause.
    """
    is_due = at_once
    while True:
        if is_due:
            done = action()
            if done is not None:
                await done
        is_due = True
        await asyncio.sleep(pause() if callable(pause) else pause)
