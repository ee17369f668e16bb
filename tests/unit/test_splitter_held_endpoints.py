"""Webhooks of an endpoint of which there is no room for more stay in RAW, and are split later."""

from forebay.core import envelope
from forebay.core.subjects import Lane, RawSubject
from forebay.runtime.jetstream.errors import StoreFull
from support.processor.split_alone import NAME, SplitAlone, texts_of
from support.timing.wait import eventually

BODY = texts_of(("m1", "15550000001"))


async def test_a_webhook_of_a_held_endpoint_is_set_aside_and_acked() -> None:
    alone = SplitAlone()
    alone.held.add(NAME)
    async with alone.running():
        alone.hand_out(alone.message(BODY))
        await eventually(lambda: alone.acks.acked == [1])
    ((subject, body, headers),) = alone.streams.raw
    assert (RawSubject.parse(subject).lane, body) == (Lane.INVALID, BODY)
    assert headers[envelope.REASON] == "NoRoom"
    assert alone.streams.keys == []


async def test_it_is_split_when_it_is_replayed_and_nothing_holds_it() -> None:
    alone = SplitAlone()
    async with alone.running():
        alone.hand_out(alone.message(BODY, Lane.INVALID))
        await eventually(lambda: alone.acks.acked == [1])
    assert len(alone.streams.keys) == 1
    assert alone.streams.raw == []


async def test_a_replay_of_what_is_held_still_is_set_aside_again_and_nothing_doubled() -> None:
    alone = SplitAlone()
    alone.held.add(NAME)
    async with alone.running():
        alone.hand_out(alone.message(BODY, Lane.INVALID))
        await eventually(lambda: alone.acks.acked == [1])
        await eventually(lambda: alone.streams.deleted == [1])
    assert [headers[envelope.REASON] for _, _, headers in alone.streams.raw] == ["NoRoom"]


async def test_a_webhook_that_finds_no_room_beside_comes_again() -> None:
    alone = SplitAlone()
    alone.held.add(NAME)
    alone.streams.refusal = StoreFull("no room")
    async with alone.running():
        alone.hand_out(alone.message(BODY))
        await eventually(lambda: alone.acks.sent_back == [1])
    assert alone.acks.acked == []
