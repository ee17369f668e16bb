"""Requests of commands that work through a stream for long: they outlast a restart of NATS."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from nats.aio.client import Client

from forebay.core.subjects import stream_of
from forebay.runtime.jetstream.api import request
from forebay.runtime.jetstream.errors import StoreError, StoreUnavailable, StreamMissing
from forebay.runtime.jetstream.pending_publish import PubAck, pub_ack

__all__ = ["SILENCE", "patiently", "store_message"]

PATIENCE_SECONDS: Final = 30.0
"""For NATS to come back: a server's restart should not end a long replay. All that is asked again
can be asked twice."""

AGAIN_SECONDS: Final = 0.5

SILENCE: Final = "NATS does not answer any more"
"""How a command says that no answer came."""


async def store_message(
    client: Client, subject: str, payload: bytes, headers: dict[str, str] | None = None
) -> PubAck:
    """Store a message of one of Forebay's streams; raises StoreError."""
    answer = await request(client, subject, payload, headers=headers, silence=SILENCE)
    ack = pub_ack(answer.data, stream_of(subject))
    if isinstance(ack, StoreError):
        raise ack
    return ack


_Answer = TypeVar("_Answer")


async def patiently(action: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Do it again while NATS is away, for a while."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    while True:
        try:
            return await action()
        except StreamMissing:
            raise
        except StoreUnavailable:
            if clock() + AGAIN_SECONDS > deadline:
                raise
        await asyncio.sleep(AGAIN_SECONDS)
