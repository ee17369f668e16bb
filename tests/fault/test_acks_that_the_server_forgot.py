"""nats-server writes acks to its disk some tenths of a second later, and can lose them.

What was delivered before that must not come again, whoever goes on: the processor that delivered
it, or one that knows nothing but what was written down (docs/design/0017).
"""

import time

import pytest

from forebay.core.subjects import Lane
from support.inputs.bulk_webhooks import store_all, texts
from support.programs.stack import Stack
from support.programs.under_load import worked_off
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(120)

ITEMS = 3_000
BEFORE = 1_000
"""So many have arrived when it is killed: at full speed, as a backlog is worked off."""


async def backlog(stack: Stack) -> set[str]:
    """Store webhooks of many people, and return the `webhook-id`s of their items."""
    stack.serve_demo()
    webhooks = list(texts(ITEMS))
    await store_all(stack.nats_server.url, webhooks, Lane.LIVE)
    return {webhook.token for webhook in webhooks}


async def under_way(stack: Stack) -> None:
    await eventually(
        lambda: len(stack.sink.accepted) >= BEFORE, within=40, saying="the backlog to be worked"
    )


async def all_arrived(stack: Stack, keys: set[str]) -> None:
    """Wait until all are there and nothing is left that could come again."""
    await eventually(lambda: stack.sink.keys >= keys, within=60, saying="all items to arrive")
    await worked_off(stack)


def seconds_since_acks_were_written(stack: Stack) -> float:
    """Return how long ago the server wrote any consumer's state."""
    states = stack.nats_server.folder.rglob("obs/*/o.dat")
    return time.time() - max(state.stat().st_mtime for state in states)


async def test_no_item_comes_again_after_the_server_was_killed(stack: Stack) -> None:
    keys = await backlog(stack)
    processor = await stack.processor()
    await under_way(stack)
    await stack.nats_server.kill()
    await stack.nats_server.start()
    await all_arrived(stack, keys)
    assert not stack.sink.repeats
    assert await processor.metric("forebay_processor_redeliveries_total") > 0


async def test_nothing_comes_again_after_a_processor_left_in_order(stack: Stack) -> None:
    keys = await backlog(stack)
    processor = await stack.processor()
    await under_way(stack)
    assert await processor.terminate() == 0
    await processor.start()
    await all_arrived(stack, keys)
    assert not stack.sink.repeats
    assert await processor.metric("forebay_processor_redeliveries_total") == 0


async def test_nothing_comes_again_where_the_server_dies_once_it_wrote_what_a_processor_left(
    stack: Stack,
) -> None:
    keys = await backlog(stack)
    processor = await stack.processor()
    await under_way(stack)
    assert await processor.terminate() == 0
    # It writes the last acks to its disk up to some tenths of a second later, and at once nobody
    # could have it do so: what dies before that comes again (docs/design/0017).
    await eventually(lambda: seconds_since_acks_were_written(stack) > 2, saying="it to be done")
    await stack.nats_server.kill()
    await stack.nats_server.start()
    await processor.start()
    await all_arrived(stack, keys)
    assert not stack.sink.repeats
