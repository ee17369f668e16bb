"""Messages that are awaited together: each answer belongs to its own message, whenever it comes."""

import asyncio
import itertools

from forebay.runtime.jetstream.errors import (
    ClaimedBefore,
    MessageTooLarge,
    StoreError,
    StoreUnavailable,
)
from forebay.runtime.jetstream.pending_publish import BatchPublish, Message, PubAck, PublishBatch

ANSWERS: list[PubAck | StoreError] = [
    ClaimedBefore("a repeat"),
    PubAck(stream="FOREBAY_EVENTS_0", seq=7),
    MessageTooLarge("too large"),
    PubAck(stream="FOREBAY_EVENTS_0", seq=8),
]


def sent(batch: PublishBatch) -> list[BatchPublish]:
    """Return the messages of a batch as they are under way."""
    messages: list[Message] = [
        (f"forebay.event.0.00.live.demo.shop.messages.{place}", b"", {})
        for place in range(len(ANSWERS))
    ]
    return [BatchPublish(message, 1.0, batch, place) for place, message in enumerate(messages)]


async def test_each_answer_is_at_its_message_s_place_in_whatever_order_they_come() -> None:
    for order in itertools.permutations(range(len(ANSWERS))):
        batch = PublishBatch(len(ANSWERS))
        under_way = sent(batch)
        for place in order:
            assert not batch.all_answered.done()
            under_way[place].answered(ANSWERS[place])
        await batch.all_answered
        assert batch.results == ANSWERS


async def test_whoever_does_not_wait_any_more_hinders_no_answer() -> None:
    batch = PublishBatch(len(ANSWERS))
    under_way = sent(batch)
    batch.all_answered.cancel()
    for message, answer in zip(under_way, ANSWERS, strict=True):
        message.answered(answer)
    await asyncio.sleep(0)
    assert batch.results == ANSWERS


async def test_a_message_knows_the_stream_that_has_to_answer() -> None:
    assert {each.stream for each in sent(PublishBatch(len(ANSWERS)))} == {"FOREBAY_EVENTS_0"}


async def test_what_nobody_answered_is_no_ack() -> None:
    assert [type(each) for each in PublishBatch(2).results] == [StoreUnavailable] * 2
