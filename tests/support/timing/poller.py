"""What is looked at again and again beside a test, until the test has left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar, Protocol, TypeVar

__all__ = ["Poller", "following"]


class Poller(Protocol):
    """Something that has to be looked at to be up to date."""

    pause: ClassVar[float]
    """Seconds between two looks."""

    async def look(self) -> None:
        """Look once."""


AnyPoller = TypeVar("AnyPoller", bound=Poller)


@contextlib.asynccontextmanager
async def following(poller: AnyPoller) -> AsyncIterator[AnyPoller]:
    """Let it look at once, and after each pause for as long as the block lasts."""
    ended = asyncio.Event()

    async def follow() -> None:
        while not ended.is_set():
            await poller.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poller.pause):
                    await ended.wait()

    looking = asyncio.create_task(follow())
    try:
        yield poller
    finally:
        ended.set()
        await looking
