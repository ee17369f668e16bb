"""The parts as processes of their own, started as a container starts them: by environment."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from prometheus_client.parser import text_string_to_metric_families

from support.programs.nursery import nursery_in_use
from support.programs.ports import HOST, free_ports
from support.programs.program import Program
from support.receiver.raw_http import RawResponse, exchange, request_bytes
from support.timing.wait import eventually

__all__ = ["READY_SECONDS", "Part", "PartKind"]

PartKind = Literal["receiver", "processor", "api"]

READY_SECONDS = 20.0
"""How long a part may take until it is ready. It takes about one; the rest is for a machine of two
cores on which other tests' processes run."""

LEAVE_SECONDS = 30.0
"""How long a part may take to leave after SIGTERM: above the longest drain time that tests set."""


class Part:
    """`forebay receiver`, `processor` or `api`, one process at a time, with its log in a file.

    Restarting keeps ports and settings. A line of level error in the log fails the test that
    started the part, unless the test said with `expect_errors` that it would come.
    """

    def __init__(
        self,
        kind: PartKind,
        *,
        folder: Path,
        nats_url: str,
        table_dir: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a part; nothing runs before `start`.

        Args:
            kind: Which part.
            folder: Where its log goes, and in which it runs.
            nats_url: Where it finds NATS.
            table_dir: Where it finds its table.
            settings: Further settings, by name of the environment variable.
        """
        self.kind = kind
        self.port, self.admin_port = free_ports(2)
        folder.mkdir(parents=True, exist_ok=True)
        self._program = Program(f"the {kind}", folder / f"{kind}-{self.admin_port}.log")
        self._folder = folder
        self._settings = {
            "FOREBAY_NATS_URL": nats_url,
            "FOREBAY_TABLE_DIR": str(table_dir),
            "FOREBAY_SHARDS": "0",
            "FOREBAY_LOG_LEVEL": "info",
            "FOREBAY_LOG_FORMAT": "json",
            **self._own_settings(),
            **(settings or {}),
        }
        self.launcher: tuple[str, ...] = ("-m", "forebay")
        """What Python is started with, before the part's name."""

        self._expected: set[str] = set()
        self._expects_all = False

    # Starting and ending

    async def start(self, *, until_ready: bool = True) -> None:
        """Start the process and, unless asked not to, wait until it says that it is ready."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FOREBAY_", "OTEL_"))
        }
        self._program.launch_python(
            [*self.launcher, self.kind, *(["serve"] if self.kind == "api" else [])],
            cwd=self._folder,
            environment={**inherited, "PYTHONSAFEPATH": "1", **self._settings},
            nursery=nursery_in_use(),
        )
        if until_ready:
            await self.wait_ready()

    async def wait_ready(self, *, within: float = READY_SECONDS) -> None:
        """Wait until `/readyz` answers 200; fails at once where the process has ended."""
        await eventually(self.ready, within=within, saying=f"the {self.kind} to be ready")

    async def terminate(self) -> int:
        """Ask the process to leave (SIGTERM), wait, and return its exit status."""
        return await self._program.end(signal.SIGTERM, within=LEAVE_SECONDS)

    async def kill(self) -> None:
        """End the process as a crash would (SIGKILL)."""
        await self._program.end(signal.SIGKILL, within=LEAVE_SECONDS)

    async def close(self) -> None:
        """End the process in order if it is still there: no part outlives its test."""
        if self.running:
            await self._program.end(signal.SIGTERM, within=LEAVE_SECONDS)

    def send(self, which: signal.Signals) -> None:
        """Send a signal and do not wait for what it does."""
        self._program.send(which)

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP)."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    # What is seen from outside

    @property
    def log(self) -> Path:
        """The file with the part's log."""
        return self._program.log

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._program.running

    @property
    def pid(self) -> int:
        """The process id of the running part."""
        return self._program.pid

    @property
    def status(self) -> int | None:
        """The exit status of the process that ran last; None while it runs."""
        return self._program.status

    def url(self, path: str = "/") -> str:
        """Return an address that the provider would call (receiver only)."""
        return f"http://{HOST}:{self.port}{path}"

    async def admin(self, path: str) -> RawResponse:
        """Ask the part's port for operators, such as `/readyz`."""
        request = request_bytes("GET", path, headers={"Connection": "close"})
        return await exchange(self.admin_port, request)

    async def ready(self) -> bool:
        """Say whether `/readyz` answers 200; a process that has ended is an error."""
        self._program.check()
        try:
            return (await self.admin("/readyz")).status == 200
        except (OSError, EOFError):
            return False

    async def follows(self, file: str, generation: str) -> None:
        """Wait until the part says that this generation of a file of its table is in force."""

        async def is_in_force() -> bool:
            answer = json.loads((await self.admin("/routes")).body)
            return bool(answer["generations"].get(file) == generation)

        await eventually(is_in_force, saying=f"{file} to be in force at the {self.kind}")

    async def metric(self, name: str, **labels: str) -> float:
        """Return a sample of `/metrics`: the sum over all that have these labels, else 0."""
        text = (await self.admin("/metrics")).body.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def tail(self) -> str:
        """Return the last lines of the log."""
        return self._program.tail()

    def logged(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the log's records, of one event or of all."""
        records = [
            record for line in self._program.lines() if (record := _record(line)) is not None
        ]
        return [each for each in records if event is None or each.get("event") == event]

    # Errors

    def expect_errors(self, *events: str) -> None:
        """Say that records of level error are part of the test: these events, or all of them."""
        self._expects_all = self._expects_all or not events
        self._expected.update(events)

    def unexpected_errors(self) -> list[str]:
        """Return lines of level error that nobody expected, and what is no record at all.

        A traceback or a warning of the interpreter is printed around the log: it is an error too.
        """
        if self._expects_all:
            return []
        return [line for line in self._program.lines() if line.strip() and not self._is_fine(line)]

    def _is_fine(self, line: str) -> bool:
        record = _record(line)
        if record is None:
            return False
        bad = str(record.get("level", "")).lower() in {"error", "critical"}
        return not bad or record.get("event") in self._expected

    def _own_settings(self) -> dict[str, str]:
        prefix = f"FOREBAY_{self.kind.upper()}"
        own = {f"{prefix}_ADMIN_HOST": HOST, f"{prefix}_ADMIN_PORT": str(self.admin_port)}
        if self.kind == "processor":
            # As shipped nothing private may be reached; the tests' destinations are all here.
            return own | {f"{prefix}_ALLOWED_NETWORKS": "127.0.0.0/8"}
        own |= {f"{prefix}_HOST": HOST, f"{prefix}_PORT": str(self.port)}
        if self.kind == "receiver":
            # As shipped it waits 5 s for load balancers; there are none here.
            own |= {f"{prefix}_DRAIN_SECONDS": "0.2"}
        return own


def _record(line: str) -> dict[str, Any] | None:
    """Read one line of a JSON log; None where it is something else."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
