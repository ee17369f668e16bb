"""One webhook with three items for two destinations, of which one fails twice, and its judge."""

import itertools
from collections.abc import Callable

from forebay.core.tables import Retry
from support.destinations.sink import Sink
from support.inputs.tables import PATH, endpoint, http_destination, route
from support.processor.processor_harness import token, webhook
from support.programs.processes import Part
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually
from support.traces.spans import Seen, Trace

__all__ = ["FAILING", "MESSAGES", "TracedWebhook", "judge_story", "recorded_story", "serve_two"]

MESSAGES = ("wamid.trace.1", "wamid.trace.2", "wamid.trace.3")
FAILING = token(MESSAGES[1])
"""The item that `billing` answers 500 twice."""

RETRY = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=60)


class TracedWebhook:
    """What is known of it from outside."""

    def __init__(self, trace_id: str, began: float, crm: Sink, billing: Sink) -> None:
        self.trace_id = trace_id
        self.began = began
        """When it was sent, in seconds since the epoch."""

        self.crm = crm
        self.billing = billing


async def recorded_story(
    stack: Stack, billing: Sink, receiver: Part, now: Callable[[], float], traceparent: str = ""
) -> TracedWebhook:
    """Send the webhook, and wait until all of it is delivered.

    Args:
        stack: With tables of `serve_two`, a receiver and a processor.
        billing: The second destination.
        receiver: Where to send it.
        now: Seconds since the epoch.
        traceparent: What the sender sends; nothing where it is empty.
    """
    billing.answer_key(FAILING, 500, 500)
    people = ("15550001", "15550002", "15550003")
    body = webhook(*zip(MESSAGES, people, strict=True))
    headers = {**signed(body), "Connection": "close"}
    if traceparent:
        headers["traceparent"] = traceparent
    began = now()
    answer = await exchange(receiver.port, request_bytes("POST", PATH, headers=headers, body=body))
    assert answer.status == 200
    keys = {token(message) for message in MESSAGES}
    await eventually(
        lambda: all({each.key for each in sink.accepted} == keys for sink in (stack.sink, billing)),
        within=20,
        saying="all items at both destinations",
    )
    (first, *_) = stack.sink.arrivals
    trace_id = str(first.event["traceparent"]).split("-")[1]
    return TracedWebhook(trace_id, began, stack.sink, billing)


def serve_two(stack: Stack, billing: Sink) -> None:
    """Write tables with two destinations, `crm` and `billing`."""
    stack.tables.write_routes(route())
    stack.tables.write_endpoints(
        endpoint(
            http_destination(stack.sink.url(), name="crm", retry=RETRY),
            http_destination(billing.url(), name="billing", retry=RETRY),
        )
    )


def judge_story(trace: Trace, outside: TracedWebhook, ended: float) -> Seen:
    """Assert that every hop is there, below the right one and at the right time.

    Args:
        trace: All of its spans.
        outside: What was seen from outside.
        ended: When all of its spans were there, in seconds since the epoch.

    Returns:
        The span of the item that failed twice, below which its deliveries are.
    """
    trace.judge()
    request = trace.one("POST webhook")
    stored = trace.one("publish FOREBAY_RAW_0")
    split = trace.one("split FOREBAY_RAW_0")
    assert request.parent_id == ""
    assert stored.parent_id == request.span_id
    assert split.parent_id == stored.span_id
    assert request.start <= stored.start <= stored.end <= request.end + 0.001
    assert split.attributes["forebay.items"] == 3
    items = trace.named("publish FOREBAY_EVENTS_0")
    assert [each.parent_id for each in items] == [split.span_id] * 3
    assert all(split.start <= each.start <= each.end <= split.end + 0.001 for each in items)
    for message in MESSAGES:
        crm = trace.one("deliver FOREBAY_EVENTS_0", destination="crm", webhook_id=token(message))
        assert not crm.is_error
        (arrival,) = outside.crm.of(token(message))
        assert crm.start <= arrival.at <= crm.end
        assert arrival.headers["traceparent"] == f"00-{crm.trace_id}-{crm.span_id}-01"
    # The first attempt, the row in RETRY, and the second and third attempt from there.
    about = {"destination": "billing", "webhook_id": FAILING}
    first = trace.one("deliver FOREBAY_EVENTS_0", **about)
    parked = trace.one("publish FOREBAY_RETRY_0", **about)
    second, third = trace.named("deliver FOREBAY_RETRY_0", **about)
    hops = (first, parked, second, third)
    assert len({each.parent_id for each in hops}) == 1
    (item,) = (each for each in items if each.span_id == first.parent_id)
    assert [each.is_error for each in hops] == [True, False, True, False]
    for before, after in itertools.pairwise(hops):
        assert before.end <= after.start + 0.005
    attempts = (first, second, third)
    assert [each.attributes["forebay.attempt"] for each in attempts] == [1, 2, 3]
    arrivals = outside.billing.of(FAILING)
    sent = [f"00-{each.trace_id}-{each.span_id}-01" for each in attempts]
    assert [each.headers["traceparent"] for each in arrivals] == sent
    # All of the time from the request to the last delivery is within what was seen from outside.
    assert outside.began - 0.005 <= request.start
    assert third.end <= ended
    assert len(trace.spans) == 3 + 3 + 6 + 1 + 2
    return item
