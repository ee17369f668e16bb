"""RETRY is read in pages, in order and whole, however much there is and whatever gets lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest_asyncio
from nats.aio.client import Client

from forebay.runtime.jetstream.api import call
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.fast_subscriptions import QuickClient
from forebay.runtime.jetstream.streams import ensure_shard
from forebay_processor.adapters.retry_page_reader import RetryPages, first_row, row_at
from forebay_processor.adapters.streams import Streams
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD

STREAM: Final = "FOREBAY_RETRY_0"
LARGE: Final = 1_300
"""More than the server looks at in one direct get."""

OWN: Final = "forebay.retry.0.00.live.demo.shop.sink."


@pytest_asyncio.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Give a client as the processor has one, on a server with the shard's streams."""
    client = QuickClient()
    await client.connect(nats_server.url)
    await ensure_shard(client, SHARD)
    yield client
    await client.close()


async def store(client: Client, count: int, payload: bytes = b"x", *, first: int = 0) -> list[int]:
    """Store rows of ten conversations by turns, with others between them; their sequences."""
    context = client.jetstream()
    acks = []
    for number in range(first, first + count):
        await context.publish(f"forebay.retry.0.01.live.demo.shop.sink.c.{number}", b"other")
        subject = f"{OWN}c{number % 10}.{number}"
        acks.append(await context.publish(subject, payload, headers={"Forebay-Order": str(number)}))
    return [each.seq for each in acks]


async def read(pages: RetryPages, limit: int, subjects: str = f"{OWN}>") -> list[int]:
    """Read all there is, page by page."""
    found: list[int] = []
    after = 0
    while page := await pages.rows(STREAM, subjects, after, limit):
        assert len(page) <= limit
        found += [row.sequence for row in page]
        after = page[-1].sequence
    return found


async def consumers(client: Client) -> list[str]:
    """Return the names of RETRY's consumers."""
    names = (await call(client, f"CONSUMER.NAMES.{STREAM}", {}))["consumers"]
    return list(names or [])


async def test_a_small_lane_is_read_without_a_consumer(client: Client) -> None:
    stored = await store(client, 30)
    pages = RetryPages(client)
    assert await read(pages, 7) == stored
    assert await consumers(client) == []
    (row, *_) = await pages.rows(STREAM, f"{OWN}>", stored[3], 1)
    assert (row.subject, row.sequence) == (f"{OWN}c4.4", stored[4])
    assert (row.headers, row.payload) == ({"Forebay-Order": "4"}, b"x")


async def test_one_conversation_is_read_up_to_its_last_noted_row(client: Client) -> None:
    stored = await store(client, 50)
    pages = RetryPages(client)
    found = await pages.rows(STREAM, f"{OWN}c3.*", stored[3], 32, stored[33])
    assert [row.sequence for row in found] == [stored[13], stored[23], stored[33]]


async def test_a_long_conversation_is_read_by_one_consumer_and_never_beyond_what_was_noted(
    client: Client,
) -> None:
    context = client.jetstream()
    acks = await asyncio.gather(
        *(context.publish(f"{OWN}c.{number}", b"") for number in range(LARGE))
    )
    stored = sorted(each.seq for each in acks)
    pages = RetryPages(client)
    subjects = f"{OWN}c.*"
    names = set()
    found: list[int] = []
    while len(found) < 100:
        page = await pages.rows(STREAM, subjects, found[-1] if found else 0, 32, stored[99])
        found += [row.sequence for row in page]
        names.update(await consumers(client))
    assert found == stored[:100]
    assert len(names) == 1
    # The last page went beyond that, and those rows are not lost.
    page = await pages.rows(STREAM, subjects, stored[99], 32, stored[-1])
    assert [row.sequence for row in page] == stored[100:132]


async def test_a_consumer_goes_on_behind_what_its_reader_got_elsewhere(client: Client) -> None:
    stored = await store(client, LARGE)
    pages = RetryPages(client)
    await pages.rows(STREAM, f"{OWN}>", 0, 10)
    (name,) = await consumers(client)
    found = await pages.rows(STREAM, f"{OWN}>", stored[12], 10)
    assert [row.sequence for row in found] == stored[13:20]
    assert await consumers(client) == [name]


async def test_a_large_lane_is_read_by_a_consumer_and_in_order(client: Client) -> None:
    stored = await store(client, LARGE)
    pages = RetryPages(client)
    found = await pages.rows(STREAM, f"{OWN}>", 0, 256)
    assert [row.sequence for row in found] == stored[:256]
    assert found[4].headers == {"Forebay-Order": "4"}
    (name,) = await consumers(client)
    found = await pages.rows(STREAM, f"{OWN}>", stored[255], 256)
    assert [row.sequence for row in found] == stored[256:512]
    assert await consumers(client) == [name]
    # One that is gone is made again where the last page ended.
    await call(client, f"CONSUMER.DELETE.{STREAM}.{name}", {})
    found = await pages.rows(STREAM, f"{OWN}>", stored[511], 256)
    assert [row.sequence for row in found] == stored[512:768]
    # Whoever goes back is not given what comes next.
    found = await pages.rows(STREAM, f"{OWN}>", stored[99], 10)
    assert [row.sequence for row in found] == stored[100:110]
    await pages.close()
    assert await consumers(client) == []


async def test_no_row_is_passed_over_that_was_lost_on_its_way(client: Client) -> None:
    stored = await store(client, LARGE)
    pages = RetryPages(client, seconds=0.3)
    found = await pages.rows(STREAM, f"{OWN}>", 0, 10)
    (name,) = await consumers(client)
    # Somebody else is handed what would have come next.
    inbox = client.new_inbox()
    lost = await client.subscribe(inbox)
    await client.publish(
        f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}", b'{"batch":3,"no_wait":true}', inbox
    )
    for _ in range(3):
        await lost.next_msg(timeout=5)
    seen = [row.sequence for row in found]
    while len(seen) < 30:
        try:
            page = await pages.rows(STREAM, f"{OWN}>", seen[-1], 10)
        except StoreUnavailable:
            continue
        seen += [row.sequence for row in page]
    assert seen == stored[:30]


async def test_rows_larger_than_a_page_come_alone(client: Client) -> None:
    few = await store(client, 3, payload=b"y" * (700 * 1024))
    pages = RetryPages(client)
    assert await read(pages, 256) == few
    await store(client, LARGE, first=3)
    (row, *_) = await pages.rows(STREAM, f"{OWN}>", 0, 256)
    assert (row.sequence, len(row.payload)) == (few[0], 700 * 1024)


async def test_no_more_consumers_are_there_than_may_be(client: Client) -> None:
    context = client.jetstream()
    lanes = [f"forebay.retry.0.{number:02d}.bulk.demo.shop.sink." for number in range(3)]
    for lane in lanes:
        await asyncio.gather(
            *(context.publish(f"{lane}c.{number}", b"") for number in range(LARGE))
        )
    pages = RetryPages(client, consumers=2)
    for _ in range(2):
        for lane in lanes:
            assert len(await pages.rows(STREAM, f"{lane}>", 0, 5)) == 5
            assert len(await consumers(client)) <= 2


async def test_the_consumer_that_was_not_used_for_longest_goes_first(client: Client) -> None:
    context = client.jetstream()
    lanes = [f"forebay.retry.0.{number:02d}.bulk.demo.shop.sink.>" for number in range(3)]
    for lane in lanes:
        await asyncio.gather(
            *(context.publish(f"{lane[:-1]}c.{number}", b"") for number in range(LARGE))
        )
    pages = RetryPages(client, consumers=2)
    first = await pages.rows(STREAM, lanes[0], 0, 5)
    (used,) = await consumers(client)
    await pages.rows(STREAM, lanes[1], 0, 5)
    await pages.rows(STREAM, lanes[0], first[-1].sequence, 5)
    await pages.rows(STREAM, lanes[2], 0, 5)
    assert used in await consumers(client)


async def test_headers_are_read_whole_though_rows_go_meanwhile(client: Client) -> None:
    stored = await store(client, 40)
    streams = Streams(client)
    seen: list[int] = []
    async for page in streams.header_pages(STREAM, f"{OWN}>", 0, 10):
        seen += [row.sequence for row in page]
        assert {row.payload for row in page} == {b""}
        # What was seen, and what comes last, is delivered meanwhile.
        for sequence in (page[0].sequence, stored[-len(seen) // 10]):
            await streams.delete(STREAM, sequence)
    assert set(seen) <= set(stored)
    assert len(seen) >= 36
    assert await consumers(client) == []


async def test_the_leader_names_the_first_row_and_any_row(client: Client) -> None:
    stored = await store(client, 5)
    found = await first_row(client, STREAM, f"{OWN}>", stored[1])
    assert found is not None
    assert (found.sequence, found.payload) == (stored[2], b"x")
    assert found.headers["Forebay-Order"] == "2"
    assert await first_row(client, STREAM, f"{OWN}>", stored[4]) is None
    assert (await row_at(client, STREAM, stored[3])) is not None
    await Streams(client).delete(STREAM, stored[3])
    assert await row_at(client, STREAM, stored[3]) is None
