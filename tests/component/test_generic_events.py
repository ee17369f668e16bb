"""At a generic endpoint each POST is an event, unless the sender says by an id that two are one."""

import json

import pytest

from forebay.core.tables import Authentication
from support.inputs.cases import CASES
from support.programs.whole_path import WholePath
from support.receiver.raw_http import request_bytes
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ID_HEADERS = ("webhook-id", "idempotency-key")
REQUESTS = "forebay_receiver_requests_total"
RING = next(CASES["generic-equal-bodies"].posts("generic-equal-bodies")).body


async def bell(whole_path: WholePath) -> str:
    """Serve a door bell, as an event and as it came; return its endpoint's name."""
    anybody = Authentication(none=True)
    return await whole_path.endpoint("generic", authentication=anybody, id_headers=ID_HEADERS)


async def ring(whole_path: WholePath, own: str, **headers: str) -> None:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = request_bytes("POST", whole_path.path(own), headers=sent, body=RING)
    assert (await whole_path.send(request)).status == 200


def rings(whole_path: WholePath, own: str) -> tuple[int, int]:
    """Return how many arrived as events and how many as they came, each known by its own id."""
    events = [each for each in whole_path.items(own) if each.accepted]
    bodies = [each for each in whole_path.bodies(own) if each.accepted]
    for arrivals in (events, bodies):
        keys = [arrival.key for arrival in arrivals]
        assert len(keys) == len(set(keys))
    assert all(arrival.event["data"] == json.loads(RING) for arrival in events)
    assert all(arrival.body == RING for arrival in bodies)
    return len(events), len(bodies)


async def test_three_equal_rings_are_three_events(whole_path: WholePath) -> None:
    own = await bell(whole_path)
    for _ in range(3):
        await ring(whole_path, own)
    await eventually(lambda: rings(whole_path, own) == (3, 3))


@pytest.mark.parametrize("header", ["Webhook-Id", "Idempotency-Key"])
async def test_an_id_that_is_sent_twice_is_one_event(whole_path: WholePath, header: str) -> None:
    own = await bell(whole_path)
    before = await whole_path.receiver.metric(REQUESTS, outcome="duplicate")
    for value in ("1", "1", "2", "1"):
        await ring(whole_path, own, **{header: value})
    await ring(whole_path, own)
    await eventually(lambda: rings(whole_path, own) == (3, 3))
    assert await whole_path.receiver.metric(REQUESTS, outcome="duplicate") == before + 2
    # The last ring waits behind no other: what was a repeat does not come any more.
    assert rings(whole_path, own) == (3, 3)


async def test_equal_ids_under_two_headers_are_two_events(whole_path: WholePath) -> None:
    own = await bell(whole_path)
    for header in ("Webhook-Id", "Idempotency-Key"):
        await ring(whole_path, own, **{header: "1"})
    await eventually(lambda: rings(whole_path, own) == (2, 2))
