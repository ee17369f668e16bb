"""Who may have a large message in hand: a place is never kept by a puller that has ended."""

import asyncio
import contextlib
from typing import cast

from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.runtime.pull import LARGE_AT_ONCE, LargeMessages, Puller, PullInbox
from support.wait import eventually

STREAM = "FOREBAY_RAW_0"


class Server:
    """A NATS that says of every request that the next message is larger than it."""

    is_connected = True
    is_closed = False
    max_payload = 1024 * 1024

    def __init__(self) -> None:
        self.asked: list[str] = []

    def new_inbox(self) -> str:
        """Return a subject for answers."""
        return "_INBOX.test"

    async def publish(self, subject: str, _: bytes, __: str) -> None:
        """Take a request."""
        self.asked.append(subject)


def refuse(puller: Puller) -> None:
    """Say that the next message is more than a request brings."""
    headers = {"Status": "409", "Description": "Message Size Exceeds MaxBytes"}
    puller.on_status(Msg(cast("Client", None), "x", "", b"", headers))


async def test_places_are_free_when_pullers_that_held_and_awaited_them_have_ended() -> None:
    server, large = Server(), LargeMessages()
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
