"""All modules with handlers of a process: which may run, and who has them.

What a module's `start` opens and its `stop` closes is of all destinations with the same module,
`start` and `stop`, however many there are and however often their settings change.
"""

import asyncio
import sys
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Final, Self

from forebay.core.python_target import PythonTarget, is_module_allowed
from forebay_processor.destinations.python.handler_module import (
    STOP_SECONDS,
    HandlerModule,
    HandlerUnusable,
)

__all__ = ["PythonModules"]

MODULES: Final = 32
"""Modules that a process has at a time: each is a thread."""


class PythonModules:
    """All modules with handlers of this process."""

    def __init__(self, allowed: Iterable[str], path: Iterable[Path] = ()) -> None:
        """Prepare; nothing is imported before it is needed. Needs a running loop.

        Args:
            allowed: Modules that may be named; none, and every handler is refused.
            path: Folders in which they are searched after all others.
        """
        self._allowed = tuple(allowed)
        self._modules: dict[Hashable, HandlerModule] = {}
        self._ending: set[asyncio.Task[None]] = set()
        sys.path += [str(folder) for folder in path if str(folder) not in sys.path]

    def module(self, target: PythonTarget) -> HandlerModule:
        """Return the module of a handler; the caller uses it until `HandlerModule.let_go`.

        Raises:
            HandlerUnusable: where this installation does not let it run.
        """
        name = target.handler.partition(":")[0]
        if not is_module_allowed(name, self._allowed):
            message = (
                f"this processor does not run the module {name}: name it in processors."
                "pythonModules of the chart, or in FOREBAY_PROCESSOR_PYTHON_MODULES"
            )
            raise HandlerUnusable(message)
        key = (name, target.start, target.stop)
        module = self._modules.get(key)
        if module is None:
            if len(self._modules) >= MODULES:
                message = f"this processor runs {MODULES} modules already"
                raise HandlerUnusable(message)
            module = HandlerModule(target, self._allowed, lambda: self._end(key))
            self._modules[key] = module
        module.users += 1
        return module

    def _end(self, key: Hashable) -> None:
        """Stop a module that nobody uses."""
        module = self._modules.pop(key, None)
        if module is None:
            return
        task = asyncio.create_task(module.close(), name="python module's end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    @property
    def has_failed(self) -> bool:
        """Whether one could not be imported or started."""
        return any(module.has_failed for module in self._modules.values())

    async def close(self) -> None:
        """Stop all modules, and wait for them."""
        ends = [asyncio.create_task(module.close()) for module in self._modules.values()]
        self._modules.clear()
        if ends or self._ending:
            await asyncio.wait([*ends, *self._ending], timeout=STOP_SECONDS + 1)

    async def __aenter__(self) -> Self:
        """Import nothing."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self.close()
