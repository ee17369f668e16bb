"""Spans over gRPC, by OpenTelemetry's exporter, to a server of gRPC's own."""

import asyncio
from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from typing_extensions import override

from forebay.core.trace_context import TraceContext
from forebay.runtime.span_export import otlp_sink
from forebay.runtime.tracing import OtlpEndpoint, SpanRecord
from support.programs.ports import HOST, free_port
from support.traces.otlp_collector import spans_of
from support.traces.spans import Seen


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes all."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []

    @override
    def Export(self, request: Any, context: Any) -> Any:
        """Keep what came."""
        del context
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += spans_of("", scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()


async def test_a_span_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    collector, port = Collector(), free_port()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    register = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    register(collector, server)  # type: ignore[no-untyped-call]  # it is generated
    server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{HOST}:{port}")
    sink = otlp_sink(OtlpEndpoint("grpc"), "processor", 10)
    context = TraceContext("5" * 32, "6" * 16, is_sampled=True)
    sink.add(SpanRecord("deliver", "client", context, "7" * 16, 1.0, 2.0, {"a": "b"}, "500"))
    await asyncio.to_thread(sink.shutdown)
    server.stop(None).wait()
    assert dict(sink.counts()) == {"exported": 1, "failed": 0, "dropped": 0}
    (span,) = collector.spans
    assert (span.trace_id, span.span_id, span.parent_id) == ("5" * 32, "6" * 16, "7" * 16)
    assert (span.start, span.end, span.attributes) == (1.0, 2.0, {"a": "b"})
    assert span.is_error
