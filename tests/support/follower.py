"""What is looked at again and again beside a test, until the test has left."""

import abc
import asyncio
import contextlib
from types import TracebackType
from typing import ClassVar, Self

__all__ = ["Follower"]


class Follower(abc.ABC):
    """Looks as soon as it is entered, and from then on after each pause."""

    pause: ClassVar[float]
    """Seconds between two looks."""

    def __init__(self) -> None:
        """Prepare; nothing is looked at before it is entered."""
        self._ended = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def look(self) -> None:
        """Look once."""

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more."""
        self._ended.set()
        if self._following is not None:
            await self._following

    async def _follow(self) -> None:
        while not self._ended.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pause):
                    await self._ended.wait()
