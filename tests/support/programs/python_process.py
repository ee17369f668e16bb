"""A run of Python from its start to its end: what it printed, and how it ended."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from support.programs.nursery import Child, nursery_in_use
from support.timing.wait import eventually

__all__ = ["Ended", "PythonProcess", "python"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The lines of JSON on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, Any]:
        """The one line of JSON on stdout."""
        (only,) = self.records
        return only


class PythonProcess:
    """A process that was started; it comes from the nursery where there is one."""

    def __init__(
        self, process: "subprocess.Popen[bytes] | Child", out: IO[bytes], err: IO[bytes]
    ) -> None:
        """Take the process and the files into which it prints."""
        self._process = process
        self._out = out
        self._err = err

    @property
    def returncode(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def send_signal(self, which: int) -> None:
        """Send a signal and do not wait for what it does."""
        self._process.send_signal(which)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def printed(self) -> tuple[str, str]:
        """Return what stands on stdout and on stderr so far, while it runs."""
        return _so_far(self._out), _so_far(self._err)

    async def ended(self, *, within: float = 30.0) -> Ended:
        """Wait until it has ended by itself; one that does not in time is killed."""
        try:
            await eventually(
                lambda: self.returncode is not None, within=within, saying="the process to end"
            )
        finally:
            if self.returncode is None:
                self.kill()
        return self.outcome()

    def outcome(self) -> Ended:
        """Wait until it has ended, in a test without a loop; pytest's own limit is the only one."""
        code = self._process.wait()
        with self._out, self._err:
            for file in (self._out, self._err):
                file.seek(0)
            return Ended(code=code, out=self._out.read().decode(), err=self._err.read().decode())


def _so_far(file: IO[bytes]) -> str:
    # Not by seeking: the process writes at the same place in the same file.
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode()


def python(
    *arguments: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stderr: int | None = None,
) -> PythonProcess:
    """Start what `python ARGUMENTS` would.

    Args:
        arguments: Such as `-m`, `forebay`, `--help`, or a file and its arguments.
        cwd: Where it runs; here by default.
        environment: All of it; that of the tests by default.
        stderr: A descriptor of the test's own for what it prints there.
    """
    # Open until the outcome is read.
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    whole = {**(os.environ if environment is None else environment), "PYTHONSAFEPATH": "1"}
    where = cwd or Path.cwd()
    shown = err.fileno() if stderr is None else stderr
    nursery = nursery_in_use()
    process: subprocess.Popen[bytes] | Child
    if nursery is None:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=where,
            env=whole,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=shown,
        )
    else:
        with Path(os.devnull).open("rb") as nothing:
            process = nursery.start(
                arguments,
                cwd=where,
                environment=whole,
                descriptors=(nothing.fileno(), out.fileno(), shown),
            )
    return PythonProcess(process, out, err)
