"""A destination gets no more than its limits, and its limits slow down nobody else."""

import asyncio

import pytest

from forebay.core.subjects import Lane
from forebay.core.tables import Retry
from support.inputs.corpus import payload
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def send_apart(processor: ProcessorHarness, name: str, prefix: str, count: int) -> list[str]:
    """Store messages of as many people, and return their `webhook-id`s."""
    messages = [f"wamid.{prefix}.{number}" for number in range(count)]
    await asyncio.gather(
        *(
            processor.send(name, each, person=f"1555{number}")
            for number, each in enumerate(messages)
        )
    )
    return [token(each) for each in messages]


def most_within(times: list[float], seconds: float) -> int:
    """Return how many of these moments lie within such a time of each other at most."""
    return max(sum(1 for each in times if first <= each < first + seconds) for first in times)


async def test_a_destination_gets_its_rate_and_loses_nothing(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(
        name,
        processor.http(f"{name}/slow", name="slow", rate_per_second=20),
        processor.http(f"{name}/free", name="free"),
    )
    keys = await send_apart(processor, name, "rated", 50)
    await processor.wait_delivered(f"{name}/free", keys)
    parked = await processor.rows(name)
    await processor.wait_delivered(f"{name}/slow", keys, within=20)
    times = [each.at for each in processor.arrivals(f"{name}/slow")]
    assert len(times) == 50
    # The unit tests hold the rate to a tenth; here a busy machine may note arrivals late, in heaps.
    assert most_within(times, 1.0) <= 20 * 1.5
    assert max(times) - min(times) >= 50 / 20 * 0.75
    # The limited one did not hold up its neighbour: most of it waited in RETRY meanwhile.
    assert parked > 20
    assert max(each.at for each in processor.arrivals(f"{name}/free")) < max(times)


async def test_a_reply_does_not_wait_behind_statuses_at_a_limit(
    processor: ProcessorHarness,
) -> None:
    name, status = processor.new_name(), payload("status-sent")
    await processor.serve(name, processor.http(name, rate_per_second=10))
    bodies = [status.body.replace(b"wamid.", f"wamid.{number}.".encode()) for number in range(60)]
    for body in bodies:
        await processor.store(name, body, lane=Lane.STATUS)

    async def most_wait() -> bool:
        return await processor.rows(name) > 40

    await eventually(most_wait, saying="the statuses to wait")
    (reply,) = await processor.send(name, "wamid.reply", person="15550009")
    await processor.wait_delivered(name, [reply])
    assert await processor.rows(name) > 20


async def test_the_requests_of_an_endpoint_in_all_stay_within_its_limit(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=60)
    paths = [f"{name}/{number}" for number in range(3)]
    destinations = [
        processor.http(path, name=f"to-{number}", retry=retry, timeout_seconds=30)
        for number, path in enumerate(paths)
    ]
    await processor.serve(name, *destinations, max_in_flight=6)
    processor.sink.hold()
    try:
        keys = await send_apart(processor, name, "budget", 30)

        async def is_full() -> bool:
            # Each item stands in RETRY for each destination, but for those under way.
            return await processor.rows(name) == 90 - 6

        await eventually(is_full, saying="all but six to wait")
        held = [len(processor.arrivals(path)) for path in paths]
        assert sum(held) == 6
        # Half of the six in equal parts: no destination is left without.
        assert min(held) >= 1
    finally:
        processor.sink.release()
    for path in paths:
        await processor.wait_delivered(path, keys)
        assert len(processor.delivered(path)) == 30
