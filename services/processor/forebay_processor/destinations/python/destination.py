"""Destination `python`: each item as a typed event, handed to a function in this process.

| what the handler does | what follows |
| --- | --- |
| it returns | delivered |
| it raises `Reject` | rejected: a dead letter at once |
| it raises `Retry(after=..)` | tried again, not before that |
| it raises anything else, or does not return in time | tried again |
| it cannot be imported, or may not run here | the destination refuses us |
"""

import asyncio
import math
from typing import Final

import structlog

from forebay.core.answer_excerpt import answer_excerpt
from forebay.core.python_target import PythonTarget
from forebay.handler import Reject, Retry
from forebay.runtime.fault_place import place_of
from forebay.runtime.log_once import AGAIN_SECONDS, LogOnce
from forebay_processor.destinations.cloudevents import event_of
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)
from forebay_processor.destinations.python.handler_module import HandlerModule, HandlerUnusable
from forebay_processor.destinations.python.modules import PythonModules
from forebay_processor.destinations.retry_after import RETRY_AFTER_LIMIT

__all__ = ["PythonDestination"]

_log = structlog.get_logger(__name__)

SAID_BYTES: Final = 1024
"""Of a reason that are looked at."""


class PythonDestination:
    """Calls one handler."""

    def __init__(self, target: PythonTarget, modules: PythonModules) -> None:
        """Prepare; nothing raises here: each attempt reports what is wrong with the settings.

        Args:
            target: Which handler, and for how long.
            modules: What runs it.
        """
        self._target = target
        self._modules = modules
        self._function = target.handler.partition(":")[2]
        self._module: HandlerModule | None = None
        self._is_closed = False
        self._raised = LogOnce(AGAIN_SECONDS)

    async def deliver(self, attempt: Attempt) -> Result:
        """Call the handler once."""
        try:
            module = self._used()
        except HandlerUnusable as error:
            return Failed(error.reason, trouble=error.trouble)
        if module.stuck >= self._target.max_in_flight:
            return Failed(
                f"{module.stuck} calls did not return in time and go on: the handler needs time "
                "limits of its own",
                trouble=Trouble.DESTINATION,
            )
        limit = asyncio.timeout(self._target.timeout_seconds)
        try:
            async with limit:
                await module.call(self._function, event_of(attempt))
        except TimeoutError as error:
            # The handler may raise one of its own, too.
            return Failed("timeout") if limit.expired() else self._of_error(error)
        except HandlerUnusable as error:
            return Failed(error.reason, trouble=error.trouble)
        except Reject as error:
            return Rejected("the handler rejects it", _said(error.reason))
        except Retry as error:
            return Failed(
                "the handler asks to try again", _seconds(error.after), said=_said(error.reason)
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return Failed("the handler raised CancelledError")
        except Exception as error:  # noqa: BLE001  # somebody's code: whatever it raises
            return self._of_error(error)
        return Delivered()

    def close(self) -> None:
        """Stop the module, where no other uses it; attempts that are under way go on."""
        if not self._is_closed:
            self._is_closed = True
            if self._module is not None:
                self._module.let_go()

    def _used(self) -> HandlerModule:
        if self._module is None:
            if self._is_closed:
                message = "the destination has changed"
                raise HandlerUnusable(message, Trouble.DESTINATION)
            self._module = self._modules.module(self._target)
        return self._module

    def _of_error(self, error: Exception) -> Result:
        if self._raised.is_due(place := place_of(error)):
            _log.warning("handler_raised", handler=self._target.handler, place=place)
        return Failed(f"the handler raised {type(error).__name__[:64]}")


def _seconds(after: object) -> float:
    if not isinstance(after, int | float) or not math.isfinite(after):
        return 0.0
    return min(max(float(after), 0.0), RETRY_AFTER_LIMIT)


def _said(reason: object) -> str:
    if not isinstance(reason, str):
        return ""
    return answer_excerpt(reason[:SAID_BYTES].encode("utf-8", "replace"))
