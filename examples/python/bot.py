"""A handler that takes its time: a slow SQL query, then a call of another API.

The provider has had its 200 for long: Forebay stored the message and hands it over afterwards,
again where this fails, in order for each person.

    cd examples/python && forebay run -f endpoint.yaml
"""

import asyncio
import os
import sqlite3

import aiohttp

from forebay.handler import Event, Reject, Retry

API = os.environ.get("SHOP_API", "http://127.0.0.1:3000/replies")
DATABASE = os.environ.get("SHOP_DATABASE", ":memory:")

SLOW = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
    SELECT count(*) % ? FROM n
"""

# Opened once by `start`, closed once by `stop`: not for each message.
pools: dict[str, aiohttp.ClientSession] = {}


async def start() -> None:
    """Open what all calls share."""
    pools["http"] = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))


async def stop() -> None:
    """Close it: called once, after the last message."""
    await pools.pop("http").close()


async def handle(event: Event) -> None:
    """Answer a text message; an event is done when this returns."""
    if event.kind != "messages" or event.itemtype != "text":
        return
    # `event.typed()` has the same as objects; `value()` is all that the provider sent.
    message = event.value()["value"]["messages"][0]
    if not message["text"]["body"].strip():
        raise Reject("an empty text")

    # A library that blocks belongs into a thread: here it would hold up all other messages.
    orders = await asyncio.to_thread(orders_of, event.conversation)

    # The event can come again, after a crash for example: `event.id` is the same each time.
    headers = {"Idempotency-Key": event.id}
    reply = {"conversation": event.conversation, "text": f"You have {orders} open orders."}
    async with pools["http"].post(API, json=reply, headers=headers) as answer:
        if answer.status == 429:
            raise Retry("the API is busy", after=float(answer.headers.get("Retry-After", 5)))
        answer.raise_for_status()


def orders_of(customer: str) -> int:
    """Return how many orders a customer has: a query that takes a tenth of a second."""
    database = sqlite3.connect(DATABASE)
    try:
        (count,) = database.execute(SLOW, (len(customer),)).fetchone()
        return int(count)
    finally:
        database.close()
