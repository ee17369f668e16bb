"""The spans of deliveries: attempts, requests with several items, what goes to RETRY and to DEAD.

An item's spans stand below the one by which it was stored in EVENTS; those of a replay are a trace
of their own, which links to the item's. Recorded is what was drawn at the webhook's receipt, and of
the rest what failed, was slow, is tried again or replayed, within the tracer's limit.

If the process dies, spans are lost and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import RetrySubject, StreamKind, stream_name
from forebay.core.tables import Destination, HttpTarget
from forebay.core.trace_context import (
    TraceContext,
    context_of,
    is_traceparent,
    parse_traceparent,
)
from forebay.runtime.tracing import (
    Kind,
    SpanRecord,
    Tracer,
    endpoint_attributes,
    message_attributes,
)
from forebay_processor.destinations.port import Delivered, Result

__all__ = ["AttemptTrace", "BatchTrace", "begin_attempt", "record_publish"]

_STATUS: Final = "status "
"""What the result of an attempt begins with that was answered."""

_SAMPLED: Final = "-01"
_NOT_SAMPLED: Final = "-00"
_SPAN_AT: Final = len("00-") + 32 + len("-")
_FLAGS_AT: Final = _SPAN_AT + 16
"""Where the id of the span and the flags stand in a `traceparent`."""

_Attributes = dict[str, str | int | float | bool]


class AttemptTrace:
    """One attempt, which may be recorded when it is over."""

    __slots__ = ("_began", "_links", "_number", "_parent_id", "_tracer", "header")

    def __init__(
        self,
        tracer: Tracer,
        header: str,
        parent_id: str | None,
        links: tuple[TraceContext, ...],
        number: int,
    ) -> None:
        self.header = header
        """Its own `traceparent`; sampled where it is sure to be recorded."""

        self._tracer = tracer
        self._parent_id = parent_id
        self._links = links
        self._number = number
        self._began = tracer.now()

    def ended(
        self,
        endpoint: EndpointName,
        destination: str,
        config: Destination | None,
        subject: RetrySubject,
        result: Result,
        seconds: float,
    ) -> str | None:
        """Record it, if it is to be; returns its trace where it was.

        Args:
            endpoint: Whose item it is.
            destination: The destination's name.
            config: What the tables say of it.
            subject: The item's row.
            result: What it ended in.
            seconds: How long it took.
        """
        tracer = self._tracer
        error = None if isinstance(result, Delivered) else result.error
        if not self.header.endswith(_SAMPLED):
            is_wanted = error is not None or seconds > tracer.slow_seconds
            if not is_wanted or not tracer.may_record():
                return None
        context = parse_traceparent(self.header)
        if context is None:
            return None
        is_first = self._number == 1 and not subject.is_replay
        stream = stream_name(StreamKind.EVENTS if is_first else StreamKind.RETRY, subject.shard)
        attributes: _Attributes = {
            **_about(endpoint, destination),
            **message_attributes("deliver", stream),
            "forebay.attempt": self._number,
            "forebay.webhook_id": subject.key,
        }
        kind: Kind = "internal"
        if config is not None and isinstance(config.target, HttpTarget):
            kind = "client"
            attributes["http.request.method"] = "POST"
            if self._number > 1:
                attributes["http.request.resend_count"] = self._number - 1
        if error is not None:
            attributes |= _failure(error)
        tracer.record(
            SpanRecord(
                f"deliver {stream}",
                kind,
                context,
                self._parent_id,
                self._began,
                self._began + seconds,
                attributes,
                error,
                self._links,
            )
        )
        return context.trace_id


def begin_attempt(
    tracer: Tracer, headers: Mapping[str, str], destination: str, number: int
) -> AttemptTrace | None:
    """Return the trace of an attempt that begins; None where the item has none.

    Args:
        tracer: Says what is recorded.
        headers: The item's, or its row's.
        destination: The destination's name.
        number: Which attempt it is, from 1 on.
    """
    is_replay = envelope.REPLAY_OF in headers
    text = headers.get(envelope.TRACEPARENT, "")
    if number == 1 and not is_replay and text.endswith(_NOT_SAMPLED) and is_traceparent(text):
        # As nearly always: nothing is made but the header for the destination.
        own_header = f"{text[:_SPAN_AT]}{tracer.draw_span_id()}{_NOT_SAMPLED}"
        return AttemptTrace(tracer, own_header, text[_SPAN_AT:_FLAGS_AT], (), number)
    above = context_of(headers, destination)
    if above is None:
        return None
    links: tuple[TraceContext, ...] = ()
    if is_replay:
        is_wanted = tracer.may_record()
        item = parse_traceparent(text)
        links = () if item is None else (item,)
    else:
        is_wanted = above.is_sampled or (number > 1 and tracer.may_record())
    if is_replay and number == 1:
        # It stands for the replay: those that follow are below it.
        span_id, parent_id = above.span_id, None
    else:
        span_id, parent_id = tracer.draw_span_id(), above.span_id
    own = TraceContext(above.trace_id, span_id, is_sampled=is_wanted)
    return AttemptTrace(tracer, own.header, parent_id, links, number)


class BatchTrace:
    """One request with several items: a trace of its own, which links to their attempts."""

    __slots__ = ("_began", "_links", "_tracer", "context")

    def __init__(self, tracer: Tracer, attempts: Sequence[str]) -> None:
        """Begin.

        Args:
            tracer: Says what is recorded.
            attempts: The `traceparent` of each attempt.
        """
        found = [each for text in attempts if (each := parse_traceparent(text)) is not None]
        sampled = tuple(each for each in found if each.is_sampled)
        self.context = TraceContext(
            tracer.draw_trace_id(), tracer.draw_span_id(), is_sampled=bool(sampled)
        )
        self._links = sampled or tuple(found)
        self._tracer = tracer
        self._began = tracer.now()

    def ended(self, endpoint: EndpointName, destination: str, items: int, result: Result) -> None:
        """Record it, if it is to be."""
        tracer, end = self._tracer, self._tracer.now()
        error = None if isinstance(result, Delivered) else result.error
        if not self.context.is_sampled:
            is_wanted = error is not None or end - self._began > tracer.slow_seconds
            if not is_wanted or not tracer.may_record():
                return
        attributes: _Attributes = {
            **_about(endpoint, destination),
            "http.request.method": "POST",
            "messaging.batch.message_count": items,
        }
        if error is not None:
            attributes |= _failure(error)
        tracer.record(
            SpanRecord(
                "deliver batch",
                "client",
                self.context,
                None,
                self._began,
                end,
                attributes,
                error,
                self._links,
            )
        )


def record_publish(  # noqa: PLR0913  # all that is recorded of it
    tracer: Tracer,
    kind: StreamKind,
    subject: RetrySubject,
    headers: Mapping[str, str],
    began: float,
    *,
    has_failed: bool,
    reason: str | None = None,
) -> None:
    """Record that an item was stored in RETRY or DEAD, if it is to be.

    Args:
        tracer: Says what is recorded.
        kind: Where.
        subject: Its row.
        headers: Its headers.
        began: When it was sent, in seconds since the epoch.
        has_failed: Whether it was tried in vain before.
        reason: Why it is given up, in DEAD.
    """
    above = context_of(headers, subject.destination)
    if above is None:
        return
    is_drawn = above.is_sampled and envelope.REPLAY_OF not in headers
    if not is_drawn and not (has_failed and tracer.may_record()):
        return
    stream = stream_name(kind, subject.shard)
    tracer.record(
        SpanRecord(
            f"publish {stream}",
            "producer",
            TraceContext(above.trace_id, tracer.draw_span_id(), is_sampled=True),
            above.span_id,
            began,
            tracer.now(),
            {
                **_about(subject.endpoint, subject.destination),
                **message_attributes("publish", stream),
                "forebay.webhook_id": subject.key,
                **({} if reason is None else {"error.type": reason}),
            },
            reason,
        )
    )


def _about(endpoint: EndpointName, destination: str) -> _Attributes:
    return {**endpoint_attributes(endpoint), "forebay.destination": destination}


def _failure(error: str) -> _Attributes:
    """Return the attributes of a failure: its words are a closed list, and never a stranger's."""
    status = error.removeprefix(_STATUS)
    if status != error and status.isdecimal():
        return {"error.type": status, "http.response.status_code": int(status)}
    return {"error.type": error}
