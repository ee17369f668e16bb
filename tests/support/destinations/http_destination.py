"""A destination `http` without a processor: over our own client, or over aiohttp as before."""

import contextlib
import ipaddress
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec.structs import replace

from forebay.core.tables import HttpTarget
from forebay_processor.destinations.http.client import KEPT_LIMIT, HttpClient
from forebay_processor.destinations.http.destination import HttpDestination
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.port import Attempt, DestinationPort
from support.destinations.aiohttp_destination import AiohttpDestination, aiohttp_session
from support.processor.attempts import attempt

__all__ = ["LOOPBACK", "attempt_of", "own_client", "serving", "serving_over_aiohttp"]

LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def attempt_of(key: str = "k", *, size: int = 0) -> Attempt:
    """Return an attempt of an item whose content has at least so many bytes."""
    made = attempt(key=key)
    data = msgspec.Raw(msgspec.json.encode({"text": "x" * size}))
    return replace(made, item=replace(made.item, data=data))


@contextlib.asynccontextmanager
async def own_client(
    guard: Guard | None = None, names: Names | None = None, kept: int = KEPT_LIMIT
) -> AsyncIterator[HttpClient]:
    """Give our own client; loopback may be reached where nothing else is said."""
    guard, names = guard or Guard(LOOPBACK), names or Names(time.monotonic)
    async with HttpClient(guard, names, kept) as client:
        yield client


@contextlib.asynccontextmanager
async def serving(target: HttpTarget, guard: Guard | None = None) -> AsyncIterator[DestinationPort]:
    """Give a destination as the processor has it."""
    async with own_client(guard) as client:
        yield HttpDestination(target, client, time.time)


@contextlib.asynccontextmanager
async def serving_over_aiohttp(
    target: HttpTarget, guard: Guard | None = None
) -> AsyncIterator[DestinationPort]:
    """Give a destination as the processor had it before."""
    async with aiohttp_session(guard or Guard(LOOPBACK), Names(time.monotonic)) as session:
        yield AiohttpDestination(target, session, time.time)
