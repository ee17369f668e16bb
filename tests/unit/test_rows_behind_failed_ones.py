"""What waits behind a failed item is nothing that more processors would deliver.

How it is counted at any moment is looked at by the model too (`support.processor.backlog_model`).
"""

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from forebay.core import envelope
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import Destination, HttpTarget, Retry
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.scaling_backlog import rows_deliverable
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    DestinationPort,
    Failed,
    Result,
    Trouble,
)
from support.processor.queue_alone import ITEM, NAME, QueueAlone
from support.timing.wait import eventually

NEVER = Retry(initial_delay_seconds=3000.0, max_delay_seconds=3000.0, max_age_seconds=1e6)


class Picky(DestinationPort):
    """A destination that refuses some people's items, and lets the others' hang."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.opened = asyncio.Event()
        self.tried: set[str] = set()

    @override
    async def deliver(self, attempt: Attempt) -> Result:
        person = attempt.token.partition("-")[0]
        self.tried.add(person)
        if person in self.refused:
            return Failed("503", trouble=Trouble.ITEM)
        await self.opened.wait()
        return Delivered()

    @override
    def close(self) -> None:
        """Nothing to let go of."""


class Waiting:
    """One destination, and rows of people by name."""

    def __init__(self) -> None:
        self.alone = QueueAlone()
        self.port = Picky()
        target = HttpTarget(url="http://sink", max_in_flight=32)
        config = Destination(name="sink", retry=NEVER, http=target)
        state = DestinationState.OPEN
        self.alone.queue.configure(DestinationSettings(state=state, config=config, port=self.port))

    def put(self, person: str, number: int) -> RetrySubject:
        """Let RETRY hold one more row, as an owner before left it."""
        key = f"{person}-{number}"
        subject = RetrySubject("0", 0, Lane.LIVE, NAME, "sink", person, key)
        headers = {envelope.RECEIVED_AT: "0", envelope.FIRST_TRIED_AT: "0"}
        self.alone.table.put(str(subject), ITEM, headers)
        return subject

    def show(self, person: str, number: int) -> None:
        """Let somebody else write a row while the partition is owned."""
        subject = self.put(person, number)
        sequence = self.alone.table.rows[str(subject)][2]
        self.alone.show(0, subject, sequence)

    def own(self) -> None:
        """Take the partition, and count what is there."""
        self.alone.take_anew(0)
        partition = self.alone.partitions[0]
        for subject, (_, _, sequence) in list(self.alone.table.rows.items()):
            self.alone.find(0, RetrySubject.parse(subject), sequence)
            partition.count_to(sequence)

    async def wait_deliverable(self, rows: int) -> None:
        """Wait until so many rows can be delivered by whoever comes."""
        queue = self.alone.queue
        await eventually(
            lambda: rows_deliverable(queue) == rows,
            saying=f"{rows} of {queue.parked} to be deliverable",
        )


async def test_a_thousand_items_behind_a_failed_one_are_no_work_for_more_processors() -> None:
    waiting = Waiting()
    waiting.port.refused = {"ill"}
    for number in range(1000):
        waiting.put("ill", number)
    for number in range(10):
        waiting.put("well", number)
    waiting.own()
    await waiting.wait_deliverable(10)
    assert waiting.alone.queue.parked == 1010

    # What comes while it waits is no more work than what is there, whoever stores it.
    for number in range(1000, 1300):
        waiting.show("ill", number)
    await eventually(lambda: waiting.alone.queue.parked == 1310, saying="it to be counted")
    await waiting.wait_deliverable(10)
    for number in range(20):
        waiting.alone.offer(0, f"ill-{2000 + number}", "ill")
    await waiting.wait_deliverable(10)
    await waiting.alone.end()


async def test_what_waited_behind_a_failed_item_is_work_again_once_it_is_taken() -> None:
    waiting = Waiting()
    waiting.port.refused = {"ill"}
    for number in range(300):
        waiting.put("ill", number)
    waiting.own()
    await waiting.wait_deliverable(0)
    waiting.port.refused = set()
    await waiting.alone.queue.retry_now()
    # The first hangs at the destination, which does not refuse it any more.
    waiting.port.opened.set()
    await eventually(lambda: not waiting.alone.table.rows, saying="all to be delivered")
    assert (waiting.alone.queue.parked, waiting.alone.queue.backlogs.blocked_rows) == (0, 0)


@given(
    ill=st.lists(st.integers(1, 200), max_size=4),
    well=st.lists(st.integers(1, 200), max_size=3),
    seed=st.integers(0, 2**16),
)
def test_all_but_the_rows_of_failing_conversations_are_deliverable(
    ill: list[int], well: list[int], seed: int
) -> None:
    async def look() -> None:
        waiting = Waiting()
        waiting.port.refused = {f"ill{number}" for number in range(len(ill))}
        rows = [(f"ill{n}", k) for n, count in enumerate(ill) for k in range(count)]
        rows += [(f"well{n}", k) for n, count in enumerate(well) for k in range(count)]
        Random(seed).shuffle(rows)
        for person, number in rows:
            waiting.put(person, number)
        waiting.own()
        await waiting.wait_deliverable(sum(well))
        assert waiting.alone.queue.parked == len(rows)
        await waiting.alone.end()

    asyncio.run(look())
