"""The index is not in the way: without its stream, or switched off, items are delivered as ever."""

from pathlib import Path

from nats.js.api import StreamState

from forebay.core.subjects import index_stream
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

METRIC = "forebay_processor_index_records_total"


async def stored(processor: ProcessorHarness) -> StreamState:
    """Return what the index holds."""
    return (await processor.client.jetstream().stream_info(index_stream("0"))).state


async def test_items_are_delivered_where_the_stream_is_missing_and_records_counted(
    tmp_path: Path,
) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        await processor.client.jetstream().delete_stream(index_stream("0"))
        name = processor.plain()
        await processor.send(name, "wamid.1")
        await processor.wait_delivered(name, [token("wamid.1")])

        async def is_dropped() -> bool:
            return await processor.part.metric(METRIC, outcome="dropped") == 2

        await eventually(is_dropped)


async def test_what_is_left_at_the_end_of_a_process_is_stored(tmp_path: Path) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        name = processor.plain()
        await processor.send(name, "wamid.1")
        await processor.wait_delivered(name, [token("wamid.1")])
        assert await processor.part.terminate() == 0
        assert (await stored(processor)).messages


async def test_switched_off_nothing_is_kept(tmp_path: Path) -> None:
    async with ProcessorHarness(tmp_path, FOREBAY_PROCESSOR_INDEX="false") as processor:
        name = processor.plain()
        await processor.send(name, "wamid.1")
        await processor.wait_delivered(name, [token("wamid.1")])
        assert await processor.part.terminate() == 0
        assert (await stored(processor)).messages == 0
