"""Sends spans by OTLP: with `otlp_http` all that knows OpenTelemetry. Imported when traces are on.

The SDK's `BatchSpanProcessor` has a queue and a thread of its own, and its exporters their timeout
(`OTEL_EXPORTER_OTLP_TIMEOUT`), repeats and TLS; they read the standard's variables. What the SDK
would drop without a word is counted here: never more than `queue_spans` are handed to it and not
yet sent.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from typing_extensions import override

import forebay
from forebay.core.errors import ConfigurationError
from forebay.core.trace_context import TraceContext
from forebay.runtime.log_once import LogOnce
from forebay.runtime.otlp_http import OtlpHttpExporter
from forebay.runtime.tracing import OtlpEndpoint, SpanOutcome, SpanRecord

__all__ = ["OtlpSink", "otlp_sink"]

_log = structlog.get_logger(__name__)

BATCH_SPANS: Final = 256
"""Spans in one request: half a MiB."""

DELAY_MILLIS: Final = 1000.0
"""Between two requests, where there is less than a batch."""

TEXT_LIMIT: Final = 256
"""Characters of an attribute's text."""

LINK_LIMIT: Final = 32
"""Links of one span."""

SAY_AGAIN_SECONDS: Final = 60.0
"""Between two lines in the log on a collector that takes nothing."""

_KINDS: Final = {
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class _Counting(SpanExporter):
    """Counts what became of spans; called on the SDK's thread."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = LogOnce(SAY_AGAIN_SECONDS)
        self.exported = self.failed = 0

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is SpanExportResult.SUCCESS:
                self.exported += len(spans)
            else:
                self.failed += len(spans)
                if self._failing.is_due():
                    _log.warning("spans_not_exported", spans=len(spans))
        return result

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()


class OtlpSink:
    """A queue of spans in front of an exporter."""

    def __init__(self, exporter: SpanExporter, part: str, queue_spans: int) -> None:
        self._exporter = _Counting(exporter)
        self._queue_spans = queue_spans
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=queue_spans,
            schedule_delay_millis=DELAY_MILLIS,
            max_export_batch_size=min(BATCH_SPANS, queue_spans),
        )
        # What the chart and whoever runs it say (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) goes
        # before what is known here.
        self._resource = Resource(
            {"service.name": f"forebay-{part}", "service.version": forebay.__version__}
        ).merge(_told_by_environment())
        self._scope = InstrumentationScope("forebay", forebay.__version__)
        self._handed = self._dropped = 0

    def add(self, span: SpanRecord) -> None:
        """Take a span, unless there is no room."""
        if self._handed - self._exporter.exported - self._exporter.failed >= self._queue_spans:
            self._dropped += 1
            return
        self._handed += 1
        self._processor.on_end(self._readable(span))

    def counts(self) -> Mapping[SpanOutcome, int]:
        """Return what became of spans so far."""
        return {
            "exported": self._exporter.exported,
            "failed": self._exporter.failed,
            "dropped": self._dropped,
        }

    def shutdown(self) -> None:
        """Send what is left."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK says nothing of it

    def _readable(self, span: SpanRecord) -> ReadableSpan:
        own = span.context
        parent = None if span.parent_id is None else own._replace(span_id=span.parent_id)
        status = Status() if span.error is None else Status(StatusCode.ERROR, _cut(span.error))
        return ReadableSpan(
            name=span.name,
            context=_context(own),
            parent=None if parent is None else _context(parent, is_remote=True),
            resource=self._resource,
            attributes={
                name: _cut(value) if isinstance(value, str) else value
                for name, value in span.attributes.items()
            },
            links=[Link(_context(each, is_remote=True)) for each in span.links[:LINK_LIMIT]],
            kind=_KINDS[span.kind],
            status=status,
            start_time=int(span.start * 1e9),
            end_time=int(max(span.end, span.start) * 1e9),
            instrumentation_scope=self._scope,
        )


def _told_by_environment() -> Resource:
    """Return what the environment says of the process, without the SDK's own default name."""
    attributes = dict(Resource.create().attributes)
    if str(attributes.get("service.name", "")).startswith("unknown_service"):
        del attributes["service.name"]
    return Resource(attributes)


def _context(context: TraceContext, *, is_remote: bool = False) -> SpanContext:
    # What comes here is recorded, whatever was drawn.
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _cut(text: str) -> str:
    return text[:TEXT_LIMIT]


def otlp_sink(endpoint: OtlpEndpoint, part: str, queue_spans: int) -> OtlpSink:
    """Return the queue before an exporter of a protocol.

    Raises:
        ConfigurationError: where the exporter cannot be set up by the environment.
    """
    # Its lines have texts of others, and one for each request that fails; ours is `_Counting`'s.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        return OtlpSink(_exporter(endpoint), part, queue_spans)
    except (OSError, ValueError) as error:
        message = f"OTEL_EXPORTER_OTLP_* cannot be used: {type(error).__name__}"
        raise ConfigurationError(message) from error


def _exporter(endpoint: OtlpEndpoint) -> SpanExporter:
    if endpoint.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,  # 10 MB that HTTP does not need
        )

        return OTLPSpanExporter()
    return OtlpHttpExporter()
