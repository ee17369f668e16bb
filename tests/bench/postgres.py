"""What reaches a PostgreSQL, against bare COPY in batches of the same size, in the same run.

Three rates over the same server (with fsync, on this machine's disk) and as many connections:

- bare: items that are made already go by COPY into a table with the same columns and primary key,
  a transaction for each batch;
- destination: the same items through the destination alone: made into rows, stored once, with the
  states of messages and conversations;
- processor: webhooks from RAW through one processor process, until the last row is there.

Then the processor again, while PostgreSQL is killed, connections are cut and the processor is
killed: each item has to have one row, and each message its state.

    make bench-postgres                              100,000 items
    make bench-postgres ARGS="--items 6000"          a short form
    make bench-postgres ARGS="--record"              keep the result in docs/results/
"""

import argparse
import asyncio
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.records import Goal, Section, goals_section, keep, show
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem
from forebay.core.subjects import Lane, key_token
from forebay.core.tables import Batch
from forebay.runtime.jetstream.streams import ShardConfig
from forebay_processor.destinations.port import Attempt, Delivered
from forebay_processor.destinations.postgres.rows import row_of
from forebay_processor.destinations.postgres.statements import COLUMNS
from support.destinations.postgres_destination import serving_postgres, store
from support.destinations.postgres_server import PostgresServer
from support.processor.postgres_drill import STATUSES, PostgresRun, postgres_drill

GOAL: Final = 0.5
GIBIBYTE: Final = 1024**3


def attempts(items: int) -> list[Attempt]:
    """Return statuses of a third as many messages, as a processor hands them over."""
    made = []
    for number, status in itertools.product(range(items // len(STATUSES)), STATUSES):
        own = {
            "id": f"wamid.{number}",
            "status": status,
            "timestamp": "1795165201",
            "recipient_id": f"1555{number:07}",
        }
        metadata = {"display_phone_number": "15550009000", "phone_number_id": "1"}
        value = {"messaging_product": "whatsapp", "metadata": metadata, "statuses": [own]}
        data = {"id": "104700000000701", "field": "messages", "value": value}
        key = f"st:1:wamid.{number}:{status}"
        made.append(
            Attempt(
                endpoint=EndpointName("demo", "bench"),
                destination="db",
                lane=Lane.STATUS,
                token=key_token(key),
                conversation=f"{number:016x}",
                item=StoredItem(
                    key=key,
                    kind="statuses",
                    type=status,
                    channel="1",
                    time="2026-11-20T09:00:01.000Z",
                    data=msgspec.Raw(msgspec.json.encode(data)),
                ),
                number=1,
                received_at=time.time(),
                traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                other_channel=False,
            )
        )
    # As a campaign brings them: a message's statuses are far from each other.
    return [made[at] for start in range(len(STATUSES)) for at in range(start, len(made), 3)]


async def _all(
    batches: Sequence[Sequence[Attempt]],
    at_once: int,
    work: Callable[[int, Sequence[Attempt]], Awaitable[None]],
) -> float:
    """Work on all batches, so many at once, and return the items a second."""
    left = iter(batches)

    async def worker(number: int) -> None:
        for batch in left:
            await work(number, batch)

    began = time.monotonic()
    await asyncio.gather(*(worker(number) for number in range(at_once)))
    return sum(map(len, batches)) / (time.monotonic() - began)


async def bare(server: PostgresServer, batches: Sequence[Sequence[Attempt]], at_once: int) -> float:
    """Return the rate of COPY."""
    names = tuple(COLUMNS)[:17]
    columns = ", ".join(f"{name} {'jsonb' if name == 'data' else COLUMNS[name]}" for name in names)
    await server.as_root("drop schema if exists bare cascade; create schema bare")
    await server.as_root(f"create table rows ({columns}, primary key (id, received_at))", "bare")
    await server.as_root("grant all on schema bare to public; grant all on rows to public", "bare")
    made = {id(batch): [row_of(each).columns[:17] for each in batch] for batch in batches}
    async with contextlib.AsyncExitStack() as clients:
        opened = [await clients.enter_async_context(server.client()) for _ in range(at_once)]

        async def copy(number: int, batch: Sequence[Attempt]) -> None:
            await opened[number].copy_records_to_table(
                "rows", schema_name="bare", columns=names, records=made[id(batch)]
            )

        return await _all(batches, at_once, copy)


async def alone(
    server: PostgresServer, batches: Sequence[Sequence[Attempt]], at_once: int
) -> float:
    """Return the rate of the destination without a processor."""
    await server.as_root("drop schema if exists alone cascade")
    async with serving_postgres(server.target("alone", timeout_seconds=60)) as destination:
        # Its tables and today's partition are there before.
        assert await store(destination, batches[0][:1]) == Delivered()

        async def deliver(_: int, batch: Sequence[Attempt]) -> None:
            assert await store(destination, batch) == Delivered()

        return await _all(batches, at_once, deliver)


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Items a second, and what the faults left."""

    bare: float
    destination: float
    processor: float
    with_faults: PostgresRun


async def run(folder: Path, chosen: argparse.Namespace) -> Rates:
    """Measure all of it."""
    made = attempts(chosen.items)
    size, at_once = chosen.batch, chosen.connections
    batches = [made[at : at + size] for at in range(0, len(made), size)]
    shard = ShardConfig(raw_max_bytes=GIBIBYTE, events_max_bytes=GIBIBYTE)
    batch = Batch(max_items=size, max_wait_seconds=0.02)
    messages = chosen.items // len(STATUSES)
    async with PostgresServer(folder, fsync="on") as server:
        copied, stored = [], []
        for _ in range(chosen.rounds):
            copied.append(await bare(server, batches, at_once))
            stored.append(await alone(server, batches, at_once))
            print(f"  bare {copied[-1]:,.0f}/s, destination {stored[-1]:,.0f}/s", flush=True)
        runs = []
        for with_faults in (False, True):
            own = folder / str(with_faults)
            own.mkdir()
            runs.append(
                await postgres_drill(
                    own,
                    server,
                    messages,
                    batch=batch,
                    with_faults=with_faults,
                    within=600,
                    shard=shard,
                )
            )
            print(f"  processor {runs[-1].items / runs[-1].seconds:,.0f}/s", flush=True)
    assert runs[0].is_right, runs[0]
    return Rates(
        bare=max(copied),
        destination=max(stored),
        processor=runs[0].items / runs[0].seconds,
        with_faults=runs[1],
    )


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-postgres",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=100, help="items of a batch")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2, help="of the first two; the best counts")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    chosen.items -= chosen.items % len(STATUSES)
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        found = asyncio.run(run(Path(name), chosen))
    faults = found.with_faults
    reached = [
        Goal(
            what=f"destination against bare COPY of {chosen.batch} rows: {GOAL}",
            reached=f"{found.destination / found.bare:.2f}",
            holds=found.destination >= GOAL * found.bare,
        ),
        Goal(
            what=f"processor against bare COPY of {chosen.batch} rows: {GOAL}",
            reached=f"{found.processor / found.bare:.2f}",
            holds=found.processor >= GOAL * found.bare,
        ),
        Goal(
            what=f"{faults.items:,} items once, while all is killed",
            reached=f"{faults.rows:,} rows, {faults.ids:,} ids, {faults.read:,} states",
            holds=faults.is_right,
        ),
    ]
    rates = [
        (name, f"{getattr(found, name):,.0f}/s") for name in ("bare", "destination", "processor")
    ]
    rates.append(("processor, with faults", f"{faults.items / faults.seconds:,.0f}/s"))
    sections = [
        goals_section(reached),
        Section(title="Items a second", columns=("what", "rate"), rows=rates),
        Section(title="What was done", columns=("what",), rows=[(each,) for each in faults.events]),
    ]
    show(sections)
    if chosen.record:
        keep("bench-postgres", "Into a PostgreSQL", sections, msgspec.to_builtins(found))
    return int(not all(goal.holds for goal in reached))


if __name__ == "__main__":
    sys.exit(main())
