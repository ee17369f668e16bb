"""A status that comes after a higher one of its message says so, whatever happens in between."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest

from forebay.core.subjects import Lane
from support.plant import EVENTS, Plant
from support.statuses import status_key, status_webhook
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

Between = Literal["nothing", "a kill", "a restart"]


async def store(plant: Plant, name: str, *statuses: str, **more: str) -> None:
    message = more.pop("message", "wamid.1")
    await plant.store(name, status_webhook(message, *statuses, **more), lane=Lane.STATUS)


def marks(plant: Plant, path: str) -> list[tuple[str, bool]]:
    """Return what a path of the sink accepted, each with its mark."""
    accepted: list[dict[str, Any]] = [each.event for each in plant.arrivals(path) if each.accepted]
    return [(event["itemtype"], event.get("superseded", False)) for event in accepted]


async def wait_for(plant: Plant, name: str, statuses: Sequence[str]) -> None:
    await plant.wait_delivered(
        name, [status_key("wamid.1", status) for status in statuses], within=20
    )


async def interrupt(plant: Plant, between: Between) -> None:
    if between == "a restart":
        assert await plant.restart() == 0
    elif between == "a kill":
        await eventually(lambda: nothing_unacked(plant), saying="all to be acked")
        await plant.processor.kill()
        await plant.processor.start()


async def nothing_unacked(plant: Plant) -> bool:
    return await plant.unacked(EVENTS) == 0


async def test_statuses_in_their_order_have_no_mark(plant: Plant) -> None:
    name = plant.plain()
    order = ("sent", "failed", "delivered", "read", "played")
    for status in order:
        await store(plant, name, status)
    await wait_for(plant, name, order)
    assert marks(plant, name) == [(status, False) for status in order]


async def test_late_ones_in_one_body_are_marked(plant: Plant) -> None:
    name = plant.plain()
    await store(plant, name, "read", "delivered", "sent")
    await wait_for(plant, name, ("read", "delivered", "sent"))
    assert marks(plant, name) == [("read", False), ("delivered", True), ("sent", True)]


@pytest.mark.parametrize("between", ["nothing", "a kill", "a restart"])
async def test_late_ones_in_bodies_of_their_own_are_marked(plant: Plant, between: Between) -> None:
    name = plant.plain()
    for status in ("read", "delivered", "sent"):
        await store(plant, name, status)
        await wait_for(plant, name, [status])
        if status != "sent":
            await interrupt(plant, between)
    assert marks(plant, name) == [("read", False), ("delivered", True), ("sent", True)]


async def test_a_status_of_another_message_or_participant_is_nothing_to_it(plant: Plant) -> None:
    name = plant.plain()
    await store(plant, name, "read", message="wamid.other")
    await store(plant, name, "read", recipient_participant_id="15550007")
    await store(plant, name, "sent")
    await wait_for(plant, name, ["sent"])
    assert marks(plant, name) == [("read", False), ("read", False), ("sent", False)]


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
    plant: Plant, first: dict[str, str], then: dict[str, str]
) -> None:
    name = plant.plain()
    await store(plant, name, "read", **first)
    await wait_for(plant, name, ["read"])
    await store(plant, name, "delivered", **then)
    await wait_for(plant, name, ["read", "delivered"])
    assert marks(plant, name) == [("read", False), ("delivered", True)]


async def test_an_endpoint_can_do_without_marks(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), status_order="None")
    await store(plant, name, "read", "sent")
    await wait_for(plant, name, ("read", "sent"))
    assert marks(plant, name) == [("read", False), ("sent", False)]


async def test_what_waits_keeps_its_mark_and_its_lack_of_one(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), paused=True)
    await store(plant, name, "sent", "read", "delivered")
    await eventually(lambda: rows_are(plant, name, 3), saying="all to be parked")
    await interrupt(plant, "a restart")
    await plant.serve(name, plant.http(name))
    await wait_for(plant, name, ("sent", "read", "delivered"))
    # `sent` came before `read` and arrives before it: it is not late.
    assert marks(plant, name) == [("sent", False), ("read", False), ("delivered", True)]


async def test_without_ordering_one_that_is_overtaken_is_marked(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), ordering="None")
    plant.sink.answer_key(status_key("wamid.over", "sent"), 503, 503, 503)
    await store(plant, name, "sent", message="wamid.over")
    await eventually(lambda: rows_are(plant, name, 1), saying="it to be parked")
    await store(plant, name, "read", message="wamid.over")
    keys = [status_key("wamid.over", "read"), status_key("wamid.over", "sent")]
    await plant.wait_delivered(name, keys)
    assert marks(plant, name) == [("read", False), ("sent", True)]
    first = plant.arrivals(name)[0]
    assert "superseded" not in first.event


async def rows_are(plant: Plant, name: str, count: int) -> bool:
    return await plant.rows(name) == count
