"""An event loop whose time a test turns: what waits for a time is run at once, in its order."""

import asyncio
import selectors
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from typing_extensions import override

from forebay.core.clock import Clock

__all__ = ["TurnedClock", "TurnedLoop"]

_T = TypeVar("_T")


class _Selector(selectors.DefaultSelector):
    """Sees what is ready now; where nothing is, the time passes that would have been waited."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    @override
    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if timeout is None and not ready:
            message = "everything waits for something that does not come"
            raise AssertionError(message)
        if not ready and timeout is not None and timeout > 0:
            self.passed += timeout
        return ready


class TurnedLoop(asyncio.SelectorEventLoop):
    """A loop in which no time passes but what is waited for."""

    def __init__(self) -> None:
        self._turned = _Selector()
        super().__init__(self._turned)

    @override
    def time(self) -> float:
        return 1000.0 + self._turned.passed

    def turn(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run something to its end."""
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(work)
        finally:
            asyncio.set_event_loop(None)

    @override
    def close(self) -> None:
        """End what is under way, as `asyncio.run` does, then the loop."""
        left = [] if self.is_closed() else asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self.turn(_ended(left))
        super().close()


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


class TurnedClock(Clock):
    """Both clocks of a machine, by the loop's time."""

    def __init__(self, loop: TurnedLoop) -> None:
        self._loop = loop

    @override
    def wall(self) -> float:
        return 1.8e9 + self._loop.time()

    @override
    def monotonic(self) -> float:
        return self._loop.time()
