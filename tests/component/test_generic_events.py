"""At a generic endpoint each POST is an event, unless the sender says by an id that two are one."""

import json

import pytest

from forebay.core.tables import (
    Authentication,
    Destination,
    HttpTarget,
    ProcessorEndpoint,
    ReceiverRoute,
)
from support.cases import CASES
from support.processes import Part
from support.raw_http import exchange, request_bytes
from support.stack import Stack
from support.tables import QUICK_RETRY
from support.wait import eventually

ID_HEADERS = ("webhook-id", "idempotency-key")
PATH = "/v1/webhooks/demo/bell"
REQUESTS = "forebay_receiver_requests_total"
RING = next(CASES["generic-equal-bodies"].posts("generic-equal-bodies")).body


def destination(stack: Stack, name: str, *, raw: bool) -> Destination:
    target = HttpTarget(url=stack.sink.url(f"/{name}"), format="Raw" if raw else "Event")
    return Destination(name=name, http=target, retry=QUICK_RETRY)


async def start(stack: Stack) -> Part:
    """Serve a door bell, as an event and as it came; return its receiver."""
    stack.tables.write_routes(
        ReceiverRoute(
            namespace="demo",
            name="bell",
            provider="generic",
            authentication=Authentication(none=True),
            id_headers=ID_HEADERS,
        )
    )
    stack.tables.write_endpoints(
        ProcessorEndpoint(
            namespace="demo",
            name="bell",
            provider="generic",
            id_headers=ID_HEADERS,
            destinations=(
                destination(stack, "event", raw=False),
                destination(stack, "raw", raw=True),
            ),
        )
    )
    receiver = await stack.receiver()
    await stack.processor()
    return receiver


async def ring(receiver: Part, **headers: str) -> None:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = request_bytes("POST", PATH, headers=sent, body=RING)
    assert (await exchange(receiver.port, request)).status == 200


def rings(stack: Stack) -> tuple[int, int]:
    """Return how many arrived as events and how many as they came, each told by its own id."""
    keys = [(arrival.path, arrival.key) for arrival in stack.sink.accepted]
    assert len(keys) == len(set(keys))
    assert all(
        arrival.body == RING
        if arrival.path == "/raw"
        else arrival.event["data"] == json.loads(RING)
        for arrival in stack.sink.accepted
    )
    paths = [path for path, _ in keys]
    return paths.count("/event"), paths.count("/raw")


async def test_three_equal_rings_are_three_events(stack: Stack) -> None:
    receiver = await start(stack)
    for _ in range(3):
        await ring(receiver)
    await eventually(lambda: rings(stack) == (3, 3))


@pytest.mark.parametrize("header", ["Webhook-Id", "Idempotency-Key"])
async def test_an_id_that_is_sent_twice_is_one_event(stack: Stack, header: str) -> None:
    receiver = await start(stack)
    for value in ("1", "1", "2", "1"):
        await ring(receiver, **{header: value})
    await ring(receiver)
    await eventually(lambda: rings(stack) == (3, 3))
    assert await receiver.metric(REQUESTS, outcome="duplicate") == 2
    # The last ring waits behind no other: what was a repeat does not come any more.
    assert rings(stack) == (3, 3)


async def test_equal_ids_under_two_headers_are_two_events(stack: Stack) -> None:
    receiver = await start(stack)
    for header in ("Webhook-Id", "Idempotency-Key"):
        await ring(receiver, **{header: "1"})
    await eventually(lambda: rings(stack) == (2, 2))
