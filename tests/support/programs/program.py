"""A program that a test starts, signals and ends: what nats-server and our parts have in common."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.programs.nursery import Child, Nursery
from support.programs.ports import HOST
from support.timing.wait import eventually

__all__ = ["Program"]

_LOG_TAIL = 40

_STOP_SECONDS = 1.0
"""How long to wait for a process to stand still; one that did before is not reported again."""


class Program:
    """One process at a time, its output in a file that outlives it."""

    def __init__(self, name: str, log: Path) -> None:
        """Say what the program is called in messages, and where its output goes."""
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | Child | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; an error where the process is not there."""
        return self._there().pid

    @property
    def status(self) -> int | None:
        """The exit status of the process that ran last; None while it runs."""
        return None if self._process is None else self._process.poll()

    def launch(
        self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start the process; returns before it has done anything."""
        self._check_free()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def launch_python(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        nursery: Nursery | None,
    ) -> None:
        """Start what `python ARGUMENTS` would: from a nursery, if there is one."""
        if nursery is None:
            self.launch([sys.executable, *arguments], cwd=cwd, environment=environment)
            return
        self._check_free()
        with self.log.open("ab") as log, Path(os.devnull).open("rb") as nothing:
            self._process = nursery.start(
                arguments,
                cwd=cwd,
                environment=environment,
                descriptors=(nothing.fileno(), log.fileno(), log.fileno()),
            )

    def check(self) -> None:
        """Raise AssertionError, with the end of the output, where the process is not there."""
        self._there()

    async def wait_listening(self, port: int, *, within: float = 10.0) -> None:
        """Wait until something listens on a port of this machine; an error where it has ended."""

        async def listens() -> bool:
            self.check()
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens, within=within, saying=f"{self.name} to listen")

    def send(self, which: signal.Signals) -> None:
        """Send a signal and do not wait for what it does, but for a process that is to stand still.

        SIGSTOP reaches the threads on other cores a moment later: what they answer in that moment
        would come from a process that its test believes frozen.
        """
        process = self._there()
        os.kill(process.pid, which)
        if which is signal.SIGSTOP:
            deadline = time.monotonic() + _STOP_SECONDS
            while not _stands_still(process) and time.monotonic() < deadline:
                time.sleep(0.001)

    async def end(self, how: signal.Signals, *, within: float) -> int:
        """Send a signal that ends the process, wait until it did, and return its exit status.

        One that does not leave in time is killed, and that is an error.
        """
        process = self._there()
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a frozen one would never get to it
        try:
            await eventually(
                lambda: process.poll() is not None, within=within, saying=f"{self.name} to end"
            )
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        code = process.returncode
        assert code is not None
        return code

    def lines(self) -> list[str]:
        """Return what the program printed so far."""
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def tail(self) -> str:
        """Return the last lines that the program printed."""
        return "\n".join(self.lines()[-_LOG_TAIL:])

    def _check_free(self) -> None:
        if self.running:
            message = f"{self.name} is running already"
            raise AssertionError(message)

    def _there(self) -> subprocess.Popen[bytes] | Child:
        if self._process is None:
            message = f"{self.name} was not started"
            raise AssertionError(message)
        if self._process.poll() is not None:
            message = (
                f"{self.name} has ended with status {self._process.returncode}; "
                f"its last lines:\n{self.tail()}"
            )
            raise AssertionError(message)
        return self._process


def _stands_still(process: subprocess.Popen[bytes] | Child) -> bool:
    """Say whether all threads of a process have stopped; the kernel reports that once."""
    if isinstance(process, Child):
        return process.has_stopped()
    return os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)[0] == process.pid
