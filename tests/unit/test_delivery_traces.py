"""The spans of attempts: what a destination gets, what is recorded, and links of batches."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from typing_extensions import override

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import REPLAY, Lane, RetrySubject
from forebay.core.tables import Batch
from forebay.core.trace_context import parse_traceparent
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.batched_attempts import BatchedAttempts
from forebay_processor.delivery.delivery_traces import begin_attempt
from forebay_processor.destinations.port import Attempt, BatchPort, Delivered, Failed, Result
from support.processor.attempts import attempt
from support.processor.queue_alone import QueueAlone
from support.traces.recorded import recording_tracer

ENDPOINT = EndpointName("demo", "meta")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def headers(flags: str) -> dict[str, str]:
    return {envelope.TRACEPARENT: f"00-{TRACE}-{SPAN}-{flags}"}


def row(lane: Lane | str = Lane.LIVE) -> RetrySubject:
    return RetrySubject("0", 3, lane, ENDPOINT, "crm", "c" * 16, "k" * 32)  # type: ignore[arg-type]


def test_of_what_was_not_drawn_an_attempt_that_gets_through_leaves_nothing() -> None:
    tracer, spans = recording_tracer()
    trace = begin_attempt(tracer, headers("00"), "crm", 1)
    assert trace is not None
    parsed = parse_traceparent(trace.header)
    assert parsed is not None
    assert (parsed.trace_id, parsed.is_sampled) == (TRACE, False)
    assert parsed.span_id != SPAN
    assert trace.ended(ENDPOINT, "crm", None, row(), Delivered(), 0.1) is None
    assert not spans.spans


@pytest.mark.parametrize(("result", "seconds"), [(Failed("status 500"), 0.1), (Delivered(), 1.5)])
def test_a_failure_and_a_slow_attempt_are_recorded_under_what_was_sent(
    result: Result, seconds: float
) -> None:
    tracer, spans = recording_tracer()
    trace = begin_attempt(tracer, headers("00"), "crm", 1)
    assert trace is not None
    assert trace.ended(ENDPOINT, "crm", None, row(), result, seconds) == TRACE
    (span,) = spans.spans
    assert span.context.span_id == trace.header[36:52]
    assert span.parent_id == SPAN
    assert span.end - span.start == pytest.approx(seconds)
    is_error = isinstance(result, Failed)
    assert span.attributes.get("http.response.status_code") == (500 if is_error else None)


def test_a_further_attempt_says_that_it_is_recorded_unless_the_limit_is_reached() -> None:
    tracer, _ = recording_tracer(always_per_second=0)
    limited = begin_attempt(tracer, headers("00"), "crm", 2)
    assert limited is not None
    assert limited.header.endswith("-00")
    assert dict(tracer.counts())[("limited",)] == 1
    tracer, _ = recording_tracer()
    wanted = begin_attempt(tracer, headers("00"), "crm", 2)
    assert wanted is not None
    assert wanted.header.endswith("-01")


def test_attempts_of_a_replay_are_below_its_first_one_and_link_to_the_item() -> None:
    tracer, spans = recording_tracer()
    replayed = {**headers("00"), envelope.REPLAY_OF: "forebay.dead.0.demo.meta.crm.k 7"}
    for number in (1, 2):
        trace = begin_attempt(tracer, replayed, "crm", number)
        assert trace is not None
        assert trace.ended(ENDPOINT, "crm", None, row(REPLAY), Delivered(), 0.1)
    first, second = spans.spans
    assert (first.parent_id, second.parent_id) == (None, first.context.span_id)
    assert first.context.trace_id == second.context.trace_id != TRACE
    assert first.links == second.links == (parse_traceparent(headers("00")["traceparent"]),)


@pytest.mark.parametrize("text", ["", "odd", "-00", f"00-{TRACE}-{SPAN}-01x"])
def test_an_item_without_a_trace_has_none(text: str) -> None:
    tracer, _ = recording_tracer()
    assert begin_attempt(tracer, {envelope.TRACEPARENT: text}, "crm", 1) is None
    assert begin_attempt(tracer, {}, "crm", 1) is None


class Port(BatchPort):
    """Takes a batch, and notes what its request says."""

    def __init__(self) -> None:
        self.traceparents: list[str] = []

    @override
    async def deliver(self, attempt: Attempt) -> Result:
        return Delivered()

    @override
    def encode(self, attempt: Attempt) -> bytes:
        return b"{}"

    @override
    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],
        items: Sequence[bytes],
        traceparent: str = "",
    ) -> Result:
        self.traceparents.append(traceparent)
        return Delivered()

    @override
    def close(self) -> None:
        """Nothing to let go of."""


async def test_a_request_with_several_items_links_to_their_attempts() -> None:
    tracer, spans = recording_tracer()
    requests = AttemptLimiter(4)
    batches = BatchedAttempts(requests, lambda: None, tracer)
    batches.settings = Batch(max_items=2)
    port, texts = Port(), [f"00-{TRACE}-{each * 16}-01" for each in "12"]
    tries, partition = [], QueueAlone().partitions[0]
    for number, text in enumerate(texts):
        own = replace(attempt(key=f"k{number}"), request_traceparent=text)
        assert batches.has_room
        batches.take()
        tries.append(batches.deliver(own, port, partition))
    assert await asyncio.gather(*tries) == [Delivered(), Delivered()]
    (span,) = spans.spans
    assert span.name == "deliver batch"
    assert span.links == tuple(parse_traceparent(text) for text in texts)
    assert span.attributes["messaging.batch.message_count"] == 2
    assert port.traceparents == [span.context.header]
    assert span.context.trace_id != TRACE
