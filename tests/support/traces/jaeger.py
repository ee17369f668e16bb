"""A real Jaeger for one test, where its program is on the machine (`cluster build tracing`)."""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from typing_extensions import override

from support.programs.ports import free_ports
from support.programs.program import Program
from support.programs.scope import Scope
from support.receiver.raw_http import RawResponse, exchange, request_bytes
from support.timing.wait import eventually
from support.traces.spans import Seen, Trace

__all__ = ["MISSING", "Jaeger", "jaeger_program"]

_CONFIG = Path(__file__).parents[4] / "shared" / "cluster" / "manifests" / "jaeger.yaml"

MISSING = "no program `jaeger` and its settings: ../shared/cluster/cluster build tracing"


def jaeger_program() -> tuple[str, Path] | None:
    """Return the program and its settings; None where one of them is missing."""
    built = Path.home() / ".cache" / "cluster" / "bin" / "jaeger"
    program = str(built) if built.exists() else shutil.which("jaeger")
    config = Path(os.environ.get("FOREBAY_JAEGER_CONFIG", _CONFIG))
    return None if program is None or not config.exists() else (program, config)


class Jaeger(Scope):
    """Jaeger 2 with its traces in memory."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.grpc_port, self.http_port, self._query_port, self._query_grpc = free_ports(4)
        self._program = Program("jaeger", folder / "jaeger.log")
        self._folder = folder

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        found = jaeger_program()
        assert found is not None, MISSING
        program, config = found
        ports = {
            "OTLP_GRPC_PORT": self.grpc_port,
            "OTLP_HTTP_PORT": self.http_port,
            "JAEGER_QUERY_PORT": self._query_port,
            "JAEGER_QUERY_GRPC_PORT": self._query_grpc,
        }
        self._program.launch(
            [program, "--config", str(config)],
            cwd=self._folder,
            environment={**os.environ, **{name: str(port) for name, port in ports.items()}},
        )
        cleanup.push_async_callback(self._close)
        await eventually(self._is_ready, within=20, saying="jaeger to be ready")

    async def _close(self) -> None:
        await self._program.end(signal.SIGTERM, within=20)

    async def trace(self, trace_id: str) -> Trace:
        """Return what is stored of a trace."""
        answer = await self._get(f"/api/traces/{trace_id}")
        if answer.status != 200:
            return Trace([])
        return Trace(_seen(found) for found in _spans(json.loads(answer.body)))

    async def services(self) -> set[str]:
        """Return the names of all services."""
        return set(json.loads((await self._get("/api/services")).body)["data"] or ())

    async def _get(self, path: str) -> RawResponse:
        request = request_bytes("GET", path, headers={"Connection": "close"})
        return await exchange(self._query_port, request)

    async def _is_ready(self) -> bool:
        self._program.check()
        try:
            return (await self._get("/api/services")).status == 200
        except (OSError, EOFError):
            return False


def _spans(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for trace in answer["data"]:
        for span in trace["spans"]:
            process = trace["processes"][span["processID"]]
            found.append({**span, "serviceName": process["serviceName"]})
    return found


def _seen(span: dict[str, Any]) -> Seen:
    """Read a span of Jaeger's own JSON: times in microseconds, links among its references."""
    attributes = {tag["key"]: tag["value"] for tag in span["tags"]}
    above = [
        each
        for each in span["references"]
        if each["refType"] == "CHILD_OF" and each["traceID"] == span["traceID"]
    ]
    return Seen(
        service=span["serviceName"],
        name=span["operationName"],
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=above[0]["spanID"] if above else "",
        start=span["startTime"] / 1e6,
        end=(span["startTime"] + span["duration"]) / 1e6,
        attributes=attributes,
        links=tuple(
            (each["traceID"], each["spanID"]) for each in span["references"] if each not in above
        ),
        is_error=attributes.get("error") is True,
    )
