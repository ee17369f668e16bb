"""Statuses of many messages into a PostgreSQL through a processor, while everything is killed.

The judge asks the database: each item has one row, each message is where its highest status says,
and nothing is counted twice.
"""

import asyncio
import itertools
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from forebay.core.subjects import Lane
from forebay.core.tables import Batch, Destination
from forebay.runtime.jetstream.streams import ShardConfig
from support.destinations.postgres_server import PostgresServer
from support.inputs.tables import QUICK_RETRY
from support.processor.processor_harness import CHANNEL, ProcessorHarness
from support.programs.stalling_proxy import StallingProxy
from support.timing.wait import eventually

__all__ = ["STATUSES", "PostgresRun", "postgres_drill"]

STATUSES: Final = ("sent", "delivered", "read")
SCHEMA: Final = "drill"

ASK_SECONDS: Final = 0.25
"""Between two counts of the rows: each signs in and reads the whole table."""

_Fault = Callable[[], Awaitable[None]]

_IN_A_WEBHOOK: Final = 100
_FED: Final = 20_000
"""Items that are stored before what was stored is waited for: RAW is not for all at once."""


class PostgresRun(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    items: int
    seconds: float
    """From the first webhook to the last row."""

    rows: int
    ids: int
    messages: int
    read: int
    """Messages whose state is the highest that they had, with the times of all three."""

    events: list[str]
    """What was done to it, with the rows that were there by then."""

    @property
    def is_right(self) -> bool:
        """Whether each item has one row, and each message its state."""
        messages = self.items // len(STATUSES)
        return self.rows == self.ids == self.items and self.messages == self.read == messages


def _webhooks(messages: int, seed: int) -> Iterator[bytes]:
    """Give webhooks of statuses, those of a message in any order and far from each other."""
    pairs = list(itertools.product(range(messages), STATUSES))
    random.Random(seed).shuffle(pairs)
    metadata = {"display_phone_number": "15550009000", "phone_number_id": CHANNEL}
    for at in range(0, len(pairs), _IN_A_WEBHOOK):
        statuses = [
            {
                "id": f"wamid.{number}",
                "status": status,
                "timestamp": str(1_795_165_201 + STATUSES.index(status)),
                "recipient_id": f"1555{number:07}",
            }
            for number, status in pairs[at : at + _IN_A_WEBHOOK]
        ]
        value = {"messaging_product": "whatsapp", "metadata": metadata, "statuses": statuses}
        entry = {"id": "104700000000701", "changes": [{"field": "messages", "value": value}]}
        yield json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def postgres_drill(  # noqa: PLR0913  # each is one setting of the run
    folder: Path,
    server: PostgresServer,
    messages: int,
    *,
    batch: Batch,
    with_faults: bool,
    within: float,
    seed: int = 1,
    shard: ShardConfig | None = None,
) -> PostgresRun:
    """Run it on a server that is running, in a schema that is made anew.

    Args:
        folder: For logs and streams.
        server: Where rows go.
        messages: Each has all of `STATUSES`.
        batch: How items go together.
        with_faults: Whether the server is killed, the connection cut, and the processor killed.
        within: Seconds for all of it.
        seed: Of the order of statuses.
        shard: The streams' sizes, where they are not the tests'.
    """
    await server.as_root(f"drop schema if exists {SCHEMA} cascade")
    settings = {} if shard is None else {"shard": shard}
    events: list[str] = []
    async with (
        StallingProxy(server.port) as proxy,
        ProcessorHarness(folder, **settings) as processor,  # type: ignore[arg-type]
    ):
        name = processor.new_name()
        target = server.target(SCHEMA, port=proxy.port, batch=batch, timeout_seconds=10)
        await processor.serve(name, Destination(name="db", postgres=target, retry=QUICK_RETRY))
        began = time.monotonic()
        items = messages * len(STATUSES)
        feeding = asyncio.create_task(_feed(processor, name, messages, seed, server))
        faults = _faults(server, proxy, processor) if with_faults else ()
        for place, (what, fault) in enumerate(faults, start=1):
            wanted = items * place // 4
            rows = await _until(server, wanted, within)
            await fault()
            events.append(f"{what} at {rows:,} rows")
        await feeding
        await _until(server, items, within)
        seconds = time.monotonic() - began
    return PostgresRun(
        items=items,
        seconds=seconds,
        rows=await server.value(SCHEMA, "select count(*) from events"),
        ids=await server.value(SCHEMA, "select count(distinct id) from events"),
        messages=await server.value(SCHEMA, "select count(*) from messages"),
        read=await server.value(
            SCHEMA,
            "select count(*) from messages where status = 'read' and "
            "delivered_at - sent_at = interval '1 s' and read_at - sent_at = interval '2 s'",
        ),
        events=events,
    )


def _faults(  # what is done, in order
    server: PostgresServer, proxy: StallingProxy, processor: ProcessorHarness
) -> tuple[tuple[str, _Fault], ...]:
    async def restart() -> None:
        await server.kill()
        await server.start()

    async def cut() -> None:
        proxy.drop()

    async def kill() -> None:
        await processor.part.kill()
        await processor.part.start()

    return (
        ("PostgreSQL killed and started", restart),
        ("connections cut", cut),
        ("processor killed and started", kill),
    )


async def _feed(
    processor: ProcessorHarness, name: str, messages: int, seed: int, server: PostgresServer
) -> None:
    stored = 0
    for body in _webhooks(messages, seed):
        await processor.store(name, body, lane=Lane.STATUS)
        stored += _IN_A_WEBHOOK
        if stored % _FED == 0:
            await _until(server, stored - _FED, 600)


async def _until(server: PostgresServer, wanted: int, within: float) -> int:
    """Wait until there are so many rows, and return how many there are."""
    asked = -math.inf

    async def there() -> int | None:
        nonlocal asked
        if time.monotonic() - asked < ASK_SECONDS:
            return None
        asked = time.monotonic()
        try:
            rows = int(await server.value(SCHEMA, "select count(*) from events"))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return None  # it is being killed, or has no tables yet
        return rows if rows >= wanted else None

    found = await eventually(there, within=within, saying=f"{wanted} rows")
    assert found is not None
    return found
