"""Traces of the whole path, as a collector gets them: what is drawn, what failed, what is nobody's.

A collector of our own, which reads what comes by OpenTelemetry's own messages; a real trace store
is in `tests/system/test_traces.py`.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from support.destinations.sink import Sink
from support.inputs.tables import PATH
from support.processor.processor_harness import token, webhook
from support.programs.dead_command import forebay_dead
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually
from support.traces.otlp_collector import OtlpCollector
from support.traces.spans import Seen
from support.traces.story import FAILING, judge_story, recorded_story, serve_two

STRANGER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced:
    """Forebay with a collector and two destinations."""

    def __init__(self, stack: Stack, billing: Sink, collector: OtlpCollector) -> None:
        self.stack = stack
        self.billing = billing
        self.collector = collector

    def settings(self, **own: str) -> dict[str, str]:
        """Return what a part is started with."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=pod-1,k8s.namespace.name=forebay",
            **own,
        }


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    """Give NATS, two destinations and a collector."""
    async with AsyncExitStack() as cleanup:
        collector = await cleanup.enter_async_context(OtlpCollector())
        billing = await cleanup.enter_async_context(Sink())
        stack = await cleanup.enter_async_context(Stack(tmp_path))
        serve_two(stack, billing)
        yield Traced(stack, billing, collector)


async def test_a_traced_webhook_shows_every_hop_and_a_replay_links_to_it(traced: Traced) -> None:
    settings = traced.settings(FOREBAY_TRACES_RATIO="1")
    stack, collector = traced.stack, traced.collector
    receiver = await stack.receiver(**settings)
    processor = await stack.processor(**settings)
    sent = await recorded_story(stack, traced.billing, receiver, time.time, STRANGER)
    await collector.wait_for(
        lambda: len(collector.trace(sent.trace_id).spans) >= 15, "all spans of the webhook"
    )
    trace = collector.trace(sent.trace_id)
    # The last attempt ends when its answer is read, after the destination has counted it.
    item = judge_story(trace, sent, time.time())
    # A stranger's trace is linked to, and not continued.
    assert trace.one("POST webhook").links == ((STRANGER[3:35], STRANGER[36:52]),)
    assert {span.service for span in trace.spans} == {"forebay-receiver", "forebay-processor"}
    for resource in collector.resources:
        assert resource["k8s.pod.name"] == "pod-1"
        assert resource["k8s.namespace.name"] == "forebay"
    # The same item again, given up at once, and replayed: a trace of its own, which links to it.
    row = "publish FOREBAY_DEAD_0"
    traced.billing.answer_key(token("wamid.trace.dead"), 422)
    await _send_dead(receiver.port)
    await collector.wait_for(lambda: _named(collector, row), "the dead letter")
    (dead,) = _named(collector, row)
    assert dead.is_error
    replayed = await forebay_dead(
        *("replay", "--endpoint", "demo/meta", "--yes"), nats_url=stack.nats_server.url
    )
    assert replayed.code == 0
    await collector.wait_for(
        lambda: [each for each in _named(collector, "deliver FOREBAY_RETRY_0") if each.links],
        "the replay",
    )
    (replay,) = (each for each in _named(collector, "deliver FOREBAY_RETRY_0") if each.links)
    assert replay.trace_id not in {sent.trace_id, dead.trace_id}
    assert replay.links == ((dead.trace_id, dead.parent_id),)
    assert replay.parent_id == ""
    # Logs name the trace, metrics its exemplars, and nothing holds what is private.
    (line,) = processor.logged("dead_letter")
    assert line["trace_id"] == dead.trace_id
    shown = await receiver.metric("forebay_receiver_spans_total", outcome="exported")
    assert shown >= 2
    assert await processor.metric("forebay_processor_spans_total", outcome="dropped") == 0
    assert item.attributes["forebay.kind"] == "messages"
    everything = b"".join(collector.requests)
    for private in (b"wamid", b"15550001", b"Hello", b"sha256=", traced.billing.url().encode()):
        assert private not in everything


async def test_what_fails_is_traced_though_nothing_was_drawn(traced: Traced) -> None:
    settings = traced.settings(FOREBAY_TRACES_RATIO="0")
    stack, collector = traced.stack, traced.collector
    receiver = await stack.receiver(**settings)
    await stack.processor(**settings)
    sent = await recorded_story(stack, traced.billing, receiver, time.time, STRANGER)
    await collector.wait_for(lambda: len(collector.spans) >= 4, "the item that failed")
    names = [(each.name, each.is_error) for each in collector.trace(sent.trace_id).spans]
    assert names == [
        ("deliver FOREBAY_EVENTS_0", True),
        ("publish FOREBAY_RETRY_0", False),
        ("deliver FOREBAY_RETRY_0", True),
        ("deliver FOREBAY_RETRY_0", False),
    ]
    assert {each.attributes.get("forebay.webhook_id") for each in collector.spans} == {FAILING}
    # A destination gets the flag of what is recorded: a sender's wish counts for nothing.
    assert all(each.headers["traceparent"].endswith("-00") for each in stack.sink.arrivals)
    flags = [each.headers["traceparent"][-2:] for each in traced.billing.of(FAILING)]
    assert flags == ["00", "01", "01"]


async def test_nothing_is_sent_and_traces_pass_through_without_an_endpoint(
    traced: Traced,
) -> None:
    stack = traced.stack
    receiver = await stack.receiver(FOREBAY_TRACES_RATIO="1")
    await stack.processor(FOREBAY_TRACES_RATIO="1")
    await recorded_story(stack, traced.billing, receiver, time.time, STRANGER)
    assert not traced.collector.requests
    arrivals = [*stack.sink.arrivals, *traced.billing.arrivals]
    assert {each.headers["traceparent"] for each in arrivals} == {STRANGER}


async def test_a_collector_that_takes_nothing_holds_up_nothing(traced: Traced) -> None:
    settings = traced.settings(FOREBAY_TRACES_RATIO="1", FOREBAY_TRACES_QUEUE_SPANS="4")
    traced.collector.status = 400
    stack = traced.stack
    receiver = await stack.receiver(**settings)
    processor = await stack.processor(**settings)
    await recorded_story(stack, traced.billing, receiver, time.time)

    async def is_counted() -> bool:
        name = "forebay_processor_spans_total"
        failed = await processor.metric(name, outcome="failed")
        return failed + await processor.metric(name, outcome="dropped") >= 13

    await eventually(is_counted, within=20, saying="all spans to be counted")
    assert await processor.metric("forebay_processor_spans_total", outcome="exported") == 0
    assert await processor.terminate() == 0


def _named(collector: OtlpCollector, name: str) -> list[Seen]:
    return [each for each in collector.spans if each.name == name]


async def _send_dead(port: int) -> None:
    body = webhook(("wamid.trace.dead", "15550009"))
    headers = {**signed(body), "Connection": "close"}
    answer = await exchange(port, request_bytes("POST", PATH, headers=headers, body=body))
    assert answer.status == 200
