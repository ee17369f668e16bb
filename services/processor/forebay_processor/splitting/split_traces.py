"""The spans of a split: the webhook's, and one for each item, which its deliveries stand below.

Only of webhooks that were drawn at their receipt; of others one that is set aside is recorded, when
that is known. If the process dies, the spans are lost; the webhook comes again, and is recorded
then under the same trace.
"""

from collections.abc import Mapping

from forebay.core import envelope
from forebay.core.subjects import RawSubject, StreamKind, stream_name
from forebay.core.trace_context import TraceContext, parse_traceparent
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay.runtime.tracing import SpanRecord, Tracer, endpoint_attributes, message_attributes

__all__ = ["SplitTrace", "begin_split", "failed_split"]


class SplitTrace:
    """One webhook's split, while it is under way."""

    __slots__ = ("_began", "_context", "_items", "_parent_id", "_tracer")

    def __init__(self, tracer: Tracer, above: TraceContext) -> None:
        self._tracer = tracer
        self._context = TraceContext(above.trace_id, tracer.draw_span_id(), is_sampled=True)
        self._parent_id = above.span_id
        self._began = tracer.now()
        self._items = 0

    def of_item(self) -> str:
        """Return the `traceparent` that an item is stored with."""
        return self._context._replace(span_id=self._tracer.draw_span_id()).header

    def stored(
        self,
        subject: RawSubject,
        headers: Mapping[str, str],
        began: float,
        kind: str,
        outcome: str,
    ) -> None:
        """Record an item that is stored, or was before.

        Args:
            subject: Its webhook's.
            headers: Its own, with its `traceparent`.
            began: When its wave was sent, in seconds since the epoch.
            kind: What it is.
            outcome: What became of it.
        """
        context = parse_traceparent(headers.get(envelope.TRACEPARENT))
        if context is None:
            return
        self._items += 1
        stream = stream_name(StreamKind.EVENTS, subject.shard)
        self._tracer.record(
            SpanRecord(
                f"publish {stream}",
                "producer",
                context,
                self._context.span_id,
                began,
                self._tracer.now(),
                {
                    **endpoint_attributes(subject.endpoint),
                    **message_attributes("publish", stream),
                    "forebay.lane": subject.lane.value,
                    "forebay.kind": kind,
                    "forebay.outcome": outcome,
                },
            )
        )

    def ended(self, subject: RawSubject, message: PulledMessage, reason: str | None) -> None:
        """Record the webhook.

        Args:
            subject: Its own.
            message: It.
            reason: Why it was set aside; None where it was split.
        """
        stream = stream_name(StreamKind.RAW, subject.shard)
        failed = {} if reason is None else {"error.type": str(reason)}
        self._tracer.record(
            SpanRecord(
                f"split {stream}",
                "consumer",
                self._context,
                self._parent_id,
                self._began,
                self._tracer.now(),
                {
                    **endpoint_attributes(subject.endpoint),
                    **message_attributes("split", stream),
                    "forebay.lane": subject.lane.value,
                    "forebay.sequence": message.sequence,
                    "forebay.items": self._items,
                    "forebay.redelivered": message.delivered > 1,
                    **failed,
                },
                None if reason is None else str(reason),
            )
        )


def begin_split(tracer: Tracer, headers: Mapping[str, str]) -> SplitTrace | None:
    """Return what records a webhook; None where it was not drawn."""
    text = headers.get(envelope.TRACEPARENT)
    if text is None or not text.endswith("-01"):
        return None
    context = parse_traceparent(text)
    return None if context is None else SplitTrace(tracer, context)


def failed_split(tracer: Tracer, headers: Mapping[str, str]) -> SplitTrace | None:
    """Return what records a webhook that was not drawn, now that it is set aside."""
    context = parse_traceparent(headers.get(envelope.TRACEPARENT))
    if context is None or not tracer.may_record():
        return None
    return SplitTrace(tracer, context)
