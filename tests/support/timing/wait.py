"""Wait for a condition instead of sleeping: the only place in the tests that lets time pass."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

__all__ = ["POLL_SECONDS", "eventually"]

POLL_SECONDS = 0.02
"""Pause between two checks of a condition: short against what is waited for (a process, an item),
long enough to leave the machine's two cores to the processes under test."""

Seen = TypeVar("Seen")


@overload
async def eventually(
    condition: Callable[[], Awaitable[Seen]], *, within: float = ..., saying: str = ...
) -> Seen: ...
@overload
async def eventually(
    condition: Callable[[], Seen], *, within: float = ..., saying: str = ...
) -> Seen: ...
async def eventually(
    condition: Callable[[], object], *, within: float = 10.0, saying: str = ""
) -> object:
    """Check a condition until it is true, and return what it then was.

    Args:
        condition: A function or coroutine function without arguments; what it raises is passed on,
            so it has to answer for itself where "not yet" shows as an error.
        within: Seconds after which the wait is given up.
        saying: What is waited for, for the message.

    Raises:
        AssertionError: with the last value seen, when the time is over.
    """
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        seen = await answer if inspect.isawaitable(answer) else answer
        if seen:
            return seen
        if time.monotonic() > deadline:
            what = saying or getattr(condition, "__qualname__", "the condition")
            message = f"waited {within:g} s in vain for {what}; last seen: {seen!r}"
            raise AssertionError(message)
        await asyncio.sleep(POLL_SECONDS)
