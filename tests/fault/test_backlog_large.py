"""A large backlog is worked off in bounded memory, in order and once, though its owner dies."""

from pathlib import Path
from typing import Final

import msgspec

from forebay.core.tables import Retry
from support.destinations.quick_sink import QuickSink
from support.processor.backlog import FAILING, out_of_order, peak_mib, rows, store_rows
from support.processor.processor_harness import ProcessorHarness
from support.programs.stack import SHARD
from support.timing.wait import eventually

ENTRIES: Final = 30_000
CONVERSATIONS: Final = 3_000
PLACES: Final = 64

BOUND_MIB: Final = 40
"""Above what a processor needs without a backlog. These entries took 54 MiB as objects of 1.8 kB,
before any of them was tried."""


async def test_a_large_backlog_comes_once_and_in_order_though_its_owner_dies(
    tmp_path: Path,
) -> None:
    shard = msgspec.structs.replace(SHARD, retry_max_bytes=256 * 1024 * 1024)
    async with QuickSink(tmp_path) as sink, ProcessorHarness(tmp_path, shard=shard) as processor:
        name = processor.new_name()
        http = processor.http(name, url=sink.url(), max_in_flight=PLACES, retry=Retry())
        await processor.serve(name, http)
        empty = peak_mib(processor.part.pid)
        await processor.part.terminate()
        stored = list(rows(ENTRIES, [name], CONVERSATIONS))
        await store_rows(processor.stack.nats_server.url, stored)
        await processor.part.start()

        async def some_came() -> bool:
            return await sink.count() >= ENTRIES / 5

        await eventually(some_came, saying="a part to be delivered", within=30)
        peak = peak_mib(processor.part.pid)
        await processor.part.kill()
        await processor.part.start()

        async def all_came() -> bool:
            return len({key for key, _ in await sink.arrivals()}) == ENTRIES

        await eventually(all_came, saying="all to be delivered", within=40)
        peak = max(peak, peak_mib(processor.part.pid))
        arrived = [key for key, _ in await sink.arrivals()]
    assert set(arrived) == {row.key for row in stored}
    assert len(arrived) - ENTRIES <= PLACES
    assert out_of_order(stored, arrived) == 0
    assert peak - empty < BOUND_MIB


async def test_a_tenth_of_the_conversations_fails_and_the_rest_goes_out(tmp_path: Path) -> None:
    entries, people = 6_000, 3_000
    shard = msgspec.structs.replace(SHARD, retry_max_bytes=256 * 1024 * 1024)
    async with QuickSink(tmp_path) as sink, ProcessorHarness(tmp_path, shard=shard) as processor:
        name = processor.new_name()
        await sink.refuse(FAILING)
        await processor.serve(name, processor.http(name, url=sink.url(), retry=Retry()))
        await processor.part.terminate()
        stored = list(rows(entries, [name], people, failing_every=10))
        await store_rows(processor.stack.nats_server.url, stored)
        await processor.part.start()
        wanted = {row.key for row in stored if not row.key.startswith(FAILING)}

        async def all_others_came() -> bool:
            return await sink.count() >= len(wanted)

        await eventually(all_others_came, saying="what is taken to be delivered", within=30)
        arrived = [key for key, _ in await sink.arrivals()]
        assert set(arrived) == wanted
        assert out_of_order(stored, arrived) == 0
        # What failed is tried on its own account, and comes when it is taken.
        await sink.take_all()

        async def all_came() -> bool:
            return await sink.count() >= entries

        await eventually(all_came, saying="what failed to be delivered", within=30)
        assert out_of_order(stored, [key for key, _ in await sink.arrivals()]) == 0
