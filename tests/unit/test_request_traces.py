"""The receiver's part of a trace: what is drawn, what a sender can do, what is recorded."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.trace_context import parse_traceparent
from forebay.runtime.jetstream.errors import StoreError, StoreFull
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import Reason
from forebay_receiver.services.request_traces import RequestTraces
from forebay_receiver.services.routes import ServedEndpoint
from support.traces.recorded import RecordedSpans, recording_tracer

STRANGER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGE_ID = "5" * 64
STORED = PubAck(stream="FOREBAY_RAW_0", seq=9)
ENDPOINT = cast("ServedEndpoint", SimpleNamespace(name=EndpointName("demo", "meta")))


@dataclass
class Webhook:
    """A webhook that took half a second, of which 0.1 s to be stored."""

    trace: str
    given: bytes | None = None
    endpoint: ServedEndpoint = field(default_factory=lambda: ENDPOINT)
    received: float = 1_000.4
    begun: float = 50.4
    started: float = 50.0
    size: int = 321
    stream: str = "FOREBAY_RAW_0"


def traces(**settings: float) -> tuple[RequestTraces, RecordedSpans]:
    """Return the traces of a receiver, and where its spans go."""
    tracer, spans = recording_tracer(**settings)  # type: ignore[arg-type]  # by their names
    return RequestTraces(tracer, ReceiverMetrics("receiver")), spans


def test_repeats_of_a_webhook_share_a_trace_and_have_spans_of_their_own() -> None:
    own, _ = traces(ratio=1)
    first, second = (parse_traceparent(own.begin(None, MESSAGE_ID)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.trace_id == second.trace_id == "5" * 32
    assert first.span_id != second.span_id


@pytest.mark.parametrize("result", [StoreFull("full"), PubAck(seq=9, duplicate=True)])
def test_repeats_that_are_recorded_without_a_draw_have_spans_of_their_own(
    result: PubAck | StoreError,
) -> None:
    own, spans = traces()
    for _ in range(2):
        own.finished(Webhook(own.begin(None, MESSAGE_ID)), result, 52.0)
    assert len({span.context.span_id for span in spans.spans}) == len(spans.spans) == 4


def test_the_ratio_is_the_share_that_is_drawn() -> None:
    own, _ = traces(ratio=0.25)
    drawn = sum(own.begin(None, MESSAGE_ID).endswith("-01") for _ in range(4000))
    assert 800 < drawn < 1200


def test_no_more_are_drawn_in_a_second_than_the_limit() -> None:
    own, _ = traces(ratio=1, drawn_per_second=5)
    drawn = sum(own.begin(None, MESSAGE_ID).endswith("-01") for _ in range(1000))
    # A second of the clock may end within the loop.
    assert 5 <= drawn <= 20


@pytest.mark.parametrize(
    "given", [STRANGER, b"", b"\xff" * 55, b"0" * 55, b"00-" + b"1" * 100_000, STRANGER + b"\n"]
)
def test_a_sender_forces_nothing(given: bytes) -> None:
    own, spans = traces()
    for _ in range(200):
        trace = own.begin(given, MESSAGE_ID)
        context = parse_traceparent(trace)
        assert context is not None
        assert (context.trace_id, context.is_sampled) == ("5" * 32, False)
        own.finished(Webhook(trace, given), STORED, 50.5)
    assert not spans.spans


def test_a_drawn_webhook_is_a_request_and_its_store_and_links_to_the_senders_trace() -> None:
    own, spans = traces(ratio=1)
    trace = own.begin(STRANGER, MESSAGE_ID)
    own.finished(Webhook(trace, STRANGER), STORED, 50.5)
    request, stored = spans.spans
    assert (request.name, request.kind) == ("POST webhook", "server")
    assert (stored.name, stored.kind) == ("publish FOREBAY_RAW_0", "producer")
    assert stored.context == parse_traceparent(trace)
    assert stored.parent_id == request.context.span_id
    assert request.parent_id is None
    assert request.links == (parse_traceparent(STRANGER.decode()),)
    assert (request.start, request.end) == pytest.approx((1000.0, 1000.5))
    assert (stored.start, stored.end) == pytest.approx((1000.4, 1000.5))
    assert stored.attributes["forebay.sequence"] == 9


def test_behind_a_gateway_that_is_trusted_its_trace_goes_on() -> None:
    own, spans = traces(trust_incoming=True)
    trace = own.begin(STRANGER, MESSAGE_ID)
    own.finished(Webhook(trace, STRANGER), STORED, 50.5)
    request, stored = spans.spans
    assert request.context.trace_id == stored.context.trace_id == STRANGER[3:35].decode()
    assert request.parent_id == STRANGER[36:52].decode()
    assert not request.links
    # And where it says that nothing is recorded, nothing is.
    quiet = STRANGER[:-2] + b"00"
    own.finished(Webhook(own.begin(quiet, MESSAGE_ID), quiet), STORED, 50.5)
    assert len(spans.spans) == 2


@pytest.mark.parametrize(("result", "now"), [(StoreFull("full"), 50.5), (STORED, 51.1)])
def test_what_fails_or_is_slow_is_recorded_though_it_was_not_drawn(
    result: PubAck | StoreError, now: float
) -> None:
    own, spans = traces()
    trace = own.begin(None, MESSAGE_ID)
    own.finished(Webhook(trace), result, now)
    request, stored = spans.spans
    assert request.context.trace_id == stored.context.trace_id == "5" * 32
    is_error = isinstance(result, StoreError)
    assert (request.error is not None, stored.error is not None) == (is_error, is_error)
    assert request.attributes["http.response.status_code"] == (503 if is_error else 200)


def test_an_outage_records_no_more_than_the_limit() -> None:
    own, spans = traces(always_per_second=5)
    for _ in range(100):
        own.finished(Webhook(own.begin(None, MESSAGE_ID)), StoreFull("full"), 50.5)
        own.refused(ENDPOINT, Reason.OVERLOADED, 50.0, 50.1)
    # A second of the clock may end within the loop.
    assert 5 <= len(spans.spans) <= 20


def test_a_refused_credential_is_nobodys_trace_and_a_503_is() -> None:
    own, spans = traces(ratio=1)
    own.refused(ENDPOINT, Reason.SIGNATURE_WRONG, 50.0, 50.1)
    assert not spans.spans
    own.refused(ENDPOINT, Reason.OVERLOADED, 50.0, 50.1)
    (span,) = spans.spans
    assert span.error == "overloaded"
    assert span.end - span.start == pytest.approx(0.1)
