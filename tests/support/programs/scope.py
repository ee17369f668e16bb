"""What a test enters as one thing, of several that have to end in the reverse order."""

import contextlib
from types import TracebackType
from typing import Self

__all__ = ["Scope"]


class Scope:
    """Enters what `_enter` names, and leaves all of it where one of them fails, or in the end."""

    def __init__(self) -> None:
        """Prepare; nothing runs before `async with`."""
        self._cleanup = contextlib.AsyncExitStack()

    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start what belongs to it, and leave it to `cleanup` to end that."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Start everything."""
        async with contextlib.AsyncExitStack() as cleanup:
            await self._enter(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything, what was started last first."""
        await self._cleanup.__aexit__(kind, error, trace)
