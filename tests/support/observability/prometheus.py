"""A real Prometheus: it scrapes what it is told to, with the chart's own rules."""

import asyncio
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from support.cluster.rules import prometheus_program
from support.observability.prometheus_api import ASK_SECONDS, PrometheusApi
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.timing.wait import eventually

__all__ = ["JOBS", "Prometheus", "Target"]

READY_SECONDS: Final = 30.0

JOBS: Final = "webhooks/acme-forebay-"
"""What jobs of PodMonitors begin with, in the release that rules are rendered for."""


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


class Prometheus(PrometheusApi):
    """A process with its data in a folder that outlives a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = free_port()
        super().__init__(f"http://{HOST}:{self.port}")
        self._program = Program("prometheus", folder / "prometheus.log")

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
        await self.open()
        await eventually(self._is_up, within=READY_SECONDS, saying="prometheus to be ready")

    async def stop(self) -> None:
        """End it; the data stays."""
        await self.close()
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

    async def _is_up(self) -> bool:
        self._program.check()
        return await self.is_ready()
