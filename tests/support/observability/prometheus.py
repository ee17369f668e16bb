"""A real Prometheus: it scrapes what it is told to, with the chart's own rules."""

import asyncio
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import yaml

from support.cluster.rules import prometheus_program
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.timing.wait import eventually

__all__ = ["JOBS", "Prometheus", "Target"]

READY_SECONDS: Final = 30.0

ASK_SECONDS: Final = 20.0

JOBS: Final = "webhooks/acme-forebay-"
"""What jobs of PodMonitors begin with, in the release that rules are rendered for."""

Samples = list[dict[str, Any]]
"""Series with their values, as Prometheus' API returns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where metrics are read, and of which pod they are."""

    part: str
    """`receivers`, `processors` or `operator`."""

    pod: str
    port: int

    @property
    def labels(self) -> dict[str, str]:
        """What Prometheus adds to each series, as a PodMonitor has it."""
        return {
            "job": f"{JOBS}{self.part}",
            "pod": self.pod,
            "instance": f"{HOST}:{self.port}",
        }


class Prometheus:
    """A process with its data in a folder that outlives a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = free_port()
        self._program = Program("prometheus", folder / "prometheus.log")
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def configure(
        self, targets: Iterable[Target], groups: Sequence[Mapping[str, Any]], *, every: str
    ) -> None:
        """Write what to scrape and which rules to evaluate; read at the next start.

        Args:
            targets: Parts.
            groups: Rules, as a PrometheusRule has them.
            every: Between two scrapes, and two evaluations of each group: those that look back over
                days are evaluated as often as others, or a test would wait for them.
        """
        (self.folder / "rules.yaml").write_text(
            yaml.safe_dump({"groups": [{**group, "interval": every} for group in groups]})
        )
        jobs: dict[str, list[Target]] = {}
        for target in targets:
            jobs.setdefault(target.labels["job"], []).append(target)
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {
                    "job_name": job,
                    # As the chart's PodMonitors: `namespace` is the endpoint's.
                    "honor_labels": True,
                    "static_configs": [
                        {"targets": [each.labels["instance"]], "labels": {"pod": each.pod}}
                        for each in of_job
                    ],
                }
                for job, of_job in jobs.items()
            ],
        }
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(config))

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._program.launch(
            [
                prometheus_program("prometheus"),
                f"--config.file={self.folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={self.data}",
                "--storage.tsdb.retention.time=60d",
                f"--web.listen-address={HOST}:{self.port}",
                "--log.level=warn",
            ],
            cwd=self.folder,
        )
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_SECONDS))
        await eventually(self._is_ready, within=READY_SECONDS, saying="prometheus to be ready")

    async def stop(self) -> None:
        """End it; the data stays."""
        if self._session is not None:
            await self._session.close()
        if self._program.running:
            await self._program.end(signal.SIGTERM, within=READY_SECONDS)

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
        """End it."""
        await self.stop()

    async def query(self, expr: str, *, at: float | None = None) -> Samples:
        """Return what a query says of an instant; an error of Prometheus fails the test."""
        asked = {"query": expr} | ({} if at is None else {"time": str(at)})
        data = await self._ask("query", asked)
        assert data["resultType"] == "vector", expr
        found: Samples = data["result"]
        return found

    async def query_range(self, expr: str, *, since: float, to: float, step: float) -> Samples:
        """Return what a query says of each step in a range of seconds since 1970."""
        asked = {"query": expr, "start": str(since), "end": str(to), "step": str(step)}
        found: Samples = (await self._ask("query_range", asked))["result"]
        return found

    async def rules(self) -> Samples:
        """Return every rule as Prometheus has it, with its health and last error."""
        groups = (await self._ask("rules", {}))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def targets(self) -> Samples:
        """Return what it scrapes."""
        found: Samples = (await self._ask("targets", {}))["activeTargets"]
        return found

    async def take_blocks(self, *arguments: str) -> None:
        """Have promtool make blocks out of something, in the folder of the data.

        They are seen after the next start.
        """
        run = await asyncio.to_thread(
            subprocess.run,
            [prometheus_program("promtool"), "tsdb", "create-blocks-from", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=ASK_SECONDS * 2,
        )
        assert run.returncode == 0, run.stdout + run.stderr

    async def _ask(self, what: str, asked: Mapping[str, str]) -> dict[str, Any]:
        assert self._session is not None, "not started"
        async with (
            self._session.post(f"{self.url}/api/v1/{what}", data=asked)
            if asked
            else (self._session.get(f"{self.url}/api/v1/{what}")) as answer
        ):
            body = await answer.json()
        assert body["status"] == "success", f"{asked}: {body}"
        data: dict[str, Any] = body["data"]
        return data

    async def _is_ready(self) -> bool:
        self._program.check()
        assert self._session is not None
        try:
            async with self._session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
