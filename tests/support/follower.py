"""What is looked at again and again beside a test, until the test has left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar, Protocol, TypeVar

__all__ = ["Follower", "following"]


class Follower(Protocol):
    """Something that has to be looked at to be up to date."""

    pause: ClassVar[float]
    """Seconds between two looks."""

    async def look(self) -> None:
        """Look once."""


AnyFollower = TypeVar("AnyFollower", bound=Follower)


@contextlib.asynccontextmanager
async def following(follower: AnyFollower) -> AsyncIterator[AnyFollower]:
    """Let it look at once, and after each pause for as long as the block lasts."""
    ended = asyncio.Event()

    async def follow() -> None:
        while not ended.is_set():
            await follower.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(follower.pause):
                    await ended.wait()

    looking = asyncio.create_task(follow())
    try:
        yield follower
    finally:
        ended.set()
        await looking
