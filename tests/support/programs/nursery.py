"""Processes of Python that begin with everything imported: forks of one that imported it once.

A part's imports are most of what its start costs: more than half a second of the processor, where
the rest is a tenth. This module, run as a program, is the process that forks. `NurseryProcess`
starts it, once for all workers of a run; each `Nursery` is a connection to it, served by a fork of
its own, which it asks for children. A child is a process like any other: own id, environment,
folder and output, ended by signals, and it runs what `python ARGUMENTS` would. What it does not
show is that an import is missing or slow: tests of that start an interpreter of their own, as the
levels above `component` do with every part.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["Child", "Nursery", "NurseryProcess", "in_use", "nursery_in_use", "python_path"]

PRELOADED: Final = (
    "forebay.cli.main",
    "forebay_api.main",
    "forebay_processor.main",
    "forebay_receiver.main",
    "forebay_receiver.handlers.admin",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "forebay_simulator.terminal",
    "forebay.cli.printers.dead_printer",
    "forebay.local.find_running_nats",
    "forebay.runtime.jetstream.command_client",
    "forebay.runtime.dead_letter_replay",
    "rich.console",
    "typer.rich_utils",
)
"""What the children find imported."""

_STATUS = struct.Struct("!i")

_START_SECONDS = 60.0
"""How long the first answer may take: it comes after the imports."""


def python_path() -> str:
    """Return a PYTHONPATH with the tests' own folder: what helps them runs as a process too."""
    given = os.environ.get("PYTHONPATH")
    own = str(Path(__file__).parents[2])
    return own if not given else f"{own}{os.pathsep}{given}"


class Child:
    """A process that a nursery started; what `subprocess.Popen` offers, as far as it is used."""

    def __init__(self, nursery: "Nursery", pid: int, status: int) -> None:
        """Take the process' id, and the end of a pipe through which its exit status will come."""
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._status = status

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            found = os.read(self._status, _STATUS.size)
            os.close(self._status)
            if not found:
                message = f"the nursery of process {self.pid} is gone"
                raise AssertionError(message)
            self.returncode = os.waitstatus_to_exitcode(_STATUS.unpack(found)[0])
        return self.returncode

    def wait(self) -> int:
        """Wait for its end, and return the exit status."""
        if self.returncode is None:
            select.select([self._status], [], [])
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, which: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, which)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def has_stopped(self) -> bool:
        """Say whether all its threads stand still by SIGSTOP; said once."""
        return self._nursery.has_stopped(self.pid)


class NurseryProcess:
    """The process that imports once, and forks; it ends with the block, and all that it started."""

    def __init__(self, preloaded: Sequence[str] = PRELOADED) -> None:
        """Prepare; the process starts with `with`, and imports while the tests go on."""
        self._preloaded = preloaded
        self._folder = tempfile.TemporaryDirectory(prefix="forebay-nursery-")
        self._process: subprocess.Popen[bytes] | None = None
        self._life: socket.socket | None = None
        """The process ends when this is closed, however that comes about."""

    @property
    def address(self) -> str:
        """The path of the socket where it listens; connections wait until it has imported."""
        return f"{self._folder.name}/socket"

    def __enter__(self) -> Self:
        """Start the process, and do not wait for it."""
        self._life, theirs = socket.socketpair()
        with socket.socket(socket.AF_UNIX) as listener, theirs:
            listener.bind(self.address)
            listener.listen()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    *(str(each.fileno()) for each in (listener, theirs)),
                    *self._preloaded,
                ],
                pass_fds=[listener.fileno(), theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": python_path()},
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and what it started."""
        if self._life is not None and self._process is not None:
            self._life.close()
            self._process.wait()
        self._folder.cleanup()


class Nursery:
    """A connection to the process that forks."""

    def __init__(self, address: str) -> None:
        """Prepare to connect to the socket at `address` with `with`."""
        self._address = address
        self._channel: socket.socket | None = None

    def start(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        descriptors: tuple[int, int, int],
    ) -> Child:
        """Start what `python ARGUMENTS` would; the descriptors are its stdin, stdout and stderr."""
        ours, theirs = os.pipe()
        try:
            wanted = {
                "arguments": list(arguments),
                "cwd": str(cwd),
                "environment": dict(environment),
            }
            pid = self._ask(wanted, [*descriptors, theirs])
        finally:
            os.close(theirs)
        return Child(self, pid, ours)

    def has_stopped(self, pid: int) -> bool:
        """Say whether a child has stopped: the kernel reports it to its parent, once."""
        return bool(self._ask({"stopped": pid}))

    def _ask(self, question: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int:
        assert self._channel is not None
        data = json.dumps(question).encode()
        socket.send_fds(self._channel, [struct.pack("!I", len(data))], descriptors)
        self._channel.sendall(data)
        return int(_STATUS.unpack(_read(self._channel, _STATUS.size))[0])

    def __enter__(self) -> Self:
        """Connect, and do not wait for an answer."""
        self._channel = socket.socket(socket.AF_UNIX)
        self._channel.settimeout(_START_SECONDS)
        self._channel.connect(self._address)
        return self

    def __exit__(self, *_: object) -> None:
        """End all children that are left."""
        if self._channel is not None:
            self._channel.close()


_in_use: list[Nursery] = []


def nursery_in_use() -> Nursery | None:
    """Return the nursery from which parts are to come, where there is one."""
    return _in_use[-1] if _in_use else None


@contextlib.contextmanager
def in_use(address: str) -> Iterator[Nursery]:
    """Let parts come from the nursery at `address` within the block."""
    with Nursery(address) as nursery:
        _in_use.append(nursery)
        try:
            yield nursery
        finally:
            _in_use.remove(nursery)


# What follows runs in the process that forks.


def _read(channel: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class _Parent:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._pipes: dict[int, int] = {}
        """By process id, where its exit status is awaited."""

        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)

    def serve(self) -> list[str] | None:
        """Fork as often as asked; returns in a child, with its arguments, and None at the end."""
        # Whoever ends the tests from the keyboard ends this by closing the channel.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        while True:
            channel = self._channel.fileno()
            ready, _, _ = select.select([channel, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if channel not in ready:
                continue
            head, descriptors, _, _ = socket.recv_fds(self._channel, 4, 4)
            if not head:
                for pid in self._pipes:
                    os.kill(pid, signal.SIGKILL)
                return None
            length = struct.unpack("!I", head + _read(self._channel, 4 - len(head)))[0]
            question = json.loads(_read(self._channel, length))
            if "stopped" in question:
                self._answer(self._has_stopped(question["stopped"]))
            elif self._is_child_of_fork(descriptors[3]):
                _become(question, descriptors)
                return list(question["arguments"])
            else:
                for each in descriptors[:3]:
                    os.close(each)

    def _is_child_of_fork(self, status: int) -> bool:
        """Fork; returns True in the child, and in the parent what becomes of it is noted."""
        pid = os.fork()
        if pid == 0:
            self._leave()
            return True
        self._pipes[pid] = status
        self._answer(pid)
        return False

    def _answer(self, number: int) -> None:
        self._channel.sendall(_STATUS.pack(number))

    def _reap(self) -> None:
        for pid in list(self._pipes):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._report_end(pid, status)

    def _report_end(self, pid: int, status: int) -> None:
        pipe = self._pipes.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # nobody asks any more
            os.write(pipe, _STATUS.pack(status))
        os.close(pipe)

    def _has_stopped(self, pid: int) -> bool:
        if pid not in self._pipes:
            return False
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and not os.WIFSTOPPED(status):
            self._report_end(pid, status)
        return bool(found) and os.WIFSTOPPED(status)

    def _leave(self) -> None:
        """In a child: let go of what is the parent's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for each in (self._woken, self._wakes, *self._pipes.values()):
            os.close(each)
        self._channel.close()


def _become(question: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """In a child: be the process that was asked for, up to its arguments."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(question["cwd"])
    os.environ.clear()
    os.environ.update(question["environment"])
    gc.enable()


def _run(arguments: list[str]) -> None:
    """Do what `python ARGUMENTS` does."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def _end(ended: SystemExit) -> None:
    """Leave without taking apart what was imported, which would take as long as the start.

    What the program itself left behind is taken apart, and complains as it does at an exit. Who
    has threads or words for the end takes the usual way.
    """
    if threading.active_count() > 1 or not isinstance(ended.code, int | None):
        raise ended
    code = ended.code or 0
    ended.__traceback__ = None
    atexit._run_exitfuncs()  # noqa: SLF001  # there is no public way
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _connection(listener: socket.socket, life: socket.socket) -> socket.socket | None:
    """Fork for each connection: returns it in the child, and None at the end of the run."""
    # Whoever ends the tests from the keyboard ends this by closing the other end of `life`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a connection's process ended
    while True:
        ready, _, _ = select.select([listener, life], [], [])
        if life in ready:
            return None
        channel, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            life.close()
            return channel
        channel.close()


def _main(listener: int, life: int, preloaded: Sequence[str]) -> None:
    for each in preloaded:
        importlib.import_module(each)
    # What is there is there to stay: looking at it would copy its pages into every child.
    gc.collect()
    gc.freeze()
    gc.disable()
    channel = _connection(socket.socket(fileno=listener), socket.socket(fileno=life))
    if channel is None:
        return
    arguments = _Parent(channel).serve()
    if arguments is None:
        return
    try:
        _run(arguments)
    except SystemExit as ended:
        _end(ended)


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
