"""The queue of spans before a collector: bounded, counted, and never waited for."""

import os
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from typing_extensions import override

import forebay
from forebay.core.errors import ConfigurationError
from forebay.core.trace_context import TraceContext
from forebay.runtime.span_export import OtlpSink
from forebay.runtime.tracing import OtlpEndpoint, SpanRecord, otlp_endpoint

CONTEXT = TraceContext("5" * 32, "6" * 16, is_sampled=False)
LINK = TraceContext("7" * 32, "8" * 16, is_sampled=True)


def span(text: str = "short") -> SpanRecord:
    """Return a span of an item that failed."""
    return SpanRecord(
        "deliver", "client", CONTEXT, "9" * 16, 1.5, 2.5, {"forebay.text": text}, "500", (LINK,)
    )


class Held(SpanExporter):
    """A collector that answers when it is let."""

    def __init__(self, result: SpanExportResult) -> None:
        self.result = result
        self.gate = threading.Event()

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.gate.wait(30)
        return self.result

    @override
    def shutdown(self) -> None:
        self.gate.set()


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def test_a_span_keeps_its_ids_times_and_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=pod-1")
    memory = InMemorySpanExporter()
    sink = OtlpSink(memory, "receiver", 10)
    sink.add(span("x" * 10_000))
    sink.shutdown()
    (sent,) = memory.get_finished_spans()
    assert sent.context is not None
    assert sent.parent is not None
    assert f"{sent.context.trace_id:032x}" == CONTEXT.trace_id
    assert f"{sent.context.span_id:016x}" == CONTEXT.span_id
    assert f"{sent.parent.span_id:016x}" == "9" * 16
    assert (sent.start_time, sent.end_time) == (1_500_000_000, 2_500_000_000)
    assert (sent.kind, sent.status.status_code) == (SpanKind.CLIENT, StatusCode.ERROR)
    (link,) = sent.links
    assert f"{link.context.trace_id:032x}" == LINK.trace_id
    assert sent.attributes is not None
    assert sent.attributes["forebay.text"] == "x" * 256
    resource = sent.resource.attributes
    assert resource["service.name"] == "forebay-receiver"
    assert resource["service.version"] == forebay.__version__
    assert resource["k8s.pod.name"] == "pod-1"


def test_a_name_that_was_set_goes_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "edge")
    memory = InMemorySpanExporter()
    sink = OtlpSink(memory, "receiver", 10)
    sink.add(span())
    sink.shutdown()
    (sent,) = memory.get_finished_spans()
    assert sent.resource.attributes["service.name"] == "edge"


@pytest.mark.parametrize(
    ("result", "outcome"),
    [(SpanExportResult.SUCCESS, "exported"), (SpanExportResult.FAILURE, "failed")],
)
def test_what_finds_no_room_is_dropped_and_counted(result: SpanExportResult, outcome: str) -> None:
    held = Held(result)
    sink = OtlpSink(held, "processor", 20)
    for _ in range(500):
        sink.add(span())
    counts = sink.counts()
    assert (counts["exported"], counts["failed"], counts["dropped"]) == (0, 0, 480)
    held.gate.set()
    sink.shutdown()
    assert dict(sink.counts()) == {"exported": 0, "failed": 0, "dropped": 480} | {outcome: 20}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, OtlpEndpoint("http/protobuf")),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, OtlpEndpoint("http/protobuf")),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            OtlpEndpoint("grpc"),
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            OtlpEndpoint("http/protobuf"),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_the_standards_variables_say_whether_and_how(
    environ: dict[str, str], expected: OtlpEndpoint | None
) -> None:
    assert otlp_endpoint(environ) == expected


def test_a_protocol_that_is_not_known_is_refused_in_a_sentence() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
    }
    with pytest.raises(ConfigurationError, match="say grpc or http/protobuf"):
        otlp_endpoint(environ)
