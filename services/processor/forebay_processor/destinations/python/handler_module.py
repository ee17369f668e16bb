"""One module with handlers: imported once, with an event loop in a thread of its own.

What a processor does for others must not stand still because a handler does: a partition's lease
ends after seconds. So handlers run on loops of their own. One that blocks its loop holds up the
events of its own module, and is named in the log; so does one that is imported for long.

- `start` is called once before the first event, on that loop, `stop` once after the last one.
- A call that is given up is cancelled. One that does not end by that, or a thread, which nobody can
  end, counts as stuck until it does.
- What does not end at the end of the process is left: threads are daemons.

If the process dies, what was under way may have been done.
"""

import asyncio
import importlib
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final

import structlog

from forebay.core.python_target import PythonTarget, is_module_allowed
from forebay.handler import Event
from forebay.runtime.log_once import AGAIN_SECONDS, LogOnce
from forebay.runtime.logging import log_loop_errors
from forebay.runtime.periodic import periodically
from forebay.runtime.supervise import end_tasks
from forebay_processor.destinations.port import Trouble
from forebay_processor.destinations.python.handler_threads import HandlerThreads
from forebay_processor.destinations.python.import_failures import import_failure

__all__ = ["STOP_SECONDS", "HandlerModule", "HandlerUnusable"]

_log = structlog.get_logger(__name__)

START_SECONDS: Final = 60.0
"""For the import and `start`."""

STOP_SECONDS: Final = 8.0
"""For calls under way to end and for `stop`; less than what the chart gives a pod to end."""

THREADS: Final = 64
"""Of one module's plain functions, at most."""

PAUSE_SECONDS: Final = 1.0
"""After a start that failed, in which attempts fail by the same reason at once."""

STUCK_SECONDS: Final = 1.0
"""For a call that was cancelled to end."""

BEAT_SECONDS: Final = 0.25
BLOCKED_SECONDS: Final = 1.0
"""For which a loop may stand still before it is said."""


class HandlerUnusable(Exception):  # noqa: N818  # named for what it says
    """A handler cannot be called, whatever the event."""

    def __init__(self, reason: str, trouble: Trouble = Trouble.REFUSED) -> None:
        """Take what is reported."""
        super().__init__(reason)
        self.reason = reason
        self.trouble = trouble


class HandlerModule:
    """One module with its hooks, on a loop of its own."""

    def __init__(
        self, target: PythonTarget, allowed: Iterable[str], on_idle: Callable[[], None]
    ) -> None:
        """Prepare; nothing is imported before the first call.

        Args:
            target: Names the module, and its hooks.
            allowed: Modules that may run.
            on_idle: Called when no destination has it any more.
        """
        self.name = target.handler.partition(":")[0]
        self.users = 0
        """How many destinations have it."""

        self.has_failed = False
        """Whether it could not be imported or started."""

        self._on_idle = on_idle
        self._start_name, self._stop_name = target.start, target.stop
        self._allowed = tuple(allowed)
        self._threads = HandlerThreads(THREADS, f"handler-{self.name}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._module: ModuleType | None = None
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._failed: HandlerUnusable | None = None
        self._failed_at = 0.0
        self._is_started = False
        self._is_over = False
        self._under_way = 0
        """Calls that somebody waits for."""

        self._idle = asyncio.Event()
        """That there are none."""

        self._idle.set()

        self._stuck: set[_Call] = set()
        """Calls that were given up and go on."""

        self._asked_at: float | None = None
        self._blocked = LogOnce(AGAIN_SECONDS)

    async def call(self, function: str, event: Event) -> None:
        """Call a handler; whoever waits says for how long. Raises what it raises.

        Raises:
            HandlerUnusable: where there is none.
        """
        await self._ready()
        loop = self._loop
        handler = self._function(function)
        if loop is None or self._is_over:
            message = "the module has been stopped"
            raise HandlerUnusable(message, Trouble.DESTINATION)
        call = _Call()
        self._under_way += 1
        self._idle.clear()
        try:
            await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(self._called(call, handler, event), loop)
            )
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
            # In this order, and in `_end` in the other: one of both sees that it is over.
            call.owner = asyncio.get_running_loop()
            call.given_up_at = time.monotonic()
            call.is_given_up = True
            if not call.has_ended:
                self._stuck.add(call)

    @property
    def stuck(self) -> int:
        """How many calls were given up a while ago and go on."""
        if not self._stuck:
            return 0
        since = time.monotonic() - STUCK_SECONDS
        return sum(call.given_up_at <= since for call in self._stuck)

    def let_go(self) -> None:
        """Be used by one destination less; after the last one it is stopped."""
        self.users -= 1
        if not self.users:
            self._on_idle()

    async def close(self) -> None:
        """Let calls end, call `stop`, and end the loop; what does not end is left."""
        self._is_over = True
        if self._starting is not None:
            await asyncio.wait([self._starting], timeout=STOP_SECONDS)
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        has_ended = False
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._idle.wait()
                failed = await asyncio.wrap_future(
                    asyncio.run_coroutine_threadsafe(self._stop(), loop)
                )
                if failed:
                    _log.warning("handler_stop_failed", module=self.name, kind=failed)
                has_ended = await asyncio.wrap_future(
                    asyncio.run_coroutine_threadsafe(_end_tasks_of_loop(), loop)
                )
        except TimeoutError:
            has_ended = False
        if self._watching is not None:
            await end_tasks([self._watching])
        self._threads.close()
        if has_ended:
            loop.call_soon_threadsafe(loop.stop)
        else:
            # Its thread stays as long as the process: nobody can end it.
            _log.warning("handler_not_stopped", module=self.name)

    # -- in the processor's loop

    async def _ready(self) -> None:
        if self._is_started:
            return
        if self._starting is None:
            now = time.monotonic()
            if self._failed is not None and now - self._failed_at < PAUSE_SECONDS:
                raise HandlerUnusable(self._failed.reason, self._failed.trouble)
            self._starting = asyncio.create_task(self._start(), name="python module's start")
            self._starting.add_done_callback(self._note)
        # Others wait for the same one: it goes on though this one has no more time.
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()
            log_loop_errors(loop)
            self._thread = threading.Thread(
                target=_run, args=(loop,), name=f"handler-{self.name}", daemon=True
            )
            self._thread.start()
            self._watching = asyncio.create_task(
                periodically(self._watch, BEAT_SECONDS), name="python module's watch"
            )
        begun = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._begun(), self._loop))
        try:
            async with asyncio.timeout(START_SECONDS):
                await begun
        except TimeoutError as error:
            message = f"importing {self.name} or its `start` took more than {START_SECONDS:g} s"
            raise HandlerUnusable(message, Trouble.DESTINATION) from error
        self._is_started = True

    def _note(self, task: asyncio.Task[None]) -> None:
        self._starting = None
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, HandlerUnusable):
            self._failed, self._failed_at = error, time.monotonic()
            self.has_failed = True
            _log.warning("handler_not_started", module=self.name, reason=error.reason)

    def _function(self, name: str) -> Callable[[Any], Any]:
        function: Any = getattr(self._module, name, None)
        if not callable(function):
            message = f"{self.name} has no function {name}"
            raise HandlerUnusable(message)
        home = getattr(function, "__module__", self.name)
        if not isinstance(home, str) or not is_module_allowed(home, self._allowed):
            # A module's names are also those that it imports: `from os import system`.
            message = f"{name} is not of {self.name}, but of a module that may not run"
            raise HandlerUnusable(message)
        found: Callable[..., Any] = function
        return found

    def _watch(self) -> None:
        """Ask the loop for a sign of life, and say where it stands where none comes."""
        loop = self._loop
        if loop is None:
            return
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            loop.call_soon_threadsafe(self._beat)
        elif self._is_started and now - self._asked_at > BLOCKED_SECONDS and self._blocked.is_due():
            _log.warning(
                "handler_blocks_loop",
                module=self.name,
                place=self._place(),
                seconds=round(now - self._asked_at, 1),
            )

    def _place(self) -> str:
        """Return the line that the module's loop is at, and nothing of its data."""
        thread = self._thread
        frame = None if thread is None else _frames().get(thread.ident or 0)
        own = getattr(self._module, "__file__", None) or ""
        folder = str(Path(own).parent)
        found: FrameType | None = frame
        while found is not None and not found.f_code.co_filename.startswith(folder):
            found = found.f_back
        frame = found or frame
        if frame is None:
            return ""
        code = frame.f_code
        return f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}"

    # -- in the module's own loop

    def _beat(self) -> None:
        self._asked_at = None

    async def _begun(self) -> None:
        if self._module is None:
            try:
                self._module = importlib.import_module(self.name)
            except BaseException as error:
                raise HandlerUnusable(import_failure(self.name, error)) from error
        if self._start_name:
            start = self._function(self._start_name)
            try:
                await self._hook(start)
            except BaseException as error:
                message = f"{self._start_name} of {self.name} failed: {_named(error)}"
                raise HandlerUnusable(message, Trouble.DESTINATION) from error

    async def _hook(self, function: Callable[..., Any]) -> None:
        if inspect.iscoroutinefunction(function):
            await function()
        else:
            await self._threads.run(function)

    async def _called(self, call: "_Call", handler: Callable[[Any], Any], event: Event) -> None:
        is_in_thread = False
        try:
            if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
                getattr(handler, "__call__", None)  # noqa: B004  # an object that can be awaited
            ):
                await handler(event)
            else:
                is_in_thread = True
                made = await self._threads.run(lambda: self._in_thread(call, handler, event))
                if inspect.isawaitable(made):
                    await made
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            # They would end this loop.
            raise RuntimeError(type(error).__name__) from error
        finally:
            # One in a thread ends with its function, which may be long after it was given up.
            if not is_in_thread or not call.has_begun:
                self._end(call)

    def _in_thread(self, call: "_Call", handler: Callable[[Any], Any], event: Event) -> Any:  # noqa: ANN401  # what a handler returns
        call.has_begun = True
        try:
            return handler(event)
        finally:
            self._end(call)

    def _end(self, call: "_Call") -> None:
        call.has_ended = True
        if call.is_given_up and (owner := call.owner) is not None and not owner.is_closed():
            owner.call_soon_threadsafe(self._stuck.discard, call)

    async def _stop(self) -> str:
        """Call `stop`; returns the kind of what it raised."""
        if self._stop_name and self._is_started:
            try:
                await self._hook(self._function(self._stop_name))
            except BaseException as error:  # noqa: BLE001  # somebody's code
                return _named(error)
        return ""


class _Call:
    """A call under way, as both threads see it: each writes other fields."""

    __slots__ = ("given_up_at", "has_begun", "has_ended", "is_given_up", "owner")

    def __init__(self) -> None:
        self.has_begun = False
        """That a thread has begun it."""

        self.has_ended = False
        self.is_given_up = False
        self.given_up_at = 0.0
        self.owner: asyncio.AbstractEventLoop | None = None


async def _end_tasks_of_loop() -> bool:
    """Cancel what a module has left on its loop; says whether all of it ended."""
    own = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not own]
    for task in left:
        task.cancel()
    return not left or not (await asyncio.wait(left, timeout=1))[1]


_frames: Final = sys._current_frames  # noqa: SLF001  # documented, and the only way
"""Where each thread is."""


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _named(error: BaseException) -> str:
    """Return an error's kind, bounded; its text may hold anything."""
    return type(error).__name__[:64]
