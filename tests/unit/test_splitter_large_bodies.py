"""A long body is cut in slices, within limits, and is acked when all of it is stored."""

import asyncio
import gzip
import json

import pytest

from forebay.core import envelope
from forebay.core.subjects import Lane
from forebay.runtime.jetstream.errors import StoreFull
from forebay_processor.splitting.body_limits import MOST_SAMPLES, BodyLimits
from forebay_processor.splitting.splitter import WAVE_ITEMS
from support.processor.split_alone import LIMITS, SplitAlone, texts_of
from support.timing.wait import eventually


def many(count: int, text: str = "hello") -> bytes:
    return texts_of(*((f"m{n}", f"1555{n:05}") for n in range(count)), text=text)


def rests(count: int) -> bytes:
    """Return a webhook of empty messages, each of which carries 1.9 KB of what stands beside."""
    value = {"metadata": {"phone_number_id": "1065"}, "x": "y" * 1850, "messages": [{}] * count}
    entry = {"id": "1022", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def test_a_body_is_acked_when_all_of_its_waves_are_stored() -> None:
    alone = SplitAlone()
    count = WAVE_ITEMS + 7
    alone.streams.answers[f'"m{count - 1}"'] = [StoreFull("no room")]
    async with alone.running():
        alone.hand_out(alone.message(many(count)))
        await eventually(lambda: len(alone.streams.keys) >= count - 1)
        assert alone.acks.acked == []
        await eventually(lambda: alone.acks.acked == [1])
    assert len(alone.streams.keys) == count
    assert max(map(len, alone.streams.waves)) <= WAVE_ITEMS


async def test_others_run_while_a_long_body_is_cut() -> None:
    # Each step is a turn of its own, however quick the machine is.
    alone = SplitAlone(turn_seconds=0.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while not alone.acks.acked:
            turns += 1
            await asyncio.sleep(0)

    async with alone.running():
        # In one go, six turns are left, one for each wave and what is around it.
        alone.hand_out(alone.message(many(900, "x" * 600)))
        await asyncio.wait_for(other(), 10)
    assert turns > 10


@pytest.mark.parametrize(
    ("body", "limits", "reason"),
    [
        (many(11), LIMITS._replace(items=10), "TooManyItems"),
        (many(600), LIMITS._replace(items=500), "TooManyItems"),
        (rests(900), LIMITS._replace(expansion=2), "ExpandsTooFar"),
        (many(2000), LIMITS._replace(values=5000), "TooManyValues"),
        (b"no JSON", LIMITS, "NotJson"),
        (b'{"order": 7}', LIMITS, "NoEnvelope"),
        (b'{"entry": []}', LIMITS, "NoEnvelope"),
    ],
    ids=["items", "items of a long body", "expansion", "values", "not JSON", "no shape", "empty"],
)
async def test_what_is_beyond_the_limits_is_set_aside_whole_with_its_reason(
    body: bytes, limits: BodyLimits, reason: str
) -> None:
    alone = SplitAlone(limits)
    async with alone.running():
        alone.hand_out(alone.message(body), alone.message(texts_of(("next", "1"))))
        await eventually(lambda: sorted(alone.acks.acked) == [1, 2])
    assert alone.streams.keys == ["msg:1065:next"]
    ((subject, kept, headers),) = alone.streams.raw
    assert subject == "forebay.raw.0.00.invalid.demo.shop"
    assert kept == body
    assert headers[envelope.REASON] == reason


async def test_a_body_of_very_many_channels_is_set_aside() -> None:
    """Filters check each channel of a body in one step, for each destination."""
    alone = SplitAlone()
    changes = [
        {"field": "messages", "value": {"metadata": {"phone_number_id": str(n)}, "messages": [{}]}}
        for n in range(MOST_SAMPLES + 1)
    ]
    body = json.dumps({"entry": [{"id": "1022", "changes": changes}]}).encode()
    async with alone.running():
        alone.hand_out(alone.message(body))
        await eventually(lambda: alone.acks.acked == [1])
    ((_, kept, headers),) = alone.streams.raw
    assert (kept, headers[envelope.REASON]) == (body, "TooManyItems")


async def test_a_compressed_body_waits_for_room_for_all_that_it_may_hold() -> None:
    alone = SplitAlone()
    small, large = texts_of(("small", "1")), texts_of(("large", "2"), text="x" * 100_000)
    async with alone.running(), alone.room.of(1):
        for body in (small, large):
            compressed = gzip.compress(body)
            alone.hand_out(alone.message(compressed, Content_Encoding="gzip"))
        await eventually(lambda: alone.room.waiting == 1)
        # Its wave may still be on its way when the large one begins to wait.
        await eventually(lambda: alone.acks.acked == [1], saying="the small one")
        assert alone.streams.keys == ["msg:1065:small"]
    async with alone.running():
        alone.hand_out(alone.message_at(2, gzip.compress(large), Content_Encoding="gzip"))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.keys == ["msg:1065:small", "msg:1065:large"]


async def test_room_for_a_large_body_is_free_when_its_items_are_stored() -> None:
    alone = SplitAlone(room=4 * 1024 * 1024)
    alone.streams.answers['"large"'] = [StoreFull("no room")]
    body = texts_of(("large", "1"), text="x" * 600_000)
    async with alone.running():
        alone.hand_out(alone.message(body))
        await eventually(lambda: alone.streams.waves, saying="a store that is refused")
        assert alone.room.free < 4 * 1024 * 1024
        await eventually(lambda: alone.acks.acked == [1])
        await eventually(lambda: alone.room.free == 4 * 1024 * 1024)


async def test_a_body_that_could_not_be_set_aside_is_not_acked() -> None:
    alone = SplitAlone()
    alone.streams.refusal = StoreFull("RAW is full")
    async with alone.running():
        alone.hand_out(alone.message(b"no JSON"))
        await eventually(lambda: alone.acks.sent_back == [1])
        assert alone.acks.acked == []
        alone.streams.refusal = None
        alone.hand_out(alone.message_at(1, b"no JSON"))
        await eventually(lambda: alone.acks.acked == [1])
    assert len(alone.streams.raw) == 1


async def test_a_webhook_with_an_item_that_is_too_large_is_not_acked_before_it_is_kept() -> None:
    alone = SplitAlone()
    alone.too_large('"large"')
    alone.streams.refusal = StoreFull("RAW is full")
    body = texts_of(("small", "1"), ("large", "2"))
    async with alone.running():
        alone.hand_out(alone.message(body))
        await eventually(lambda: alone.acks.sent_back == [1])
        assert alone.acks.acked == []
        alone.streams.refusal = None
        alone.hand_out(alone.message_at(1, body))
        await eventually(lambda: alone.acks.acked == [1])
    assert alone.streams.keys == ["msg:1065:small"]
    ((_, kept, headers),) = alone.streams.raw
    assert (kept, headers[envelope.REASON]) == (body, "ItemTooLarge")


async def test_a_person_may_let_a_body_hold_more() -> None:
    alone = SplitAlone(LIMITS._replace(items=10, values=20))
    async with alone.running():
        alone.hand_out(alone.message(many(600), Lane.INVALID, Forebay_Max_Items="600"))
        await eventually(lambda: alone.acks.acked == [1])
    assert len(alone.streams.keys) == 600
    assert alone.streams.raw == []


async def test_a_replayed_body_that_still_holds_too_much_says_so() -> None:
    alone = SplitAlone(LIMITS._replace(items=10))
    async with alone.running():
        alone.hand_out(alone.message(many(30), Lane.INVALID, Forebay_Max_Items="20"))
        await eventually(lambda: alone.acks.acked == [1])
        ((_, body, headers),) = alone.streams.raw
        assert headers[envelope.REASON] == "TooManyItems"
        again = alone.message(
            body, Lane.INVALID, Forebay_Max_Items="20", Forebay_Reason="TooManyItems"
        )
        alone.hand_out(again)
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert len(alone.streams.raw) == 1


async def test_a_replayed_body_stays_until_raw_has_room_for_the_copy_that_says_why() -> None:
    alone = SplitAlone(LIMITS._replace(items=10))
    alone.streams.refusal = StoreFull("RAW is full")
    async with alone.running():
        alone.hand_out(alone.message_at(1, many(30), Lane.INVALID))
        await eventually(lambda: alone.acks.sent_back == [1])
        assert (alone.acks.acked, alone.streams.deleted) == ([], [])
        alone.streams.refusal = None
        alone.hand_out(alone.message_at(1, many(30), Lane.INVALID))
        await eventually(lambda: alone.streams.deleted == [1])
    assert alone.acks.acked == [1]
    assert [headers[envelope.REASON] for _, _, headers in alone.streams.raw] == ["TooManyItems"]


async def test_a_webhook_that_comes_again_while_it_is_in_hand_is_passed_over() -> None:
    alone = SplitAlone()
    alone.streams.answers['"a"'] = [StoreFull("no room")]
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a", "1"))))
        await eventually(lambda: alone.streams.waves)
        alone.hand_out(alone.message_at(1, texts_of(("a", "1"))))
        await eventually(lambda: alone.acks.acked == [1])
        alone.hand_out(alone.message(texts_of(("b", "1"))))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert alone.streams.keys == ["msg:1065:a", "msg:1065:b"]
