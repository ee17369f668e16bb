"""A status that comes late says so when another processor delivered the higher one, and died."""

from pathlib import Path

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, conversation_partition, conversation_token
from support.inputs.statuses import status_key, status_webhook
from support.processor.processor_harness import CHANNEL, EVENTS, ProcessorHarness
from support.processor.shares import ALL, owned, wait_shared
from support.programs.processes import Part
from support.timing.wait import eventually

PEOPLE = [f"1555000{number:04}" for number in range(12)]


async def test_the_owner_is_killed_between_read_and_what_comes_late(tmp_path: Path) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        name, first = processor.plain(), processor.part
        second = processor.stack.part("processor")
        await second.start()
        await wait_shared([first, second], within=20)
        theirs = await owned(first)
        of_first = [person for person in PEOPLE if partition_of(name, person) in theirs]
        assert 0 < len(of_first) < len(PEOPLE)
        await store(processor, name, "read")
        await first.kill()
        await store(processor, name, "delivered")
        await eventually(lambda: owns_all(second), within=20, saying="it to move")
        await store(processor, name, "sent")
        for person in PEOPLE:
            marks = [
                (each.event["itemtype"], each.event.get("superseded", False))
                for each in processor.arrivals(name)
                if each.accepted and f"wamid.{person}" in each.event["itemkey"]
            ]
            assert marks == [("read", False), ("delivered", True), ("sent", True)], person


def partition_of(name: str, person: str) -> str:
    conversation = conversation_token(CHANNEL, person)
    return f"event.{conversation_partition(EndpointName('demo', name), conversation, '0'):02d}"


async def store(processor: ProcessorHarness, name: str, status: str) -> None:
    """Store a status of a message to each person, and wait until all are delivered and acked."""
    for person in PEOPLE:
        body = status_webhook(f"wamid.{person}", status, recipient_id=person)
        await processor.store(name, body, lane=Lane.STATUS)
    keys = [status_key(f"wamid.{person}", status) for person in PEOPLE]
    await processor.wait_delivered(name, keys, within=20)
    await eventually(lambda: none_unacked(processor), saying="all to be acked")


async def none_unacked(processor: ProcessorHarness) -> bool:
    return await processor.unacked(EVENTS) == 0


async def owns_all(part: Part) -> bool:
    return await owned(part) == ALL
