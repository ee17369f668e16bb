"""What is polled beside a test, until the test has left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar, Protocol, TypeVar

__all__ = ["Poller", "following"]


class Poller(Protocol):
    """Something that has to be polled to be up to date."""

    pause: ClassVar[float]
    """Seconds between two polls."""

    async def poll(self) -> None:
        """Poll once."""


AnyPoller = TypeVar("AnyPoller", bound=Poller)


@contextlib.asynccontextmanager
async def following(poller: AnyPoller) -> AsyncIterator[AnyPoller]:
    """Poll it at once, and after each pause for as long as the block lasts."""
    ended = asyncio.Event()

    async def follow() -> None:
        while not ended.is_set():
            await poller.poll()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poller.pause):
                    await ended.wait()

    polling = asyncio.create_task(follow())
    try:
        yield poller
    finally:
        ended.set()
        await polling
