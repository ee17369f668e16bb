"""All of Forebay as a user starts it: `forebay run`, and `forebay simulate` against it."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from support.inputs.corpus import APP_SECRET
from support.inputs.tables import PATH
from support.programs.ports import HOST, free_ports
from support.programs.program import Program
from support.receiver.raw_http import RawResponse, exchange, request_bytes
from support.timing.wait import eventually

__all__ = ["LocalRun", "manifest"]

READY_SECONDS = 20.0
LEAVE_SECONDS = 40.0


def manifest(
    destination: dict[str, Any], secrets: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """Return the manifest of endpoint `demo/meta` with one destination, and its secrets."""
    secret = {"secretKeyRef": {"name": "meta", "key": "app-secret"}}
    documents = (
        {
            "apiVersion": "forebay.dev/v1alpha1",
            "kind": "WebhookEndpoint",
            "metadata": {"namespace": "demo", "name": "meta"},
            "spec": {
                "provider": "meta",
                # Room for 1,000 webhooks a second at one receiver process.
                "throughput": {"messagesPerSecond": 1000},
                "authentication": {"signature": {"secrets": [secret]}},
                "destinations": [destination],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": "demo", "name": "meta"},
            "stringData": {"app-secret": APP_SECRET},
        },
        *(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": "demo", "name": name},
                "stringData": dict(values),
            }
            for name, values in (secrets or {}).items()
        ),
    )
    # JSON is YAML, too.
    return "\n---\n".join(json.dumps(document) for document in documents)


class LocalRun:
    """`forebay run --quiet` as a process, on one manifest; port and data outlive a restart."""

    def __init__(
        self,
        folder: Path,
        destination: dict[str, Any],
        secrets: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write the manifest; nothing runs before `start` or `async with`."""
        self.port, self.admin_port, self.processor_admin_port = free_ports(3)
        self.folder = folder
        self.data = folder / "data"
        self._manifest = folder / "endpoint.yaml"
        self._manifest.write_text(manifest(destination, secrets))
        self._program = Program("forebay run", folder / "run.log")

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://{HOST}:{self.port}{PATH}"

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._program.running

    def processes(self) -> list[psutil.Process]:
        """Return its process and all that it started."""
        own = psutil.Process(self._program.pid)
        return [own, *own.children(recursive=True)]

    async def start(self) -> None:
        """Start it and wait until receiver and processor are ready."""
        self._program.launch(
            [
                *(sys.executable, "-m", "forebay", "run", "--quiet"),
                *("--file", str(self._manifest), "--data-dir", str(self.data)),
                *("--port", str(self.port), "--admin-port", str(self.admin_port)),
                *("--processor-admin-port", str(self.processor_admin_port)),
            ],
            cwd=self.folder,
        )
        await eventually(self._is_ready, within=READY_SECONDS, saying="forebay run to be ready")

    async def interrupt(self) -> int:
        """Press Ctrl-C, wait, and return the exit status."""
        return await self._program.end(signal.SIGINT, within=LEAVE_SECONDS)

    async def metrics(self, part_port: int) -> str:
        """Return the metrics of the part with this admin port."""
        return (await _get(part_port, "/metrics")).body.decode()

    async def simulate(self, *options: str) -> dict[str, Any]:
        """Run `forebay simulate --json` against it and return its last line."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "forebay", "simulate", "--json"),
            *("--url", self.url, "--provider", "meta", "--secret", APP_SECRET, *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        result: dict[str, Any] = json.loads(output.decode().splitlines()[-1])
        return result

    def logged(self, event: str) -> Sequence[dict[str, Any]]:
        """Return the processor's records of one event."""
        log = self.data / "logs" / "processor.log"
        lines = log.read_text().splitlines() if log.exists() else []
        records = [json.loads(line) for line in lines if line[:1] == "{"]
        return [record for record in records if record.get("event") == event]

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it in order if it is still there."""
        if self.running:
            await self._program.end(signal.SIGTERM, within=LEAVE_SECONDS)

    async def _is_ready(self) -> bool:
        self._program.check()
        try:
            for port in (self.admin_port, self.processor_admin_port):
                if (await _get(port, "/readyz")).status != 200:
                    return False
        except (OSError, EOFError):
            return False
        return True


async def _get(port: int, path: str) -> RawResponse:
    return await exchange(port, request_bytes("GET", path, headers={"Connection": "close"}))
