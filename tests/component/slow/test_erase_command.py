"""`forebay erase`: nothing of one person is left in any stream, and everything of the others is."""

import base64
import collections
import json
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import pytest_asyncio

from forebay.core.index_records import decode_records
from forebay.core.subjects import Lane, conversation_token, index_stream, key_token
from forebay.core.tables import Retry
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.stream_reader import read_pages
from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard
from support.inputs.bulk_webhooks import Webhook, store_all
from support.nats.nats_server import NatsServer
from support.processor.processor_harness import (
    CHANNEL,
    DEAD,
    EVENTS,
    RAW,
    RETRY,
    ProcessorHarness,
    token,
    webhook,
)
from support.programs.dead_command import Ended, forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERSONS = 10_000
ERASED = 4_321
STREAMS = (RAW, EVENTS, RETRY, DEAD, index_stream("0"))
MEBIBYTE = 1024 * 1024
OTHER_CHANNEL = "108200000000302"
LATER = Retry(initial_delay_seconds=3600, max_delay_seconds=3600)


def number(person: int) -> str:
    return f"1555{person:07}"


def message(person: int, which: int = 0) -> str:
    """Return an id as WhatsApp makes them: with the person's number in base64."""
    inner = base64.b64encode(b"\x1d\x0b" + number(person).encode() + b"\x15%d" % which)
    return f"wamid.{inner.decode()}"


def traces_of(person: int, messages: Sequence[str]) -> list[bytes]:
    """Return all that could lead to a person."""
    found = [number(person), *messages]
    for channel in (CHANNEL, OTHER_CHANNEL):
        found.append(conversation_token(channel, number(person)))
        found += [token(each, channel) for each in messages]
    return [each.encode() for each in found]


async def everything(processor: ProcessorHarness, stream: str) -> list[StoredMessage]:
    pages = read_pages(processor.client, stream, ">")
    return [stored async for page in pages for stored in page]


def as_bytes(stored: StoredMessage) -> bytes:
    head = json.dumps([stored.subject, stored.headers]).encode()
    return head + stored.payload


async def erase(processor: ProcessorHarness, name: str, *options: str) -> Ended:
    url = processor.stack.nats_server.url
    ended = await forebay("erase", "-e", f"demo/{name}", *options, "--json", nats_url=url)
    assert (ended.code, ended.err) == (0, ""), ended
    return ended


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessorHarness]:
    shard = ShardConfig(
        raw_max_bytes=256 * MEBIBYTE,
        events_max_bytes=256 * MEBIBYTE,
        retry_max_bytes=64 * MEBIBYTE,
        dead_max_bytes=64 * MEBIBYTE,
    )
    async with ProcessorHarness(tmp_path_factory.mktemp("erase"), shard=shard) as running:
        yield running


def webhooks() -> Iterator[Webhook]:
    """Give a webhook of each person, and one in ten with two of the next person as well."""
    for person in range(PERSONS):
        both = [(message(person), number(person))]
        if person % 10 == 1:
            both += [(message(person + 1, 1), number(person + 1))]
        # What identifies it is in its trace, and so at both items.
        yield Webhook(key_token(f"webhook {person}"), webhook(*both))


async def test_one_of_ten_thousand_persons_leaves_nothing(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    own = [message(ERASED), message(ERASED, 2), message(ERASED, 3), message(ERASED, 4)]
    # Delivered, and in a webhook with another one's; at another channel dead, waiting, behind it.
    assert ERASED % 10 == 1
    picky = processor.http(name, retry=LATER, channels=(OTHER_CHANNEL,))
    await processor.serve(name, processor.log(), picky)
    processor.sink.refuse_key(token(own[1], OTHER_CHANNEL), 422)
    for each in (own[2], "wamid.others"):
        processor.sink.refuse_key(token(each, OTHER_CHANNEL))
    await store_all(processor.stack.nats_server.url, webhooks(), Lane.LIVE, f"demo/{name}")
    for each in own[1:]:
        await processor.store(name, webhook((each, number(ERASED)), channel=OTHER_CHANNEL))
    await processor.store(name, webhook(("wamid.others", number(7)), channel=OTHER_CHANNEL))
    items = PERSONS + PERSONS // 10 + 4

    async def is_done() -> bool:
        return (
            await processor.count(EVENTS, f"forebay.event.*.*.*.demo.{name}.>") == items
            and await processor.unacked(EVENTS) == 0
            and await processor.unacked(RAW) == 0
            and await processor.letters(name) == 1
            and await processor.rows(name) == 3
        )

    await eventually(is_done, within=90, saying="all to be split and tried")
    # Their stores, and what happened at one or two destinations.
    gone = {token(own[0]), *(token(each, OTHER_CHANNEL) for each in own[1:])}
    index_done = 2 + 3 * 3

    async def is_written() -> bool:
        records = [
            record
            for stored in await everything(processor, index_stream("0"))
            for record in decode_records(stored.payload)
        ]
        return sum(each.token in gone for each in records) >= index_done

    await eventually(is_written, within=30, saying="the index to have it")

    traces = traces_of(ERASED, own)
    before = {stream: await everything(processor, stream) for stream in STREAMS}
    for stream in STREAMS:
        assert any(trace in as_bytes(m) for m in before[stream] for trace in traces), stream

    dry = (await erase(processor, name, "--user", number(ERASED), "--dry-run")).record
    assert dry["changed"] is False
    assert {stream: await everything(processor, stream) for stream in STREAMS} == before

    done = (await erase(processor, name, "--user", number(ERASED), "--yes")).record
    assert done["changed"] is True
    assert {each["stream"]: each["erased"] for each in done["streams"]} == {
        each["stream"]: each["found"] for each in dry["streams"]
    }
    assert not any(each["left"] for each in done["streams"])

    after = {stream: await everything(processor, stream) for stream in STREAMS}
    for stream in STREAMS:
        left = b"\n".join(map(as_bytes, after[stream]))
        assert not [trace for trace in traces if trace in left], stream

    # Of the others: every item, every row and letter, byte by byte.
    for stream in (EVENTS, RETRY, DEAD):
        kept = [m for m in before[stream] if not any(t in as_bytes(m) for t in traces)]
        assert after[stream] == kept
    # RAW loses the webhook of two persons: what the other sent is an item of its own.
    assert len(before[RAW]) - len(after[RAW]) == len(own)
    other = message(ERASED + 1, 1)
    assert any(token(other) in m.subject for m in after[EVENTS])

    # And every record of the index; those that shared a message were stored anew.
    def others(messages: list[StoredMessage]) -> collections.Counter[str]:
        records = (r for m in messages for r in decode_records(m.payload))
        return collections.Counter(str(r) for r in records if r.token not in gone)

    assert others(after[index_stream("0")]) == others(before[index_stream("0")])


async def test_a_conversation_s_token_is_enough(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.send(name, "wamid.e.one", person="15559990001")
    await processor.send(name, "wamid.e.two", person="15559990002")
    await processor.wait_delivered(name, [token("wamid.e.one"), token("wamid.e.two")])
    conversation = conversation_token(CHANNEL, "15559990001")

    async def is_gone() -> bool:
        # Its webhook is split when its item is delivered, and acked a moment later.
        done = (await erase(processor, name, "--conversation", conversation, "--yes")).record
        left = b"".join(
            [as_bytes(m) for stream in STREAMS for m in await everything(processor, stream)]
        )
        assert b"15559990002" in left
        assert done["names"] == 1
        return b"15559990001" not in left and conversation.encode() not in left

    await eventually(is_gone, within=20, saying="all of it to be gone")


@pytest.fixture
async def nats(nats_server: NatsServer) -> NatsServer:
    """Give a NATS with streams and no processor: nothing is split."""
    async with nats_server.client() as client:
        await ensure_shard(client, ShardConfig())
    return nats_server


@pytest.mark.asyncio(loop_scope="function")
async def test_a_webhook_of_several_that_is_not_split_is_left_and_said(nats: NatsServer) -> None:
    bodies = [
        webhook(("wamid.1", number(1)), ("wamid.2", number(2))),
        webhook(("wamid.3", number(1))),
        webhook(("wamid.4", number(2))),
    ]
    several = [Webhook(token(f"wamid.{n}"), body) for n, body in enumerate(bodies)]
    await store_all(nats.url, several, Lane.LIVE, "demo/meta")
    ended = await forebay("erase", "-e", "demo/meta", "--user", number(1), "-y", nats_url=nats.url)
    assert ended.code == 0
    assert "left: 1 that hold others too (not split yet)" in ended.out
    async with nats.client() as client:
        left = [m.payload async for p in read_pages(client, RAW, ">") for m in p]
    assert left == [bodies[0], bodies[2]]


@pytest.mark.asyncio(loop_scope="function")
async def test_what_is_erased_is_overwritten_on_disk(nats: NatsServer) -> None:
    own = Webhook(token("wamid.1"), webhook(("wamid.1", number(1)), text="a private sentence"))
    other = Webhook(token("wamid.2"), webhook(("wamid.2", number(2)), text="another sentence"))
    await store_all(nats.url, [own, other], Lane.LIVE, "demo/meta")
    await forebay("erase", "-e", "demo/meta", "--user", number(1), "--yes", nats_url=nats.url)
    await nats.stop()
    blocks = b"".join(each.read_bytes() for each in nats.store.rglob("*.blk"))
    assert b"another sentence" in blocks
    assert b"a private sentence" not in blocks
    assert number(1).encode() not in blocks


@pytest.mark.asyncio(loop_scope="function")
async def test_without_anyone_to_ask_nothing_is_erased(nats: NatsServer) -> None:
    ended = await forebay("erase", "-e", "demo/meta", "--user", number(1), nats_url=nats.url)
    assert ended.code == 2
    assert "say --yes, or --dry-run" in ended.err


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ((), "say who: either --user or --conversation"),
        (("--user", "1555", "--conversation", "0" * 16), "say who"),
        (("--user", "1555"), "--user has to be of 5 to 128 characters"),
        (("--user", "+15550001234"), "without +"),
        (("--conversation", "c0ffee"), "it is of 16 hex digits"),
        (("--user", "15550001", "-e", "shop"), "give one such as acme/shop"),
    ],
)
@pytest.mark.asyncio(loop_scope="function")
async def test_options_that_cannot_be_get_a_sentence(options: tuple[str, ...], advice: str) -> None:
    ended = await forebay("erase", "-e", "demo/meta", *options, nats_url="nats://127.0.0.1:1")
    assert ended.code == 2
    assert advice in ended.err
