"""The worst bodies of 4 MiB are stored like any other, byte for byte, each in a lane."""

import pytest

from support.inputs.worst_bodies import WORST_BODIES
from support.receiver.receiver_harness import ReceiverHarness, signed

pytestmark = pytest.mark.asyncio(loop_scope="session")

LANES = {
    "a history": "bulk",
    "one long text": "live",
    "empty messages": "live",
    "empty statuses": "status",
    "half emojis": "live",
    "no utf-8": "live",
    "nesting without an end": "invalid",
    "zeros": "bulk",
}


@pytest.mark.parametrize("shape", LANES)
async def test_it_is_stored_as_it_came_in_the_lane_that_it_looks_like(
    receiver: ReceiverHarness, shape: str
) -> None:
    body = WORST_BODIES[shape]
    assert (await receiver.post(body, within=30)).status == 200
    stored = await receiver.last()
    assert stored.data == body
    assert str(stored.subject).split(".")[4] == LANES[shape]


async def test_a_large_body_with_a_wrong_signature_is_refused(receiver: ReceiverHarness) -> None:
    body = WORST_BODIES["a history"]
    async with receiver.nothing_stored():
        wrong = await receiver.post(body, signed(body, "another secret"), within=30)
        assert wrong.status == 401
