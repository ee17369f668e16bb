"""One part as a process: started, started again when it dies, stopped in order."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forebay.core.errors import ForebayError
from forebay.local import exec_wrapper
from forebay.local.folder import last_line
from forebay.runtime.process_start import RELOAD_STATUS

__all__ = ["Child", "Command", "PartFailed"]

EARLY_SECONDS: Final = 3.0
"""A part that dies within this time of its start died of something that is still there."""

EARLY_DEATHS: Final = 3
"""So many early deaths in a row end the run: trying again would only fill the log."""

CALM_SECONDS: Final = 60.0
"""A part that lived so long starts again after the shortest delay."""

RESTART_DELAYS: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)


class PartFailed(ForebayError):  # noqa: N818  # named for what happened
    """A part that does not stay up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start."""

    name: str
    """As people call the part: `receiver`."""

    arguments: tuple[str, ...]
    """The program's full path and its arguments."""

    environment: Mapping[str, str]
    log: Path
    niceness: int = 0
    """How far it gives way to others."""

    keep_open: tuple[int, ...] = ()
    """Open files that it inherits."""


class Child:
    """Keeps one process up; `run` is its one task."""

    def __init__(self, command: Command, warn: Callable[[str], None]) -> None:
        """Prepare a part; nothing starts before `run`.

        Args:
            command: What to start.
            warn: Takes a line for a person whenever the part died.
        """
        self._command = command
        self._warn = warn
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self.restarts = 0

    @property
    def name(self) -> str:
        """As people call the part."""
        return self._command.name

    @property
    def pid(self) -> int | None:
        """The process id; None where no process is running."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    async def run(self) -> None:
        """Keep the part up until it is asked to stop.

        Raises:
            PartFailed: where it dies again and again.
        """
        loop = asyncio.get_running_loop()
        early = deaths = 0
        while not self._stopping.is_set():
            begun = loop.time()
            self._process = await self._start()
            if self._stopping.is_set():  # asked while it was being started
                self._send(signal.SIGTERM)
            code = await self._process.wait()
            if self._stopping.is_set():
                return
            if code == RELOAD_STATUS:
                self._warn(f"{self.name} has new code of yours: starting it again")
                self.restarts += 1
                continue
            lived = loop.time() - begun
            early = early + 1 if lived < EARLY_SECONDS else 0
            deaths = deaths + 1 if lived < CALM_SECONDS else 0
            said = last_line(self._command.log)
            if early >= EARLY_DEATHS:
                message = (
                    f"{self.name} ended {early} times right after its start ({_described(code)}), "
                    f"see {self._command.log}; its last line: {said or '(none)'}"
                )
                raise PartFailed(message)
            delay = RESTART_DELAYS[min(max(deaths - 1, 0), len(RESTART_DELAYS) - 1)]
            self._warn(f"{self.name} ended ({_described(code)}); starting it again in {delay:g} s")
            self.restarts += 1
            await self._rest(delay)

    async def stop(self, within: float) -> None:
        """Ask the part to end, wait for it, and end it by force when its time is over."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                await process.wait()
        except TimeoutError:
            self._warn(f"{self.name} did not end within {within:g} s: it is killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End the part at once."""
        self._stopping.set()
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _start(self) -> asyncio.subprocess.Process:
        command = self._command
        with command.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",  # exec_wrapper.py needs the standard library only
                "-S",
                exec_wrapper.__file__,
                str(os.getpid()),
                str(command.niceness),
                *command.arguments,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the run: it stops the parts in order.
                start_new_session=True,
                pass_fds=command.keep_open,
            )

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


def _described(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
