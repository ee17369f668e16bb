"""A collector of traces for one test: takes OTLP over HTTP, as protobuf, and keeps what came."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typing_extensions import override

from support.programs.ports import HOST, free_port
from support.programs.scope import Scope
from support.timing.wait import eventually
from support.traces.spans import Seen, Trace

__all__ = ["OtlpCollector", "spans_of"]

_ERROR = 2
"""`STATUS_CODE_ERROR`."""


class OtlpCollector(Scope):
    """Answers on `/v1/traces`."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.status = 200
        self.requests: list[bytes] = []
        """What was taken, as it came."""

        self.spans: list[Seen] = []
        self.resources: list[dict[str, object]] = []

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://{HOST}:{self.port}"

    def trace(self, trace_id: str) -> Trace:
        """Return what came of a trace."""
        return Trace(span for span in self.spans if span.trace_id == trace_id)

    async def wait_for(self, is_enough: Callable[[], object], saying: str) -> None:
        """Wait until that came."""
        await eventually(is_enough, within=20, saying=saying)

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.post("/v1/traces", self._take)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        cleanup.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, self.port).start()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.status != 200:
            return web.Response(status=self.status)
        self.requests.append(body)
        exported = ExportTraceServiceRequest.FromString(body)
        for each in exported.resource_spans:
            resource = _attributes(each.resource.attributes)
            self.resources.append(resource)
            for scope in each.scope_spans:
                self.spans += spans_of(str(resource.get("service.name")), scope.spans)
        return web.Response(body=b"", content_type="application/x-protobuf")


def spans_of(service: str, spans: Iterable[Any]) -> list[Seen]:
    """Read spans of OTLP's own messages."""
    return [
        Seen(
            service=service,
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            start=span.start_time_unix_nano / 1e9,
            end=span.end_time_unix_nano / 1e9,
            attributes=_attributes(span.attributes),
            links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
            is_error=span.status.code == _ERROR,
        )
        for span in spans
    ]


def _attributes(pairs: Iterable[Any]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
