"""A queue whose destination takes batches: what waits for a request waits as it does without."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane
from forebay.core.tables import Batch
from forebay_processor.destinations.port import Attempt, BatchPort, Delivered, Result
from support.processor.queue_alone import Door, QueueAlone
from support.timing.wait import eventually

TENS = Batch(max_items=10, max_wait_seconds=0.01)


class BatchDoor(Door, BatchPort):
    """A destination that notes which items came with a request, and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[list[str]] = []

    @override
    async def deliver(self, attempt: Attempt) -> Result:
        return await self._answer([attempt.token])

    @override
    def encode(self, attempt: Attempt) -> bytes:
        return b"{}"

    @override
    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],
        items: Sequence[bytes],
        traceparent: str = "",
    ) -> Result:
        return await self._answer(list(tokens))

    async def _answer(self, tokens: list[str]) -> Result:
        self.requests.append(tokens)
        self.tried += tokens
        return await asyncio.shield(self.answer)


@pytest.fixture
async def alone() -> AsyncIterator[QueueAlone]:
    """Give a queue whose destination has one request, not full, and does not answer it."""
    alone = QueueAlone()
    alone.door = door = BatchDoor()
    alone.limit(1, batch=TENS)
    alone.offer(1, "first", conversation="one")
    alone.offer(1, "second", conversation="two")
    await eventually(lambda: door.requests == [["first", "second"]], saying="a request")
    yield alone
    await alone.end()


def requests(alone: QueueAlone) -> list[list[str]]:
    assert isinstance(alone.door, BatchDoor)
    return alone.door.requests


async def test_nothing_is_sent_of_a_partition_that_is_somebody_elses(alone: QueueAlone) -> None:
    """Who has it delivers what waits of it, too."""
    for number in range(6):
        alone.offer(0, f"k{number}", conversation=f"c{number}-")
    await alone.settled()
    alone.lose(0)
    alone.answer(Delivered())
    alone.offer(1, "later", conversation="three")
    await eventually(lambda: "later" in alone.door.tried, saying="what came later")
    await alone.settled()
    assert requests(alone) == [["first", "second"], ["later"]]


async def test_nothing_is_sent_of_a_partition_that_is_lost_while_its_batch_is_filled() -> None:
    alone = QueueAlone()
    alone.door = BatchDoor()
    alone.limit(2, batch=Batch(max_items=10, max_wait_seconds=3600))
    alone.answer(Delivered())
    alone.offer(0, "lost", conversation="one")
    alone.offer(1, "kept", conversation="two")
    await alone.settled()
    alone.lose(0)
    await alone.tried("kept")
    await alone.end()


async def test_a_reply_waits_for_the_next_request_and_not_behind_all_statuses(
    alone: QueueAlone,
) -> None:
    for number in range(20):
        alone.offer(0, f"s{number}", conversation=f"c{number}-", lane=Lane.STATUS)
    await alone.settled()
    alone.offer(1, "reply", conversation="three")
    await alone.settled()
    alone.answer(Delivered())
    await eventually(lambda: "reply" in alone.door.tried, saying="the reply")
    assert "reply" in requests(alone)[1]


async def test_what_waits_at_a_limit_of_rate_waits_in_retry() -> None:
    """EVENTS would keep it unacked for as long as that takes, and all that came after it."""
    alone = QueueAlone()
    alone.door = BatchDoor()
    alone.limit(8, rate=0.001, batch=TENS)
    for number in range(30):
        alone.offer(0, f"k{number}", conversation=f"c{number}-")
    first = [f"k{number}" for number in range(TENS.max_items)]
    await eventually(lambda: requests(alone) == [first], saying="a request")
    await alone.settled()
    assert len(alone.table.rows) == 20
    await alone.end()


async def test_a_partition_is_given_back_without_waiting_for_a_full_batch() -> None:
    alone = QueueAlone()
    alone.door = BatchDoor()
    alone.limit(1, batch=Batch(max_items=10, max_wait_seconds=3600))
    alone.answer(Delivered())
    alone.offer(0, "gathered", conversation="one")
    await alone.settled()
    assert not requests(alone)
    await alone.partitions[0].drain(10)
    assert requests(alone) == [["gathered"]]
    assert alone.done == ["gathered"]
    await alone.end()
