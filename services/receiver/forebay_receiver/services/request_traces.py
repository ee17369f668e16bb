"""The spans of requests: which webhooks are traced, and what is recorded of them.

For `intake` only. At a webhook's receipt one string is made, its `traceparent`: the trace, the id
of the span by which it is stored, and whether it was drawn. It is stored with the webhook, and is
all that the parts behind need. The spans themselves are made once it is answered.

A sender has no say in what is traced, unless `trust_incoming` says that a gateway stands for what
comes: its own trace is linked to, and not continued, or one sender could put everything into one
trace and have all of it recorded. Requests to no endpoint and those with wrong credentials are
never recorded.

If the process dies, spans are lost and nothing else.
"""

from typing import Final, Protocol

from forebay.core.trace_context import TraceContext, parse_traceparent
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.tracing import SpanRecord, Tracer, endpoint_attributes, message_attributes
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import STATUS_OF, Reason
from forebay_receiver.services.routes import ServedEndpoint
from forebay_receiver.services.store_reasons import reason_of

__all__ = ["RequestTraces", "TracedWebhook"]

REQUEST: Final = "POST webhook"
"""A span's name is one of few: paths can be anything, and some hold what nobody should see."""

_SAMPLED: Final = "-01"
_UNAVAILABLE: Final = 503
_GIVEN_BYTES: Final = 55
"""Of a `traceparent`; another length is not read."""


class TracedWebhook(Protocol):
    """What is to be known of a webhook that was stored, or was not."""

    endpoint: ServedEndpoint
    trace: str
    given: bytes | None
    """The request's own `traceparent`, whatever it is."""

    received: float
    """When its body was there, in seconds since the epoch."""

    begun: float
    """The same, on the loop's clock."""

    started: float
    """When its first byte came, on the loop's clock."""

    size: int
    stream: str


class RequestTraces:
    """Draws at a receipt, records after an answer."""

    def __init__(self, tracer: Tracer, metrics: ReceiverMetrics) -> None:
        self._tracer = tracer
        self._metrics = metrics
        self._draws = tracer.draws
        self._is_trusting = tracer.settings.trust_incoming
        self.slow_seconds = tracer.slow_seconds

    def begin(self, given: bytes | None, message_id: str) -> str:
        """Return the `traceparent` that a webhook is stored with.

        Its trace is of the message id, so that a provider's repeats of a webhook share one; whether
        it is recorded is drawn, for a body can be made so that its hash is what one likes.
        The span's id is drawn with that; of what is not drawn it is the message id's, as without
        traces: it costs nothing, and of what is stored once there is no other.

        Args:
            given: The request's own.
            message_id: 64 hex digits.
        """
        if given is not None and self._is_trusting and (context := _read(given)) is not None:
            return context._replace(span_id=self._tracer.draw_span_id()).header
        if self._draws():
            return f"00-{message_id[:32]}-{self._tracer.draw_span_id()}-01"
        return f"00-{message_id[:32]}-{message_id[32:48]}-00"

    def finished(self, webhook: TracedWebhook, result: PubAck | StoreError, now: float) -> None:
        """Record a webhook that was answered, if it is to be.

        Args:
            webhook: Which one.
            result: What the store said.
            now: The loop's clock, after the answer.
        """
        tracer = self._tracer
        is_drawn = webhook.trace.endswith(_SAMPLED)
        took = now - webhook.started
        if not is_drawn:
            is_wanted = isinstance(result, StoreError) or took > tracer.slow_seconds
            if not is_wanted or not tracer.may_record():
                return
        stored = parse_traceparent(webhook.trace)
        if stored is None:
            return
        if not is_drawn and (isinstance(result, StoreError) or result.duplicate):
            # Nothing was stored under this id now, and what was before may have been recorded.
            stored = stored._replace(span_id=tracer.draw_span_id())
        wall = webhook.received - webhook.begun
        parent, links = self._above(webhook.given)
        request = stored._replace(span_id=tracer.draw_span_id())
        error = reason_of(result) if isinstance(result, StoreError) else None
        status = 200 if error is None else STATUS_OF[error]
        tracer.record(
            SpanRecord(
                REQUEST,
                "server",
                request,
                None if parent is None else parent.span_id,
                webhook.started + wall,
                now + wall,
                {
                    **_about(webhook.endpoint),
                    "http.response.status_code": status,
                    "http.request.body.size": webhook.size,
                    **({} if error is None else {"error.type": error.value}),
                },
                None if error is None else error.value,
                links,
            )
        )
        attributes: dict[str, str | int | bool] = {**message_attributes("publish", webhook.stream)}
        if isinstance(result, PubAck):
            attributes["forebay.sequence"] = result.seq
            attributes["forebay.duplicate"] = result.duplicate
        else:
            attributes["error.type"] = type(result).__name__
        tracer.record(
            SpanRecord(
                f"publish {webhook.stream}",
                "producer",
                stored,
                request.span_id,
                webhook.received,
                now + wall,
                attributes,
                None if error is None else error.value,
            )
        )
        if error is None:
            self._metrics.traced(now - webhook.begun, took, stored.trace_id, now + wall)

    def refused(self, endpoint: ServedEndpoint, reason: Reason, started: float, now: float) -> None:
        """Record a request that could not be served, though it may have been a webhook.

        Args:
            endpoint: Whom it was for.
            reason: Why; only what is answered 503 is an error of ours.
            started: When its first byte came, on the loop's clock.
            now: The same clock, after the answer.
        """
        tracer, status = self._tracer, STATUS_OF[reason]
        if status != _UNAVAILABLE or not tracer.may_record():
            return
        end = tracer.now()
        tracer.record(
            SpanRecord(
                REQUEST,
                "server",
                TraceContext(tracer.draw_trace_id(), tracer.draw_span_id(), is_sampled=True),
                None,
                end - (now - started),
                end,
                {
                    **_about(endpoint),
                    "http.response.status_code": status,
                    "error.type": reason.value,
                },
                reason.value,
            )
        )

    def _above(self, given: bytes | None) -> tuple[TraceContext | None, tuple[TraceContext, ...]]:
        """Return the span above a request's, and those that it links to."""
        context = None if given is None else _read(given)
        if context is None:
            return None, ()
        return (context, ()) if self._is_trusting else (None, (context,))


def _read(given: bytes) -> TraceContext | None:
    if len(given) != _GIVEN_BYTES or not given.isascii():
        return None
    return parse_traceparent(given.decode())


def _about(endpoint: ServedEndpoint) -> dict[str, str | int | bool]:
    return {"http.request.method": "POST", **endpoint_attributes(endpoint.name)}
