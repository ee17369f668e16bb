"""How the splitter stores a wave: in order, each item once, and what a refusal means."""

import functools
import operator

import pytest
from structlog.testing import capture_logs

from forebay.core import envelope
from forebay.core.subjects import conversation_partition, conversation_token
from forebay.runtime.jetstream.errors import StoreFull, StoreUnavailable
from support.processor.split_alone import NAME, SplitAlone, texts_of
from support.timing.wait import eventually


def key(own: str) -> str:
    return f"msg:1065:{own}"


@pytest.fixture
async def alone() -> SplitAlone:
    return SplitAlone()


async def test_conversations_go_side_by_side_and_each_in_its_order(alone: SplitAlone) -> None:
    message = alone.message(
        texts_of(("a1", "1"), ("b1", "2"), ("a2", "1"), ("a3", "1"), ("b2", "2"))
    )
    async with alone.running():
        alone.hand_out(message)
        await eventually(lambda: alone.acks.acked == [1])
    assert alone.streams.waves == [
        [key("a1"), key("b1")],
        [key("a2"), key("b2")],
        [key("a3")],
    ]


async def test_each_answer_of_a_wave_counts_for_its_own_item(alone: SplitAlone) -> None:
    streams = alone.streams
    streams.answers['"full"'] = [StoreFull("no room")]
    alone.too_large('"large"')
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("known", "0"))))
        await eventually(lambda: alone.acks.acked == [1])
        people = [("new", "1"), ("full", "2"), ("known", "0"), ("large", "4"), ("last", "5")]
        alone.hand_out(*(alone.message(texts_of(each)) for each in people))
        await eventually(lambda: len(alone.acks.acked) == 6)
    assert sorted(alone.acks.acked) == [1, 2, 3, 4, 5, 6]
    assert sorted(streams.keys) == sorted(map(key, ("known", "new", "full", "last")))
    # The one that NATS will never take is kept with its whole webhook.
    ((subject, body, headers),) = streams.raw
    assert ".invalid." in subject
    assert body == texts_of(("large", "4"))
    assert headers[envelope.REASON] == "ItemTooLarge"


async def test_nothing_overtakes_what_could_not_be_stored(alone: SplitAlone) -> None:
    alone.streams.answers['"a2"'] = [StoreFull("no room")] * 2
    first = alone.message(texts_of(("a1", "1"), ("a2", "1"), ("a3", "1"), ("b1", "2")))
    second = alone.message(texts_of(("a4", "1"), ("b2", "2")))
    async with alone.running():
        alone.hand_out(first)
        alone.hand_out(second)
        await eventually(lambda: alone.acks.acked == [1, 2])
    order = alone.streams.keys
    assert [each for each in order if ":a" in each] == [key(f"a{n}") for n in (1, 2, 3, 4)]
    assert [each for each in order if ":b" in each] == [key("b1"), key("b2")]


async def test_a_refused_item_of_the_same_content_is_a_repeat(alone: SplitAlone) -> None:
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.keys == [key("a")]
    assert alone.streams.reads == 0  # an ordinary repeat costs no read


async def test_a_message_that_names_its_person_in_another_way_is_a_repeat(
    alone: SplitAlone,
) -> None:
    partitions = {
        conversation_partition(NAME, conversation_token("1065", person), "0")
        for person in ("1", "2")
    }
    assert len(partitions) == 2
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        alone.hand_out(alone.message(texts_of(("a", "2"))))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.keys == [key("a")]


async def test_a_process_that_remembers_nothing_reads_what_is_stored(alone: SplitAlone) -> None:
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        await eventually(lambda: alone.acks.acked == [1])
    alone.splitter = alone.new_splitter()
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.keys == [key("a")]
    assert alone.streams.reads == 1


@pytest.mark.parametrize("is_cold", [False, True], ids=["same process", "another process"])
async def test_other_content_under_a_known_key_is_a_variant_and_comes_once(
    alone: SplitAlone, *, is_cold: bool
) -> None:
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"), text="not available")))
        await eventually(lambda: alone.acks.acked == [1])
    for wanted in ([1, 2], [1, 2, 3]):
        if is_cold:
            alone.splitter = alone.new_splitter()
        async with alone.running():
            alone.hand_out(alone.message(texts_of(("a", "1"), text="the real text")))
            await eventually(functools.partial(operator.eq, alone.acks.acked, wanted))
    (first, _, headers), (second, payload, others) = alone.streams.events.values()
    assert first != second
    assert b'"variant":true' in payload
    assert headers[envelope.DIGEST] != others[envelope.DIGEST]
    assert alone.streams.keys[1] == f"{key('a')}~{others[envelope.DIGEST]}"


async def test_nothing_overtakes_a_variant_that_events_has_no_room_for(alone: SplitAlone) -> None:
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"), text="not available")))
        await eventually(lambda: alone.acks.acked == [1])
        alone.streams.answers['"variant":true'] = [StoreFull("no room")] * 2
        alone.hand_out(alone.message(texts_of(("a", "1"), ("b", "1"), text="the real text")))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.answers['"variant":true'] == []
    assert [each.partition("~")[0] for each in alone.streams.keys] == [key("a"), key("a"), key("b")]


async def test_without_an_answer_nothing_is_guessed(alone: SplitAlone) -> None:
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"), text="first")))
        await eventually(lambda: alone.acks.acked == [1])
        alone.streams.is_silent = True
        alone.hand_out(alone.message(texts_of(("a", "1"), ("b", "1"), text="second")))
        await eventually(lambda: alone.streams.reads >= 2)
        assert alone.acks.acked == [1]
        assert alone.streams.keys == [key("a")]
        alone.streams.is_silent = False
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert [each.partition("~")[0] for each in alone.streams.keys] == [key("a"), key("a"), key("b")]


async def test_what_is_gone_meanwhile_is_stored_again(alone: SplitAlone) -> None:
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"), text="first")))
        await eventually(lambda: alone.acks.acked == [1])
        alone.streams.gone = [1]
        alone.hand_out(alone.message(texts_of(("a", "1"), text="second")))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.keys == [key("a")]
    assert b"second" in next(iter(alone.streams.events.values()))[1]


async def test_a_lost_partition_stores_and_acks_nothing_more(alone: SplitAlone) -> None:
    alone.streams.answers['"a"'] = [StoreUnavailable("away")] * 3
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        await eventually(lambda: alone.streams.waves)
        alone.partition.lose()
        alone.hand_out(alone.message(texts_of(("b", "1"))))
        await eventually(lambda: alone.splitter.lag().items == 0)
    assert alone.acks.acked == []
    assert alone.streams.keys == []


async def test_a_webhook_whose_ack_was_lost_is_acked_again_and_not_split_again(
    alone: SplitAlone,
) -> None:
    body = texts_of(("a", "1"))
    async with alone.running():
        alone.hand_out(alone.message_at(1, body))
        await eventually(lambda: alone.acks.acked == [1])
        # EVENTS has forgotten the claim meanwhile: it would not refuse the item.
        alone.streams.events.clear()
        alone.hand_out(alone.message_at(1, body))
        await eventually(lambda: alone.acks.acked == [1, 1])
    assert alone.streams.waves == [[key("a")]]


async def test_while_nats_is_silent_it_is_not_asked_without_a_pause(alone: SplitAlone) -> None:
    body = texts_of(("a", "1"))
    async with alone.running():
        alone.hand_out(alone.message(body))
        await eventually(lambda: alone.acks.acked == [1])
    alone.splitter = alone.new_splitter()
    alone.streams.is_silent = True
    with capture_logs() as logged:
        async with alone.running():
            alone.hand_out(alone.message(body))
            await eventually(
                lambda: "split_stalled" in [each["event"] for each in logged],
                saying="the splitter to say that it waits",
            )


async def test_a_wave_of_large_items_ends_before_it_has_many(alone: SplitAlone) -> None:
    # Two of them are above the bytes of a wave.
    people = [("a", "1"), ("b", "2"), ("c", "3")]
    async with alone.running():
        alone.hand_out(alone.message(texts_of(*people, text="x" * 300_000)))
        await eventually(lambda: alone.acks.acked == [1])
    assert alone.streams.waves == [[key("a"), key("b")], [key("c")]]
