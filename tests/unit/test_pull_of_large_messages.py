"""Who may have a large message in hand: a place is never kept by a puller that has ended."""

import asyncio
import contextlib
from typing import cast

from nats.aio.client import Client

from forebay.runtime.jetstream.pull_inbox import LARGE_AT_ONCE, LargeMessages, PullInbox
from forebay.runtime.jetstream.puller import Puller
from support.nats.pull_server import PullServer, refused
from support.timing.wait import eventually

STREAM = "FOREBAY_RAW_0"


def refuse(puller: Puller) -> None:
    """Say that the next message is more than a request brings."""
    puller.on_status(refused("Message Size Exceeds MaxBytes"))


async def test_places_are_free_when_pullers_that_held_and_awaited_them_have_ended() -> None:
    server, large = PullServer(), LargeMessages()
    client = cast("Client", server)
    inboxes = [PullInbox(client, large=large) for _ in range(LARGE_AT_ONCE + 1)]
    pullers = [inbox.puller(STREAM, f"c{n}", batch=1) for n, inbox in enumerate(inboxes)]
    tasks = [asyncio.create_task(puller.next_batch()) for puller in pullers]
    await eventually(lambda: len(server.asked) == len(pullers))
    for puller in pullers:
        refuse(puller)
    places = large.of(STREAM)
    await eventually(lambda: len(server.asked) == len(pullers) + LARGE_AT_ONCE)
    assert places.locked()
    # Each lets go before any of their tasks is cancelled, as when a connection's partitions end.
    for inbox in inboxes:
        await inbox.close()
    for _ in range(5):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for _ in range(LARGE_AT_ONCE):
        await asyncio.wait_for(places.acquire(), 1)
