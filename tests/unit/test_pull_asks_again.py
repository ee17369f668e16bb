"""When messages are asked for again: at once on a new connection, later where it was refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest
from nats.aio.client import Client

from forebay.runtime.jetstream.pull_inbox import PullInbox
from forebay.runtime.jetstream.pull_status import PullRefusal
from forebay.runtime.jetstream.puller import Puller
from support.nats.pull_server import PullServer, refused
from support.timing.clocks import LoopClock
from support.timing.wait import eventually


@contextlib.asynccontextmanager
async def pulling(puller: Puller) -> AsyncIterator[None]:
    """Let somebody wait for messages within the block."""
    task = asyncio.create_task(puller.next_batch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settled() -> None:
    """Let everything run that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_new_connection_is_asked_at_once_for_what_the_old_one_was() -> None:
    server = PullServer()
    inbox = PullInbox(cast("Client", server))
    pullers = [inbox.puller("FOREBAY_RAW_0", f"c{number}", batch=1) for number in range(2)]
    async with pulling(pullers[0]), pulling(pullers[1]):
        await eventually(lambda: len(server.asked) == 2, saying="both to ask")
        inbox.reconnected()
        # And not when the requests of the old connection count as lost, seconds later.
        await eventually(lambda: len(server.asked) == 4, within=2, saying="both to ask again")
    assert sorted(server.asked[2:]) == sorted(server.asked[:2])


async def test_a_request_that_was_refused_is_made_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, server = LoopClock(monkeypatch), PullServer()
    refusals: list[PullRefusal] = []
    inbox = PullInbox(cast("Client", server), lambda _stream, _name, why: refusals.append(why))
    puller = inbox.puller("FOREBAY_RAW_0", "c", batch=1)
    clock.stop()
    async with pulling(puller):
        for times in range(1, 4):
            await settled()
            assert len(server.asked) == times
            puller.on_status(refused("Consumer Deleted"))
            await settled()
            # Asked at once, it would be refused at once: a storm.
            assert len(server.asked) == times
            clock.ahead += 0.5
    assert refusals == [PullRefusal.CONSUMER_DELETED] * 3
