"""Tests on the loop that a processor has, which fail where an error reached it."""

import asyncio
import functools
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from forebay.runtime.event_loop import PartLoop

__all__ = ["LOOPS", "on", "on_a_processors_loop"]

Made = TypeVar("Made")

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "uvloop": PartLoop,
    "asyncio": asyncio.new_event_loop,
}
"""The processor's, and the one that most tests have."""


def on(loop: str, work: Coroutine[Any, Any, Made]) -> Made:
    """Run something on one of the loops, and return what it made."""
    reported: list[dict[str, Any]] = []

    async def watched() -> Made:
        asyncio.get_running_loop().set_exception_handler(lambda _, error: reported.append(error))
        made = await work
        # What nobody asked for is reported when it is garbage.
        gc.collect()
        await asyncio.sleep(0)
        return made

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        made = runner.run(watched())
    assert reported == []
    return made


def on_a_processors_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test there."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        on("uvloop", test(*arguments, **named))

    return run
