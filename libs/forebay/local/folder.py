"""The data folder of `forebay run`: what stands where, and that only one run uses it.

nats/                     JetStream's store: keep it, and a later run goes on where this ended
nats-server.conf          written at each start
tables/receiver/          what the receiver reads (with secrets: for the owner's eyes only)
tables/processor/         what the processor reads (the same)
logs/                     one file for each part; a full one is kept once, as `<name>.1`
run.json                  of the run that is there: what `forebay status` asks
lock                      held by the run and its nats-server
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from forebay.core.errors import ConfigurationError

__all__ = ["DataFolder", "last_line", "owner_of", "write_private"]

LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""A log that grew beyond this is put aside; the one before it goes. A line is about 250 bytes."""

_TAIL_BYTES: Final = 8 * 1024
_LINE_LIMIT: Final = 400

ORPHAN_SECONDS: Final = 10.0
"""How long the parts of a run that was killed may take to end: they are stopped at once, and a
store that two nats-servers write to is lost."""


class DataFolder:
    """A data folder that this run has for itself until it is closed."""

    def __init__(self, root: Path) -> None:
        """Name the folder; `open` makes it."""
        self.root = root.absolute()
        self._lock: int | None = None

    @property
    def store(self) -> Path:
        """JetStream's store."""
        return self.root / "nats"

    @property
    def nats_config(self) -> Path:
        """The configuration of the embedded nats-server."""
        return self.root / "nats-server.conf"

    @property
    def receiver_tables(self) -> Path:
        """What the receiver reads."""
        return self.root / "tables" / "receiver"

    @property
    def processor_tables(self) -> Path:
        """What the processor reads."""
        return self.root / "tables" / "processor"

    @property
    def logs(self) -> Path:
        """The parts' logs."""
        return self.root / "logs"

    @property
    def lock(self) -> int:
        """The open file that holds the lock: a process that inherits it holds it too."""
        if self._lock is None:
            message = "the data folder is not open"
            raise RuntimeError(message)
        return self._lock

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.logs / f"{part}.log"

    def open(self) -> None:
        """Make what is missing and take the lock.

        Raises:
            ConfigurationError: where the folder cannot be written, or another run has it.
        """
        try:
            for path in (
                self.root,
                self.store,
                self.receiver_tables.parent,
                self.receiver_tables,
                self.processor_tables,
                self.logs,
            ):
                # Webhooks and secrets are in there.
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                _check_writable(path)
            # No one means to commit any of it.
            (self.root / ".gitignore").write_text("*\n", encoding="utf-8")
            self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = (
                f"the data folder {self.root} cannot be written ({reason}): "
                "choose another one with --data-dir"
            )
            raise ConfigurationError(message) from error
        try:
            self._take_lock(self._lock)
        except ConfigurationError:
            self.close()
            raise

    def close(self) -> None:
        """Let another run have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def put_full_logs_aside(self) -> None:
        """Copy each log that is too long and empty it; its writer appends and goes on."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT_BYTES:
                shutil.copyfile(log, log.with_name(f"{log.name}.1"))
                os.truncate(log, 0)

    def __enter__(self) -> Self:
        """Open the folder."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the folder."""
        self.close()

    def _take_lock(self, lock: int) -> None:
        deadline = time.monotonic() + ORPHAN_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = _written_owner(lock)
                if _is_alive(owner) or time.monotonic() > deadline:
                    message = (
                        f"another `forebay run` (process {owner or 'unknown'}) uses {self.root}: "
                        "stop it, or choose another folder with --data-dir"
                    )
                    raise ConfigurationError(message) from None
                time.sleep(0.05)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def owner_of(root: Path) -> str | None:
    """Return the process id of the run that has a data folder; None where none has it."""
    try:
        lock = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, and for a moment only: a run that starts meanwhile tries again.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written_owner(lock) or "unknown"
    except OSError:
        return None
    finally:
        os.close(lock)
    return None


def _written_owner(lock: int) -> str:
    """Return the process id that stands in a lock's file; empty where none does."""
    return os.pread(lock, 32, 0).decode(errors="replace").strip()


def _check_writable(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder):
        pass


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    return True


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, at once: a reader sees the old one or the new."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def last_line(log: Path) -> str:
    """Return the last line of a log that says anything, cut short; empty where there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    texts = [line.strip() for line in lines if line.strip()]
    return texts[-1][:_LINE_LIMIT] if texts else ""
