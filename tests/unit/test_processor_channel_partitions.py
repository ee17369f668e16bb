"""A channel and the partitions of its items: what is lost leaves no trace, the rest goes on."""

import asyncio

import pytest

from forebay.core import envelope
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_processor.destinations.port import Delivered, Failed
from forebay_processor.shared.lease import lease_clock
from support.processor.queue_alone import QueueAlone
from support.timing.wait import eventually


@pytest.fixture
async def alone() -> QueueAlone:
    return QueueAlone()


async def test_what_waits_of_a_lost_partition_is_not_tried_and_the_rest_is(
    alone: QueueAlone,
) -> None:
    for number in (0, 1):
        alone.offer(number, f"first-{number}")
        alone.offer(number, f"second-{number}")
    await alone.tried("first-0", "first-1")
    alone.lose(0)
    alone.answer(Delivered())
    await alone.tried("first-0", "first-1", "second-1")
    await alone.settled()
    assert sorted(alone.done) == ["first-0", "first-1", "second-1"]
    assert not alone.table.published


async def test_what_fails_after_the_partition_was_lost_is_not_parked(alone: QueueAlone) -> None:
    alone.offer(0, "item")
    await alone.tried("item")
    alone.lose(0)
    alone.answer(Failed("503"))
    await alone.settled()
    assert not alone.table.published
    assert not alone.done
    assert alone.queue.parked == 0


async def test_a_row_stored_when_the_partition_was_lost_does_not_free_its_item(
    alone: QueueAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = asyncio.Event()
    publish = alone.table.publish

    async def slowly(subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        ack = await publish(subject, payload, headers)
        await stored.wait()
        return ack

    monkeypatch.setattr(alone.table, "publish", slowly)
    alone.answer(Failed("503"))
    alone.offer(0, "item")
    await eventually(lambda: alone.table.published)
    alone.lose(0)
    stored.set()
    await alone.settled()
    # Its message in EVENTS stays unacked: the new owner did not see the row.
    assert not alone.done
    (_, headers, _) = next(iter(alone.table.rows.values()))
    assert headers[envelope.EPOCH] == "7"


async def test_nothing_is_tried_while_the_lease_is_over(alone: QueueAlone) -> None:
    alone.lease.renew(lease_clock() - 3600)
    alone.answer(Delivered())
    alone.offer(0, "item")
    await alone.settled()
    assert not alone.door.tried
    alone.lease.renew(lease_clock())
    await alone.tried("item")
    await eventually(lambda: alone.done == ["item"])


async def test_nothing_is_tried_when_the_lease_ends_with_the_partition(alone: QueueAlone) -> None:
    alone.lease.renew(lease_clock() - 3600)
    alone.answer(Delivered())
    alone.offer(0, "item")
    await alone.settled()
    alone.lose(0)
    alone.lease.renew(lease_clock())
    alone.offer(1, "other")
    await alone.tried("other")
    await alone.settled()
    assert alone.done == ["other"]


async def test_a_partition_that_comes_back_waits_for_what_is_still_under_way(
    alone: QueueAlone,
) -> None:
    alone.offer(0, "item")
    await alone.tried("item")
    alone.lose(0)
    alone.partitions[0] = alone.partition(0, epoch=9)
    alone.offer(0, "item")
    await alone.settled()
    assert alone.door.tried == ["item"]
    alone.answer(Delivered())
    await alone.tried("item", "item")


async def test_a_row_frees_its_item_only_while_the_lease_lasts(alone: QueueAlone) -> None:
    alone.answer(Failed("503"))
    published = alone.table.publish

    async def late(subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        ack = await published(subject, payload, headers)
        alone.lease.renew(lease_clock() - 3600)
        return ack

    alone.table.publish = late  # type: ignore[method-assign]
    alone.offer(0, "item")
    await eventually(lambda: alone.table.published)
    await alone.settled()
    # Somebody else may have loaded RETRY before the row was there.
    assert not alone.done
    alone.lease.renew(lease_clock())
    await eventually(lambda: alone.done == ["item"])
    alone.lose(0)
