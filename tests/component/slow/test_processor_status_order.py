"""A status that comes after a higher one of its message says so, whatever happens in between."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest

from forebay.core.subjects import Lane
from support.inputs.statuses import status_key, status_webhook
from support.processor.processor_harness import EVENTS, ProcessorHarness
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

Between = Literal["nothing", "a kill", "a restart"]


async def store(processor: ProcessorHarness, name: str, *statuses: str, **more: str) -> None:
    message = more.pop("message", "wamid.1")
    await processor.store(name, status_webhook(message, *statuses, **more), lane=Lane.STATUS)


def marks(processor: ProcessorHarness, path: str) -> list[tuple[str, bool]]:
    """Return what a path of the sink accepted, each with its mark."""
    accepted: list[dict[str, Any]] = [
        each.event for each in processor.arrivals(path) if each.accepted
    ]
    return [(event["itemtype"], event.get("superseded", False)) for event in accepted]


async def wait_for(processor: ProcessorHarness, name: str, statuses: Sequence[str]) -> None:
    await processor.wait_delivered(
        name, [status_key("wamid.1", status) for status in statuses], within=20
    )


async def interrupt(processor: ProcessorHarness, between: Between) -> None:
    if between == "a restart":
        assert await processor.restart() == 0
    elif between == "a kill":
        await eventually(lambda: nothing_unacked(processor), saying="all to be acked")
        await processor.part.kill()
        await processor.part.start()


async def nothing_unacked(processor: ProcessorHarness) -> bool:
    return await processor.unacked(EVENTS) == 0


async def test_statuses_in_their_order_have_no_mark(processor: ProcessorHarness) -> None:
    name = processor.plain()
    order = ("sent", "failed", "delivered", "read", "played")
    for status in order:
        await store(processor, name, status)
    await wait_for(processor, name, order)
    assert marks(processor, name) == [(status, False) for status in order]


async def test_late_ones_in_one_body_are_marked(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await store(processor, name, "read", "delivered", "sent")
    await wait_for(processor, name, ("read", "delivered", "sent"))
    assert marks(processor, name) == [("read", False), ("delivered", True), ("sent", True)]


@pytest.mark.parametrize("between", ["nothing", "a kill", "a restart"])
async def test_late_ones_in_bodies_of_their_own_are_marked(
    processor: ProcessorHarness, between: Between
) -> None:
    name = processor.plain()
    for status in ("read", "delivered", "sent"):
        await store(processor, name, status)
        await wait_for(processor, name, [status])
        if status != "sent":
            await interrupt(processor, between)
    assert marks(processor, name) == [("read", False), ("delivered", True), ("sent", True)]


async def test_a_status_of_another_message_or_participant_is_nothing_to_it(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    await store(processor, name, "read", message="wamid.other")
    await store(processor, name, "read", recipient_participant_id="15550007")
    await store(processor, name, "sent")
    await wait_for(processor, name, ["sent"])
    assert marks(processor, name) == [("read", False), ("read", False), ("sent", False)]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        # A failed one of a message to a number names the number alone.
        ({"recipient_user_id": "US.1"}, {}),
        ({}, {"recipient_user_id": "US.1"}),
        # Somebody takes a user name, and has no number from then on.
        ({}, {"recipient_id": "", "recipient_user_id": "US.1"}),
        ({"recipient_id": "", "recipient_user_id": "US.1"}, {}),
    ],
)
async def test_a_late_one_that_names_the_person_in_another_way_is_marked(
    processor: ProcessorHarness, first: dict[str, str], then: dict[str, str]
) -> None:
    name = processor.plain()
    await store(processor, name, "read", **first)
    await wait_for(processor, name, ["read"])
    await store(processor, name, "delivered", **then)
    await wait_for(processor, name, ["read", "delivered"])
    assert marks(processor, name) == [("read", False), ("delivered", True)]


async def test_an_endpoint_can_do_without_marks(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), status_order="None")
    await store(processor, name, "read", "sent")
    await wait_for(processor, name, ("read", "sent"))
    assert marks(processor, name) == [("read", False), ("sent", False)]


async def test_what_waits_keeps_its_mark_and_its_lack_of_one(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), paused=True)
    await store(processor, name, "sent", "read", "delivered")
    await eventually(lambda: rows_are(processor, name, 3), saying="all to be parked")
    await interrupt(processor, "a restart")
    await processor.serve(name, processor.http(name))
    await wait_for(processor, name, ("sent", "read", "delivered"))
    # `sent` came before `read` and arrives before it: it is not late.
    assert marks(processor, name) == [("sent", False), ("read", False), ("delivered", True)]


async def test_without_ordering_one_that_is_overtaken_is_marked(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), ordering="None")
    processor.sink.answer_key(status_key("wamid.over", "sent"), 503, 503, 503)
    await store(processor, name, "sent", message="wamid.over")
    await eventually(lambda: rows_are(processor, name, 1), saying="it to be parked")
    await store(processor, name, "read", message="wamid.over")
    keys = [status_key("wamid.over", "read"), status_key("wamid.over", "sent")]
    await processor.wait_delivered(name, keys)
    assert marks(processor, name) == [("read", False), ("sent", True)]
    first = processor.arrivals(name)[0]
    assert "superseded" not in first.event


async def rows_are(processor: ProcessorHarness, name: str, count: int) -> bool:
    return await processor.rows(name) == count
